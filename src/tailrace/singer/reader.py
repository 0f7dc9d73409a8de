"""The reader: bytes in, messages out; RECORD lines stay raw bytes, and consecutive ones of a stream come as one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tailrace.errors import MessageError
from tailrace.model import RecordBlock
from tailrace.singer.envelope import message_of, stream_of
from tailrace.singer.lines import Stretch, splitter
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
        self._split = splitter()
        self._streams: dict[bytes, str] = {}
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
                yield from self._messages_of(self._with_partial(memoryview(piece)[:whole]))
            self._hold(piece[whole:])

    def finish(self) -> Iterator[Message]:
        """The message of a last line that no line feed ends; a MessageError where the input was cut off in it."""
        last = self._with_partial(memoryview(b"\n"))
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

    def _with_partial(self, rest: memoryview) -> bytes:
        """What is held, and the rest, copied once."""
        block = b"".join((*self._partial, rest))
        self._partial.clear()
        self._partial_bytes = 0
        return block

    def _messages_of(self, block: bytes) -> Iterator[Message]:
        """The messages of whole lines."""
        allowed = _allowed_bytes(block, self._max_line_bytes)
        lines = _normalised(block[:allowed], is_start=self._line == 0)
        runs: list[RecordBlock] = []
        for stretch in self._split(lines):
            try:
                message = self._message(lines, stretch)
            except MessageError:
                if runs:
                    yield _joined(runs)
                raise
            if isinstance(message, RecordBlock):
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

    def _message(self, lines: bytes, stretch: Stretch) -> Message | None:
        """The message of a stretch of the lines; none where it is a line of white space."""
        start, end, count, record_start = stretch
        line = self._line + 1
        data = lines[start:end]
        if record_start is not None:
            stream = self._stream(lines[start:record_start], line)
            message: Message | None = RecordBlock(stream, (data,), ((line, count),))
        else:
            is_blank = data.isspace() and not data.strip(_SPACE)
            message = None if is_blank else message_of(data, line)
        self._line += count
        return message

    def _stream(self, prefix: bytes, line: int) -> str:
        """The stream of lines that begin like this."""
        if prefix not in self._streams:
            if len(self._streams) >= _MAX_KNOWN:
                self._streams.clear()
            self._streams[prefix] = stream_of(prefix, line)
        return self._streams[prefix]

    def _too_long(self) -> MessageError:
        return MessageError(
            f"the line is longer than {self._max_line_bytes} bytes; raise max_line_bytes if it is meant to be",
            line=self._line + 1,
        )


def _joined(runs: Sequence[RecordBlock]) -> RecordBlock:
    """Runs of one stream as one, with adjacent spans as one."""
    run = RecordBlock.join(runs)
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
