"""Files of a store, or of a file system of Arrow's, as Python's files are."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Protocol, cast

from tailrace.objects.errors import translated_errors


class _Seekable(Protocol):
    """What a store, or a file system of Arrow's, opens."""

    def read(self, size: int, /) -> Any: ...
    def seek(self, offset: int, whence: int, /) -> int: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...


class _Readable(io.RawIOBase):
    """A file of a store, as Python's files are, whose errors are ours."""

    def __init__(self, file: _Seekable) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with translated_errors():
            read = bytes(self._file.read(len(buffer)))
        buffer[: len(read)] = read
        return len(read)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with translated_errors():
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def python_file(file: _Seekable) -> BinaryIO:
    """What a store, or a file system of Arrow's, opens as one of Python's files; it raises DestinationError."""
    return cast("BinaryIO", io.BufferedReader(_Readable(file)))
