"""Blocks of whole lines parted by stream: each stream's RECORD lines, the states, and the other messages."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Protocol

from msgspec import Struct, structs

from tailrace.errors import MessageError
from tailrace.model import RecordBlock
from tailrace.native import is_installed, native
from tailrace.singer.envelope import RECORD_PREFIX, log_line, message_of, stream_of
from tailrace.singer.messages import ActivateVersionMessage, BatchMessage, Block, Message, SchemaMessage, StateMessage
from tailrace.singer.states import PassedState, StateMessages

_SPACE = b" \t\r\n"
_MAX_KNOWN = 10_000
_MAX_SCHEMA_BYTES = 64 * 2**20


class Parts(Struct, frozen=True):
    """What a block of lines comes to, and how many it has; with an `error`, what comes before the line of that."""

    block: Block
    lines: int
    error: MessageError | None = None


class Splitter(Protocol):
    """Parts the blocks of one input, given in order.

    A SCHEMA that is, byte by byte, the last one of its stream isn't told again.
    """

    def split(self, block: bytes, first_line: int) -> Parts:
        """The parts of lines that each end in a line feed, of which the first has that number."""


def splitter() -> Splitter:
    """The splitter of this installation: tailrace-native's where it is installed."""
    return NativeSplitter() if is_installed() else PythonSplitter()


class NativeSplitter:
    """The splitter of tailrace-native, which leaves lines that aren't certain to be read here."""

    def __init__(self) -> None:
        self._native = native("Splitter")()
        self._schemas: dict[bytes, SchemaMessage] = {}
        self._schema_bytes = 0

    def split(self, block: bytes, first_line: int) -> Parts:
        """The parts of the lines; see Splitter."""
        parts, (values, index), lines = self._native.split(block, first_line)
        messages: list[Message] = []
        states: list[PassedState] = []
        records: list[tuple[int, int]] = []
        count = size = 0  # a line that isn't certain parts all streams: what is before it has come by then
        error: MessageError | None = None
        for stream, data, spans, number in parts:
            if stream is not None:
                messages.append(RecordBlock(stream, (data,), spans, number))
                count, size = count + number, size + len(data)
                continue
            try:
                message = log_line(data, number) if spans else self._message(data, number)
            except MessageError as unreadable:
                error = error or unreadable
                continue
            if isinstance(message, StateMessage):
                states.append(PassedState(number, message.value, count, size))
                continue
            messages.append(message)
            if isinstance(message, RecordBlock):
                records.append((number, len(data)))
                count, size = count + 1, size + len(data)
        passed = StateMessages(values, index)
        if states or records:
            passed = StateMessages.of(merge(_counting(passed, records), states))
        found = Block(messages, passed)
        return Parts(found if error is None else found.before(error.line or 0), lines, error)

    def _message(self, data: bytes, line: int) -> Message | StateMessage:
        """The message of a line; schemas that take turns are read once each."""
        known = self._schemas.get(data)
        if known is not None:
            return structs.replace(known, line=line)
        message = message_of(data, line)
        if isinstance(message, SchemaMessage):
            self._schema_bytes += len(data)
            if self._schema_bytes > _MAX_SCHEMA_BYTES:
                self._schemas.clear()
                self._schema_bytes = len(data)
            self._schemas[data] = message
        return message


def _counting(states: StateMessages, records: Iterable[tuple[int, int]]) -> Iterator[PassedState]:
    """The states, with these records (line and size) counted before them too."""
    left, count, size = deque(records), 0, 0
    for state in states:
        while left and left[0][0] < state.line:
            count, size = count + 1, size + left.popleft()[1]
        yield state._replace(records=state.records + count, record_bytes=state.record_bytes + size)


class PythonSplitter:
    """The same in Python, line by line."""

    def __init__(self) -> None:
        self._streams: dict[bytes, str] = {}
        self._schemas: dict[str, bytes] = {}

    def split(self, block: bytes, first_line: int) -> Parts:
        """The parts of the lines; see Splitter."""
        lines = block.split(b"\n")
        del lines[-1]
        open_ = _Open()
        for line, text in enumerate(lines, first_line):
            data = text + b"\n"
            if not data.strip(_SPACE):
                continue
            try:
                self._take(open_, data, line)
            except MessageError as error:
                return Parts(open_.block(), len(lines), error)
        return Parts(open_.block(), len(lines))

    def _take(self, open_: _Open, data: bytes, line: int) -> None:
        start = RECORD_PREFIX.match(data)
        stream = self._stream(start[0], line) if start is not None else None
        if stream is not None:
            open_.add(stream, data, line)
            return
        message = message_of(data, line)
        if isinstance(message, RecordBlock):
            open_.add(message.stream, data, line)
        elif isinstance(message, StateMessage):
            open_.states.append(PassedState(line, message.value, open_.records, open_.size))
        elif not (isinstance(message, SchemaMessage) and self._is_known(message.stream, data)):
            if isinstance(message, SchemaMessage | ActivateVersionMessage | BatchMessage):
                open_.part(message.stream)
            open_.messages.append(message)

    def _stream(self, prefix: bytes, line: int) -> str | None:
        """The stream of lines that begin like this; None where that is no name."""
        if prefix not in self._streams:
            if len(self._streams) >= _MAX_KNOWN:
                self._streams.clear()
            try:
                self._streams[prefix] = stream_of(prefix, line)
            except MessageError:
                return None
        return self._streams[prefix]

    def _is_known(self, stream: str, data: bytes) -> bool:
        """Whether that line is the stream's last SCHEMA; from here on it is."""
        is_known = self._schemas.get(stream) == data
        if not is_known:
            self._schemas[stream] = data
            if sum(map(len, self._schemas.values())) > _MAX_SCHEMA_BYTES:
                self._schemas.clear()
        return is_known


class _Open:
    """What a block has come to so far, and the records that no message has parted yet."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.states: list[PassedState] = []
        self.records = 0
        self.size = 0
        self._streams: dict[str, tuple[list[bytes], array[int]]] = {}

    def add(self, stream: str, data: bytes, line: int) -> None:
        """Take in a RECORD line."""
        self.records += 1
        self.size += len(data)
        lines, spans = self._streams.setdefault(stream, ([], array("q")))
        lines.append(data)
        if spans and spans[-2] + spans[-1] == line:
            spans[-1] += 1
        else:
            spans.extend((line, 1))

    def part(self, stream: str) -> None:
        """Part the stream's records here."""
        if stream in self._streams:
            lines, spans = self._streams.pop(stream)
            self.messages.append(RecordBlock(stream, (b"".join(lines),), spans.tobytes(), len(lines)))

    def block(self) -> Block:
        """All of it."""
        for stream in list(self._streams):
            self.part(stream)
        return Block(self.messages, StateMessages.of(self.states))
