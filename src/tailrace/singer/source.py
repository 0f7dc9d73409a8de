"""Where the bytes come from: stdin, a file or a stream, compressed or not, read ahead in a thread of its own."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import queue
import re
import select
import stat
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, Self, cast

from msgspec import Struct

from tailrace.errors import ConfigError, TailraceError

_KEY = "INPUT"
_CHUNK_BYTES = 2**20
_COMPRESSED_BYTES = 2**14
"""Compressed bytes that are taken at once: they may become a thousand times as many."""
_COMPRESSED_CHUNK_BYTES = 2**16
_CHUNKS_AHEAD = 4
_CLOSE_WAIT_S = 0.2


def open_source(source: str | Path | BinaryIO | None) -> BinaryIO:
    """The bytes of a source, decompressed as they are read where they are gzip or zstandard data.

    A source is a path, "-" or None for stdin, or a binary stream. Closing what is given closes the file of a path, and
    leaves stdin and streams open. The first bytes tell compression; a path that ends in .gz or .zst must be what it
    says. Nothing is read yet, so a silent source holds nobody. Raises ConfigError when the source can't be opened.
    """
    if source is None or source == "-":
        stdin = _stdin()
        return cast(BinaryIO, _Source(stdin, "stdin", size=_size_of(stdin)))
    if isinstance(source, str | Path):
        file = _opened(Path(source))
        return decompressed(file, str(source), _size_of(file))
    name = str(getattr(source, "name", "the stream"))
    if isinstance(source, io.TextIOBase):
        raise ConfigError(f"{name} gives text, not bytes", key=_KEY, hint='open it with mode "rb"')
    return cast(BinaryIO, _Source(source, name))


def decompressed(file: BinaryIO, name: str, size: int | None = None) -> BinaryIO:
    """The bytes of an open file of that name and size, as open_source gives those of a path; it is closed with them."""
    expected = next((codec for codec in _CODECS if name.endswith(codec.suffix)), None)
    return cast(BinaryIO, _Source(file, name, expected=expected, owned=True, size=size))


class ChunkPump:
    """Reads a stream ahead in a daemon thread, a few chunks of up to 1 MiB; each has what there was, so none waits.

    Use as a context manager, or close it. `share` is how much of the input came with the chunks that were given, from
    0 to 1; None where the size isn't known.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.share: float | None = None
        self._stream = stream
        self._queue: queue.Queue[tuple[bytes | Exception, float | None]] = queue.Queue(_CHUNKS_AHEAD)
        self._end: bytes | Exception | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._pump, name="tailrace-input", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float | None) -> bytes | None:
        """The next chunk; None when there is none within the time, `b""` at the end, then again and again.

        Raises ConfigError, after the chunks before it, when the stream can't be read on.
        """
        if self._end is None:
            try:
                chunk, self.share = self._queue.get(timeout=timeout_s)
            except queue.Empty:
                return None
            if isinstance(chunk, bytes) and chunk:
                return chunk
            self._end = chunk
        if isinstance(self._end, Exception):
            raise self._end
        return self._end

    def close(self) -> None:
        """Stop reading. A thread that waits for a silent source is left behind, and ends with its next bytes."""
        self._closing.set()
        self._end = self._end or ValueError("the pump is closed")
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._thread.join(_CLOSE_WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pump(self) -> None:
        while not self._closing.is_set():
            chunk = self._chunk()
            self._queue.put((chunk, getattr(self._stream, "share", None)))
            if isinstance(chunk, Exception) or not chunk:
                return

    def _chunk(self) -> bytes | Exception:
        try:
            return _read(self._stream, _CHUNK_BYTES)
        except TailraceError as error:
            return error
        except Exception as error:  # noqa: BLE001 a stream of the caller's may raise anything, and it is raised by next
            failure = ConfigError(
                f"the input can't be read on: {error or type(error).__name__}",
                key=_KEY,
                hint="what was read before is kept",
            )
            failure.__cause__ = error
            return failure


class _Frame(Protocol):
    """What decompresses one gzip member or zstandard frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Codec(Struct, frozen=True):
    name: str
    suffix: str
    magic: re.Pattern[bytes]
    frame: Callable[[], _Frame]


def _zstandard() -> Any:
    return import_module("zstandard")  # most runs have no such data to read


_CODECS = (
    _Codec("gzip", ".gz", re.compile(rb"\x1f\x8b"), lambda: zlib.decompressobj(wbits=31)),
    _Codec(
        "zstandard",
        ".zst",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        lambda: _zstandard().ZstdDecompressor().decompressobj(),
    ),
)
_MAGIC_BYTES = 4


class _Source(io.RawIOBase):
    """A file's bytes, decompressed where they are compressed; what it reads is what there is."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        *,
        expected: _Codec | None = None,
        owned: bool = False,
        size: int | None = None,
    ) -> None:
        self._file = file
        self._size = size
        self._owned = owned
        self._chunks = _plain_chunks(file, name, expected)
        self._rest = memoryview(b"")

    @property
    def share(self) -> float | None:
        """How much of a file is read, of its bytes as they are stored, from 0 to 1; None where its size isn't known."""
        try:
            return min(self._file.tell() / self._size, 1.0) if self._size else None
        except ValueError:  # it is closed meanwhile
            return None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """What there is to read; a chunk that fits isn't copied."""
        if size < 0:
            return self.readall()
        if not self._rest:
            chunk = next(self._chunks, b"")
            if len(chunk) <= size:
                return chunk
            self._rest = memoryview(chunk)
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._owned:
            self._file.close()
        super().close()


def _plain_chunks(file: BinaryIO, name: str, expected: _Codec | None) -> Iterator[bytes]:
    """The chunks of a file, decompressed if its first bytes say so; these must be as expected."""
    start = b""
    while len(start) < _MAGIC_BYTES and (more := _read(file, _COMPRESSED_CHUNK_BYTES)):
        start += more
    codec = next((codec for codec in _CODECS if codec.magic.match(start)), None)
    if expected not in {None, codec}:
        raise ConfigError(
            f"{name} isn't {expected.name} data, which its name says it is",
            key=_KEY,
            hint="get the file again or rename it",
        )
    size = _COMPRESSED_CHUNK_BYTES if codec else _CHUNK_BYTES
    chunks = itertools.chain((start,), iter(lambda: _read(file, size), b""))
    yield from _decompressed(chunks, codec, name) if codec else chunks


def _decompressed(chunks: Iterable[bytes], codec: _Codec, name: str) -> Iterator[bytes]:
    """The content of all gzip members or zstandard frames, one after the other."""
    frame: _Frame | None = None
    for chunk in chunks:
        for at in range(0, len(chunk), _COMPRESSED_BYTES):
            data = chunk[at : at + _COMPRESSED_BYTES]
            while data:
                frame = frame or codec.frame()
                try:
                    plain = frame.decompress(data)
                except (zlib.error, _zstandard().ZstdError) as error:
                    raise ConfigError(
                        f"{name} holds damaged {codec.name} data: {error}", key=_KEY, hint="get the file again"
                    ) from error
                if plain:
                    yield plain
                data, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise ConfigError(
            f"{name} is cut off: it ends in the middle of its {codec.name} data", key=_KEY, hint="get the whole file"
        )


def _read(file: IO[bytes], max_bytes: int) -> bytes:
    """What there is to read, waiting for it; `b""` at the end."""
    read: Callable[[int], bytes | None] = getattr(file, "read1", file.read)
    while (data := read(max_bytes)) is None:
        select.select((file,), (), ())
    return data


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}", key=_KEY, hint="check the path; - is stdin") from error
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror}", key=_KEY, hint="name a file that can be"
        ) from error


def _size_of(file: BinaryIO) -> int | None:
    """The size of what is a file; None for pipes and terminals."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _stdin() -> BinaryIO:
    """Stdin without a buffer, whose lock a thread that waits for bytes would hold when the process ends."""
    if sys.stdin is None:
        raise ConfigError("there is no stdin", key=_KEY, hint="name a file")
    try:
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    except io.UnsupportedOperation:
        return sys.stdin.buffer
