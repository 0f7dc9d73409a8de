"""The reader: bytes in, messages out; RECORD lines stay raw bytes, and consecutive ones of a stream come as one run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tailrace.errors import MessageError
from tailrace.model import RecordRun
from tailrace.singer.envelope import RECORD_PREFIX, message_of, stream_of
from tailrace.singer.messages import Message

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_MAX_KNOWN = 10_000


class Reader:
    """A push parser: `feed` it the chunks in order, taking all messages of each, then `finish` it.

    Nothing is held back between chunks but a line that isn't whole yet. RECORD lines that begin with type and stream
    aren't parsed: whether such a line is well-formed is for the decoder to say. Lines of white space are skipped, and
    counted. A run has at most `max_run_bytes` and one line. A MessageError comes behind every message of the lines
    before it, and is the end: the reader can't go on after it.
    """

    def __init__(self, *, max_line_bytes: int, max_run_bytes: int = 2**20) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_run_bytes = max_run_bytes
        self._bytes_read = 0
        self._line = 0
        self._known: dict[bytes, _Known] = {}
        self._partial: list[bytes] = []
        self._partial_bytes = 0

    @property
    def bytes_read(self) -> int:
        """Bytes fed so far."""
        return self._bytes_read

    @property
    def line(self) -> int:
        """Lines read so far, those of white space too."""
        return self._line

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """The messages whose lines end in the chunk."""
        for at in range(0, len(chunk), self._max_run_bytes):
            piece = chunk[at : at + self._max_run_bytes]
            self._bytes_read += len(piece)
            whole = piece.rfind(b"\n") + 1
            if whole:
                yield from self._messages_of(self._with_partial(piece[:whole]))
            self._hold(piece[whole:])

    def finish(self) -> Iterator[Message]:
        """The message of a last line that no line feed ends; a MessageError where the input was cut off in it."""
        last = self._with_partial(b"\n")
        if last.strip(_SPACE) in {b"", _BYTE_ORDER_MARK}:
            return
        if not last.rstrip(_SPACE).endswith(b"}"):
            raise MessageError(
                "the input ends in the middle of this line, so it was cut off; "
                "see why the tap stopped, or get the whole file",
                line=self._line + 1,
            )
        yield from self._messages_of(last)

    def _hold(self, piece: bytes) -> None:
        """Keep the beginning of a line; in pieces, so that a long line isn't copied again with every chunk."""
        if piece:
            self._partial.append(piece)
            self._partial_bytes += len(piece)
        if self._partial_bytes > self._max_line_bytes:
            raise self._too_long()

    def _with_partial(self, rest: bytes) -> bytes:
        """What is held, and the rest."""
        block = b"".join((*self._partial, rest)) if self._partial else rest
        self._partial.clear()
        self._partial_bytes = 0
        return block

    def _messages_of(self, block: bytes) -> Iterator[Message]:
        """The messages of whole lines."""
        allowed = _allowed_bytes(block, self._max_line_bytes)
        lines = _normalised(block[:allowed], is_start=self._line == 0)
        runs: list[RecordRun] = []
        at = 0
        while at < len(lines):
            try:
                message, at = self._next(lines, at)
            except MessageError:
                if runs:
                    yield _joined(runs)
                raise
            if isinstance(message, RecordRun):
                if runs and runs[0].stream != message.stream:
                    yield _joined(runs)
                    runs = []
                runs.append(message)
            elif message is not None:
                if runs:
                    yield _joined(runs)
                    runs = []
                yield message
        if runs:
            yield _joined(runs)
        if allowed < len(block):
            raise self._too_long()

    def _next(self, lines: bytes, at: int) -> tuple[Message | None, int]:
        """The message at an offset, and the offset behind it; records come as many as have the same prefix."""
        start = RECORD_PREFIX.match(lines, at)
        if start is not None:
            known = self._known.get(start[0]) or self._learn(start)
            end, count = known.stretch(lines, at)
            run = RecordRun(known.stream, lines[at:end], ((self._line + 1, count),), known.prefix)
            self._line += count
            return run, end
        end = lines.index(b"\n", at) + 1
        line = lines[at:end]
        is_blank = line.isspace() and not line.strip(_SPACE)
        message = None if is_blank else message_of(line, self._line + 1)
        self._line += 1
        return message, end

    def _learn(self, start: re.Match[bytes]) -> _Known:
        """Remember a prefix, so that the lines after this one are found by it."""
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        prefix = start[0]
        pattern = re.compile(rb"\n(?!" + re.escape(prefix) + rb")")
        self._known[prefix] = _Known(stream_of(start, self._line + 1), prefix, pattern)
        return self._known[prefix]

    def _too_long(self) -> MessageError:
        return MessageError(
            f"the line is longer than {self._max_line_bytes} bytes; raise max_line_bytes if it is meant to be",
            line=self._line + 1,
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """A prefix that RECORD lines of a stream begin with; `last_line_end` is a line end that it doesn't follow."""

    stream: str
    prefix: bytes
    last_line_end: re.Pattern[bytes]

    def stretch(self, lines: bytes, at: int) -> tuple[int, int]:
        """Where the lines with this prefix end that begin at an offset, and how many they are.

        JSON has no line feed within a line, so the prefix behind a line feed always is a line's.
        """
        end = lines.index(b"\n", at) + 1
        if not lines.startswith(self.prefix, end):
            return end, 1
        last = self.last_line_end.search(lines, end)
        end = len(lines) if last is None else last.end()
        return end, lines.count(b"\n", at, end)


def _joined(runs: Sequence[RecordRun]) -> RecordRun:
    """Runs of one stream as one, with adjacent spans as one."""
    run = RecordRun.join(runs)
    if len(run.spans) == 1:
        return run
    spans = [run.spans[0]]
    for first, count in run.spans[1:]:
        before, lines = spans[-1]
        if before + lines == first:
            spans[-1] = (before, lines + count)
        else:
            spans.append((first, count))
    return replace(run, spans=tuple(spans))


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
