"""A folder of an object store: files are put, put if absent, read, listed and removed."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

import obstore
from msgspec import Struct
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.store import LocalStore, ObjectStore

from tailrace.disk import sync_all, write_whole
from tailrace.objects.answers import is_missing_bucket
from tailrace.objects.errors import is_passing, translated_errors
from tailrace.objects.reading import python_file
from tailrace.objects.settings import AwsSettings
from tailrace.objects.stores import local_path, opened_store

if TYPE_CHECKING:
    from obstore import ObjectMeta

_REMOVALS = 4
_READ_WHOLE_BYTES = 16 * 2**20

_PARTS_AT_ONCE = 4
"""Parts of one file that are uploaded at once, each of 5 MiB, which are in memory."""


class Listed(Struct, frozen=True):
    """A file of a store: its path, its bytes, and what changes whenever the file does."""

    path: str
    size: int
    tag: str


class Folder:
    """A folder of an object store, or of this machine: `s3://bucket/path`, `gs:`, `az:`, `file:` or `memory:`.

    Picklable before use and thread-safe; nothing is connected before the first call. What is written is durable on
    return. Raises DestinationError.
    """

    def __init__(self, settings: AwsSettings, url: str) -> None:
        self.url = url.rstrip("/")
        self._settings = settings
        self._store: ObjectStore | None = None
        self._synced: frozenset[Path] = frozenset()

    def __reduce__(self) -> tuple[object, ...]:
        return Folder, (self._settings, self.url)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, replacing one of that name."""
        with translated_errors(self.url):
            obstore.put(self._opened(), name, content)
        self.sync(name)

    def put_new(self, name: str, content: bytes) -> bool:
        """Write a file unless it exists with other content; whether it now has this content."""
        with translated_errors(self.url):
            try:
                obstore.put(self._opened(), name, content, mode="create")
            except AlreadyExistsError:
                return bytes(obstore.get(self._opened(), name).bytes()) == content
        self.sync(name)
        return True

    def put_file(self, name: str, file: IO[bytes]) -> None:
        """Upload an open file from its position on, replacing one of that name."""
        with translated_errors(self.url):
            if isinstance(self._opened(), LocalStore):
                write_whole(self._path(name), file)
            else:
                obstore.put(self._opened(), name, file, max_concurrency=_PARTS_AT_ONCE)
        self.sync(name)

    def get(self, name: str) -> bytes:
        """The content of a file."""
        with translated_errors(self.url):
            return bytes(obstore.get(self._opened(), name).bytes())

    def open(self, name: str) -> BinaryIO:
        """A file, open for reading and seeking."""
        with translated_errors(self.url):
            got = obstore.get(self._opened(), name)
            if got.meta["size"] <= _READ_WHOLE_BYTES:
                return io.BytesIO(bytes(got.bytes()))
            return python_file(obstore.open_reader(self._opened(), name))

    def names(self, folder: str = "") -> Iterator[str]:
        """The paths of all files below a folder."""
        with translated_errors(self.url):
            for listed in obstore.list(self._opened(), folder or None):
                for file in listed:
                    yield str(file["path"])

    def listed(self, folder: str = "") -> Iterator[Listed]:
        """All files below a folder."""
        with translated_errors(self.url):
            for listed in obstore.list(self._opened(), folder or None):
                yield from map(_listed, listed)

    def found(self, name: str) -> Listed | None:
        """The file of that path, None if there is none."""
        with translated_errors(self.url):
            try:
                return _listed(obstore.head(self._opened(), name))
            except FileNotFoundError as error:
                if is_missing_bucket(str(error)):
                    raise
                return None

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; missing ones are no error."""
        with translated_errors(self.url):
            for name in names:
                self._removed(name)

    def _removed(self, name: str) -> None:
        """Remove a file, again if the connection breaks, since the store doesn't repeat it."""
        for tries in range(_REMOVALS, -1, -1):
            try:
                obstore.delete(self._opened(), name)
                break
            except FileNotFoundError as error:
                if is_missing_bucket(str(error)):
                    raise
                break
            except GenericError as error:
                if not tries or not is_passing(error):
                    raise

    def clear(self, folder: str) -> None:
        """Remove all files of a folder, and on this machine the folder itself."""
        self.remove([*self.names(folder)])
        if isinstance(self._opened(), LocalStore):
            shutil.rmtree(self._path(folder), ignore_errors=True)

    def address(self, name: str) -> str:
        """A file's local path, or its address in the store."""
        return str(self._path(name)) if urlsplit(self.url).scheme == "file" else f"{self.url}/{name}"

    def within(self, folder: str) -> Folder:
        """A folder in it."""
        return Folder(self._settings, f"{self.url}/{folder}") if folder else self

    def _opened(self) -> ObjectStore:
        if self._store is None:
            self._store = opened_store(self._settings, self.url)
        return self._store

    def _path(self, name: str) -> Path:
        """The local path of a file or folder; raises ValueError for one that is elsewhere."""
        if ".." in name.split("/"):
            raise ValueError(f"{name!r} isn't within the folder")
        return local_path(self.url) / name

    def sync(self, *names: str) -> None:
        """Sync local files and their names to the disk; nothing to do on object stores."""
        if names and isinstance(self._opened(), LocalStore):
            depth = len(local_path(self.url).parts)
            with translated_errors(self.url):
                paths = [*map(self._path, names)]
                folders = {folder for path in paths for folder in path.parents[: len(path.parts) - depth]}
                sync_all({*paths, *(path.parent for path in paths), *(folders - self._synced)})
            self._synced |= folders


def _listed(file: ObjectMeta) -> Listed:
    tag = file.get("e_tag") or file["last_modified"].isoformat()
    return Listed(str(file["path"]), int(file["size"]), str(tag))
