"""Roots: the folders and addresses below which a tap's files may stand; an address that it sends is never trusted."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tailrace.errors import ConfigError, MessageError
from tailrace.inputs.places import InputFile, stored_file

_KEY = "batch_roots"
_ADDRESS = re.compile(r"(?:([A-Za-z0-9]+)://([^/]*))?(?:/(.*))?", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NEVER = re.compile(r"[\x00-\x1f\x7f\\?#]")
_DISGUISED = re.compile(r"%(?:2e|2f|5c|[01][0-9a-f]|7f|(?![0-9a-f]{2}))", re.IGNORECASE)
_STORES = ("s3", "s3a", "gs", "az")
_SHOWN = 200
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = _NO_LINK | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = _NO_LINK | os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)


class _Place(Struct, frozen=True):
    """An address taken apart: the scheme, the bucket or container, and the names on the way from there."""

    scheme: str
    bucket: str
    names: tuple[str, ...]


class _Root(Struct, frozen=True):
    """A root as addresses name it, and the folder of this machine that it is, without links."""

    place: _Place
    real: tuple[str, ...] = ()

    def below(self, place: _Place) -> tuple[str, ...]:
        """The names on the way from here to a place; none where it isn't below."""
        length = len(self.place.names)
        begin = _Place(place.scheme, place.bucket, place.names[:length])
        return place.names[length:] if begin == self.place else ()


class RootedFile(Struct, frozen=True):
    """A file of this machine, to which no link leads. An InputFile."""

    names: tuple[str, ...]
    size: int = 0
    tag: str = ""

    @property
    def name(self) -> str:
        """Its path."""
        return str(Path("/", *self.names))

    def open(self) -> BinaryIO:
        """Its bytes; ConfigError where there is no such file, or a link on the way."""
        try:
            return os.fdopen(self._descriptor(), "rb", buffering=0)
        except FileNotFoundError as error:
            raise ConfigError(f"there is no file {self.name}", hint="see whether something removes it early") from error
        except OSError as error:
            raise ConfigError(
                f"{self.name} isn't a file that can be read: {error.strerror}",
                hint="below batch_roots no link is followed",
            ) from error

    def _descriptor(self) -> int:
        """The open file; each folder is opened within the last one, so that nobody can exchange one on the way."""
        with ExitStack() as opened:
            folder = os.open("/", _FOLDER)
            opened.callback(os.close, folder)
            for name in self.names[:-1]:
                folder = os.open(name, _FOLDER, dir_fd=folder)
                opened.callback(os.close, folder)
            file = os.open(self.names[-1], _FILE, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(0, "it is something else")
        return file


class Roots:
    """Finds the files that a tap names, each below one of these roots.

    `storage` are the settings of object stores. Raises ConfigError for a root that is no folder or address.
    """

    def __init__(self, roots: Sequence[str], storage: Mapping[str, Any]) -> None:
        self._storage = storage
        self._roots = [root for given in roots for root in _roots(given)]

    def files(self, manifest: Sequence[str], line: int) -> list[InputFile]:
        """The files of a manifest in that line.

        Raises MessageError where one of them isn't below a root, or isn't there; ConfigError where there is no root.
        """
        if not self._roots:
            raise ConfigError(
                f"line {line} is a BATCH message, and no file may be read for it",
                key=_KEY,
                hint="name the folders or addresses that the tap writes to, or turn batches off in the tap's config",
                line=line,
            )
        return [self._file(address, line) for address in manifest]

    def _file(self, address: str, line: int) -> InputFile:
        place = _place(address)
        if place is None:
            raise _refused(address, "it isn't the plain address of a file", line)
        found = next(((root, names) for root in self._roots if (names := root.below(place))), None)
        if found is None:
            raise _refused(address, f"it isn't below any of {_KEY}", line)
        if place.scheme == "file":
            return RootedFile((*found[0].real, *found[1]))
        try:
            return stored_file(f"{place.scheme}://{place.bucket}", "/".join(place.names), self._storage)
        except ConfigError as error:
            raise MessageError(str(error), line=line) from error


def _roots(given: str) -> list[_Root]:
    """A root by the names that lead to it: as it is written, and as it is without links."""
    place = _place(given.rstrip("/") or "/") if "://" in given else _Place("file", "", _parts(Path(given).absolute()))
    if place is None:
        raise ConfigError(
            f"{given[:_SHOWN]!r} is neither a folder nor an address",
            key=_KEY,
            hint="addresses are as s3://bucket/path, gs://bucket/path or az://container/path",
        )
    if place.scheme != "file":
        return [_Root(place)]
    real = _parts(Path("/", *place.names).resolve())
    return [_Root(place, real), _Root(_Place("file", "", real), real)]


def _parts(path: Path) -> tuple[str, ...]:
    return path.parts[1:]


def _place(address: str) -> _Place | None:
    """The parts of an address; None where it isn't written as plainly as it can be."""
    found = _ADDRESS.fullmatch(address)
    if found is None or _NEVER.search(address) or _DISGUISED.search(address):
        return None
    scheme, bucket, path = (found[1] or "").lower(), found[2] or "", found[3] or ""
    if scheme == "file":
        try:
            path = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return None
    names = tuple(path.split("/")) if path else ()
    is_known = bool(_BUCKET.fullmatch(bucket)) if scheme in _STORES else scheme in {"", "file"} and not bucket
    if not is_known or {"", ".", ".."} & {*names}:
        return None
    return _Place(scheme or "file", bucket, names)


def _refused(address: str, why: str, line: int) -> MessageError:
    shown = address if len(address) <= _SHOWN else f"{address[:_SHOWN]}…"
    return MessageError(
        f"the BATCH message's manifest names {shown!r}, and {why}; "
        "files are read by plain addresses below batch_roots alone",
        line=line,
    )
