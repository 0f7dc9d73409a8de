"""The files that an argument names: a path, an address of an object store, or a pattern of either."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import ValidationError

from tailrace.errors import ConfigError, DestinationError

if TYPE_CHECKING:
    from tailrace.objects.folder import Folder, Listed

_KEY = "INPUT"
_PATTERN = re.compile(r"[*?\[]")
_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)


class InputFile(Protocol):
    """A file to load; picklable. `size` counts bytes, and `tag` changes whenever the file does."""

    @property
    def name(self) -> str:
        """Its path or address."""

    @property
    def size(self) -> int:
        """Its bytes as they are stored."""

    @property
    def tag(self) -> str:
        """What it is known by, besides name and size."""

    def open(self) -> BinaryIO:
        """Its bytes as they are stored; raises ConfigError where they can't be had."""


class LocalFile(Struct, frozen=True):
    """A file of this machine; `tag` is when it was written, in nanoseconds."""

    name: str
    size: int
    tag: str

    @classmethod
    def at(cls, path: Path) -> LocalFile:
        """The file at a path; raises ConfigError where there is none."""
        try:
            found = path.stat()
        except FileNotFoundError as error:
            raise ConfigError(f"there is no file {path}", key=_KEY, hint="check the path; - is stdin") from error
        except OSError as error:
            raise ConfigError(f"{path} can't be read: {error.strerror}", key=_KEY) from error
        if path.is_dir():
            raise ConfigError(f"{path} is a folder", key=_KEY, hint=f"name its files, as in '{path}/*'")
        return cls(str(path), found.st_size, str(found.st_mtime_ns))

    def open(self) -> BinaryIO:
        """Its bytes; see InputFile."""
        try:
            return Path(self.name).open("rb", buffering=0)
        except OSError as error:
            raise ConfigError(
                f"{self.name} can't be read: {error.strerror}", key=_KEY, hint="name a file that can be"
            ) from error


class StoredFile(Struct, frozen=True):
    """A file of an object store: `path` within the bucket or container at `root`; `tag` is its e-tag."""

    root: str
    path: str
    size: int
    tag: str
    settings: Any

    @property
    def name(self) -> str:
        """Its address."""
        return f"{self.root}/{self.path}"

    def open(self) -> BinaryIO:
        """Its bytes, some at a time; see InputFile."""
        from tailrace.objects import Folder  # noqa: PLC0415 who loads files of this machine needs no driver of stores

        with _as_config_error(self.name):
            return Folder(self.settings, self.root).open(self.path)


def is_address(source: str) -> bool:
    """Whether an argument is an address of an object store."""
    scheme = urlsplit(source).scheme
    return len(scheme) > 1 and "://" in source


def known_name(file: InputFile) -> str:
    """The one name that a file has, however its path is spelled."""
    return file.name if is_address(file.name) else os.path.abspath(file.name)  # noqa: PTH100 links are names too


def files_of(sources: Iterable[str], storage: Mapping[str, Any]) -> list[InputFile]:
    """The files that arguments name, each once, in the order of arguments; those of a pattern by their names.

    `storage` are the settings of object stores. Raises ConfigError where there is none.
    """
    found: dict[str, InputFile] = {}
    for source in sources:
        for file in _stored(source, storage) if is_address(source) else _local(source):
            found.setdefault(known_name(file), file)
    return [*found.values()]


def _local(source: str) -> list[LocalFile]:
    path = Path(source)
    if not _PATTERN.search(source) or path.exists():
        return [LocalFile.at(path)]
    paths = (Path(name) for name in sorted(glob.glob(source, recursive=True)))  # noqa: PTH207 as the shell does
    files = [LocalFile.at(path) for path in paths if not path.is_dir()]
    if not files:
        raise _none(source)
    return files


def _stored(source: str, storage: Mapping[str, Any]) -> list[StoredFile]:
    """Files of an object store."""
    from tailrace.objects import Folder  # noqa: PLC0415 as above

    settings = _store_settings(storage)
    parts = urlsplit(source)
    root, path = f"{parts.scheme}://{parts.netloc}", source.partition("://")[2].partition("/")[2]
    if not path:
        raise ConfigError(f"{source} is no file", key=_KEY, hint=f"name its files, as in '{root}/*'")
    folder = Folder(settings, root)
    with _as_config_error(source):
        listed = _matching(folder, path) if _PATTERN.search(path) else []
        if not listed:  # a pattern may be a file's name too
            listed = [each for each in (folder.found(path),) if each is not None]
    if not listed:
        raise _none(source)
    files = (StoredFile(root, each.path, each.size, each.tag, settings) for each in listed)
    return sorted(files, key=lambda file: file.path)


def stored_file(root: str, path: str, storage: Mapping[str, Any]) -> StoredFile:
    """The file of that very path in the bucket or container at an address; ConfigError where there is none."""
    from tailrace.objects import Folder  # noqa: PLC0415 as above

    settings = _store_settings(storage)
    with _as_config_error(f"{root}/{path}"):
        found = Folder(settings, root).found(path)
    if found is None:
        raise ConfigError(f"there is no file {root}/{path}", hint="see whether something removes it early")
    return StoredFile(root, path, found.size, found.tag, settings)


def _store_settings(storage: Mapping[str, Any]) -> Any:
    from tailrace.objects.settings import StoreSettings  # noqa: PLC0415 as above

    try:
        return StoreSettings.model_validate(dict(storage))
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise ConfigError(f"it can't have {wrong} so", key="input_store", hint="see the page about inputs") from None


def _matching(folder: Folder, pattern: str) -> list[Listed]:
    """The files of a pattern, listed below the part of it that is none."""
    below = _PATTERN.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    wanted = _regex(pattern)
    return [each for each in folder.listed(below) if wanted.fullmatch(each.path)]


def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern of paths as a regular expression: `*` stays within a folder, `**` doesn't."""
    known = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    parts = []
    for token in _TOKENS.findall(pattern):
        if token in known:
            parts.append(known[token])
        elif len(token) > 1:
            inner = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
        else:
            parts.append(re.escape(token))
    return re.compile("".join(parts), re.DOTALL)


def _none(source: str) -> ConfigError:
    if _PATTERN.search(source):
        return ConfigError(
            f"no file matches {source}", key=_KEY, hint="put the pattern in quotes, and check its folder"
        )
    return ConfigError(f"there is no file {source}", key=_KEY, hint="check its bucket and path")


@contextmanager
def _as_config_error(name: str) -> Iterator[None]:
    """Raise what a store says as ConfigError about the input."""
    try:
        yield
    except DestinationError as error:
        raise ConfigError(f"{name} can't be read: {error}", key=_KEY, hint="see `input_store`") from error
