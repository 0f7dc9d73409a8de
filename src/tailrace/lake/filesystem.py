"""A folder of one of Arrow's file systems as a Store, and this machine's disk, on which files stay."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

import pyarrow as pa
import pyarrow.fs

from tailrace.disk import sync, sync_all
from tailrace.objects.errors import translated_errors
from tailrace.objects.reading import python_file

_PIECE_BYTES = 8 * 2**20
_AGE_S = 600
"""How long a file system is used: keys that a catalog gives end after a while."""

Location = tuple[pyarrow.fs.FileSystem, str]
"""A file system, and the path of a folder in it."""


class ArrowStore:
    """A Store on a folder; `look` gives it, and is asked anew now and then. `known` is what it gave just now."""

    def __init__(self, look: Callable[[], Location], known: Location | None = None) -> None:
        self._look = look
        self._known = known
        self._since_s = time.monotonic()

    def __reduce__(self) -> tuple[object, ...]:
        """A copy for another process has the folder as it is now, with keys that may end."""
        location = self._location()
        return ArrowStore, (partial(_given, location), location)

    def put_file(self, name: str, file: IO[bytes]) -> None:
        """Upload the file; see Store."""
        system, root = self._location()
        with translated_errors(), system.open_output_stream(f"{root}/{name}") as target:
            shutil.copyfileobj(file, target, _PIECE_BYTES)

    def open(self, name: str) -> BinaryIO:
        """The file; see Store."""
        system, root = self._location()
        with translated_errors():
            return python_file(system.open_input_file(f"{root}/{name}"))

    def names(self, folder: str) -> Iterator[str]:
        """The names of all files in the folder; see Store."""
        system, root = self._location()
        selector = pyarrow.fs.FileSelector(f"{root}/{folder}".rstrip("/"), recursive=True, allow_not_found=True)
        with translated_errors():
            found = system.get_file_info(selector)
        for file in found:
            if file.type == pyarrow.fs.FileType.File:
                yield file.path.removeprefix(f"{root}/")

    def remove(self, names: Iterable[str]) -> None:
        """Remove the files; see Store."""
        system, root = self._location()
        with translated_errors():
            for name in names:
                with suppress(FileNotFoundError):
                    system.delete_file(f"{root}/{name}")

    def clear(self) -> None:
        """Remove the folder with all that is in it."""
        system, root = self._location()
        with translated_errors(), suppress(FileNotFoundError):
            system.delete_dir(root)

    def _location(self) -> Location:
        if self._known is None or time.monotonic() - self._since_s > _AGE_S:
            self._known, self._since_s = self._look(), time.monotonic()
        return self._known


def _given(location: Location) -> Location:
    return location


class LocalDisk(pyarrow.fs.LocalFileSystem):  # type: ignore[misc]  # Arrow has no types
    """Files of this machine; one that is closed, and its name, are on the disk. Folders are made as need be."""

    def __reduce__(self) -> tuple[object, ...]:
        return LocalDisk, ()

    def open_output_stream(self, path: str, *_: object, **__: object) -> pa.NativeFile:
        """A file that is written anew."""
        folder = Path(path).parent
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        if made:
            sync_all([each.parent for each in made])
        return pa.PythonFile(io.BufferedWriter(_Synced(path, "wb")), mode="w")


class _Synced(io.FileIO):
    """A file that the disk has taken in when it is closed."""

    def close(self) -> None:
        if not self.closed:
            os.fsync(self.fileno())
            sync(Path(str(self.name)).parent)
        super().close()
