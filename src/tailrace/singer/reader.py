"""The reader: bytes in, blocks of messages out; RECORD lines stay raw bytes, and those of a stream stay together."""

from __future__ import annotations

from collections.abc import Iterator

from tailrace.errors import MessageError
from tailrace.singer.lines import splitter
from tailrace.singer.messages import Block
from tailrace.singer.unreadable import other_format

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"


class Reader:
    """A push parser: `feed` it the chunks in order, taking all blocks of each, then `finish` it.

    Nothing is held back between chunks but a line that isn't whole yet. RECORD lines that begin with type and stream
    aren't parsed: whether such a line is well-formed is for the decoder to say. Lines of white space are skipped, and
    counted; so is a SCHEMA that is the same as its stream's last one. A block has at most `max_block_bytes` and one
    line. Lines are counted from behind `before`. A MessageError comes behind every message of the lines before it, and
    is the end: the reader can't go on.
    """

    def __init__(self, *, max_line_bytes: int, max_block_bytes: int = 2**20, before: int = 0) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_block_bytes = max_block_bytes
        self._bytes_read = 0
        self._line = self._before = before
        self._splitter = splitter()
        self._partial: list[bytes] = []
        self._partial_bytes = 0

    @property
    def bytes_read(self) -> int:
        """Bytes fed so far."""
        return self._bytes_read

    @property
    def line(self) -> int:
        """The last line that was read, those of white space too."""
        return self._line

    def feed(self, chunk: bytes) -> Iterator[Block]:
        """What the lines come to that end in the chunk."""
        for at in range(0, len(chunk), self._max_block_bytes):
            piece = chunk[at : at + self._max_block_bytes]
            self._bytes_read += len(piece)
            whole = piece.rfind(b"\n") + 1
            if whole:
                yield from self._blocks_of(self._with_partial(memoryview(piece)[:whole]))
            self._hold(piece[whole:])

    def finish(self) -> Iterator[Block]:
        """What a last line comes to that no line feed ends; a MessageError where the input was cut off in it."""
        last = self._with_partial(memoryview(b"\n"))
        if last.strip(_SPACE) in {b"", _BYTE_ORDER_MARK}:
            return
        if not last.rstrip(_SPACE).endswith(b"}"):
            cut_off = (
                "the input ends in the middle of this line, so it was cut off; "
                "see why the tap stopped, or get the whole file"
            )
            raise MessageError((self._line == self._before and other_format(last)) or cut_off, line=self._line + 1)
        yield from self._blocks_of(last)

    def _hold(self, piece: bytes) -> None:
        """Keep the beginning of a line; in pieces, so that a long line isn't copied again with every chunk."""
        if piece:
            self._partial.append(piece)
            self._partial_bytes += len(piece)
        if self._partial_bytes > self._max_line_bytes:
            raise self._too_long()

    def _with_partial(self, rest: memoryview) -> bytes:
        """What is held, and the rest, copied once."""
        block = b"".join((*self._partial, rest))
        self._partial.clear()
        self._partial_bytes = 0
        return block

    def _blocks_of(self, lines: bytes) -> Iterator[Block]:
        """What whole lines come to."""
        allowed = _allowed_bytes(lines, self._max_line_bytes)
        is_start, first = self._line == self._before, self._line + 1
        parts = self._splitter.split(_normalised(lines[:allowed], is_start=is_start), first)
        self._line = self._line + parts.lines if parts.error is None else (parts.error.line or first) - 1
        if parts.block.messages or len(parts.block.states):
            yield parts.block
        if parts.error is not None:
            is_first = is_start and parts.error.line == first
            format_ = other_format(lines.partition(b"\n")[0]) if is_first else None
            raise MessageError(format_, line=first) if format_ else parts.error
        if allowed < len(lines):
            raise self._too_long()

    def _too_long(self) -> MessageError:
        return MessageError(
            f"the line is longer than {self._max_line_bytes} bytes; raise max_line_bytes if it is meant to be",
            line=self._line + 1,
        )


def _normalised(block: bytes, *, is_start: bool) -> bytes:
    """Lines that end in a line feed alone, without the byte order mark that an input may begin with."""
    if is_start:
        block = block.removeprefix(_BYTE_ORDER_MARK)
    return block.replace(b"\r\n", b"\n") if b"\r" in block else block


def _allowed_bytes(block: bytes, max_line_bytes: int) -> int:
    """How many bytes there are before the first line that is too long."""
    at = 0
    while len(block) - at > max_line_bytes:
        end = block.rfind(b"\n", at, at + max_line_bytes + 1)
        if end < 0:
            return at
        at = end + 1
    return at if at == len(block) else len(block)
