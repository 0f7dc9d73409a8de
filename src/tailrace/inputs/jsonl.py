"""JSON Lines: each line is a record, whose schema is what all lines of the file come to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from msgspec import structs

from tailrace.config import Settings
from tailrace.decode import decoder
from tailrace.errors import MessageError, RecordError
from tailrace.inputs.places import InputFile
from tailrace.model import Clock, RecordBlock, Refused, Traits
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import SchemaMessage
from tailrace.singer.source import decompressed

_CHUNK_BYTES = 2**20
_SHOWN_BYTES = 80
_MAX_LINE_BYTES = 2**30
_LINES = msgspec.json.Decoder(msgspec.Raw)
_MARK = b"\xef\xbb\xbf"


def record_blocks(
    given: InputFile, stream: str, before: int, max_line_bytes: int = _MAX_LINE_BYTES, *, version: int | None = None
) -> Iterator[RecordBlock]:
    """The lines of a file as RECORD lines of the stream, counted from behind `before`; those of white space are left.

    A line that isn't one JSON value becomes a record that is text, which every schema refuses. All have the version,
    if one is given. Raises MessageError for a line that is too long.
    """
    start = b'{"type":"RECORD","stream":' + msgspec.json.encode(stream) + b',"record":'
    end = b"}\n" if version is None else b',"version":%d}\n' % version
    line = before
    for lines in _whole_lines(given, max_line_bytes):
        count = lines.count(b"\n")
        if len(lines) > max_line_bytes:
            _require_short(lines, line, max_line_bytes)
        if _are_sound(lines, count):
            data = start + lines[:-1].replace(b"\n", end + start) + end
            yield RecordBlock.of(stream, data, (line + 1, count))
        else:
            for number, text in enumerate(lines.split(b"\n")[:-1], start=line + 1):
                if text.strip():
                    yield RecordBlock.of(stream, start + _sound(text) + end, (number, 1))
        line += count


def inferred_schema(given: InputFile, stream: str, before: int, settings: Settings, traits: Traits) -> SchemaMessage:
    """The SCHEMA that the records of all lines come to, as streams grow by fields that no schema names.

    Raises RecordError where no line is a record.
    """
    message = SchemaMessage(0, stream, b'{"type":"object","properties":{}}', None, (), None, None)
    streams = Streams(settings.model_copy(update={"unknown_fields": "evolve", "streams": {}}), traits)
    clock = Clock(datetime.now(UTC), lambda: datetime.now(UTC))
    plan = streams.accept(message)
    if plan is None:
        return message
    decoding = decoder(plan, clock)
    refused: Refused | None = None
    for block in record_blocks(given, stream, before, settings.max_line_bytes):
        while (growth := (decoded := decoding.decode(block)).growth) is not None:
            plan = streams.grow(plan, growth)
            decoding = decoder(plan, clock)
        refused = refused or next(iter(decoded.refused), None)
    if refused and not plan.columns:
        raise RecordError(stream, refused.line, refused.violations)
    return structs.replace(message, json_schema=plan.json_schema)


def _whole_lines(given: InputFile, max_line_bytes: int) -> Iterator[bytes]:
    """The file's content in pieces that end with a line; the last one with what is too long for a line."""
    held: list[bytes] = []
    with decompressed(given.open(), given.name) as source:
        is_start = True
        while chunk := source.read(_CHUNK_BYTES):
            if is_start:
                chunk, is_start = chunk.removeprefix(_MARK), False
            end = chunk.rfind(b"\n") + 1
            if end:
                yield b"".join((*held, chunk[:end]))
                held.clear()
            held.append(chunk[end:])
            if sum(map(len, held)) > max_line_bytes:
                break
    if any(piece.strip() for piece in held):
        yield b"".join((*held, b"\n"))


def _require_short(lines: bytes, before: int, max_line_bytes: int) -> None:
    """Raise MessageError for the first line that is too long."""
    for number, text in enumerate(lines.split(b"\n"), start=before + 1):
        if len(text) > max_line_bytes:
            reason = f"the line is longer than {max_line_bytes} bytes; raise max_line_bytes if it is meant to be"
            raise MessageError(reason, line=number)


def _are_sound(lines: bytes, count: int) -> bool:
    """Whether each line is one JSON value."""
    try:
        return len(_LINES.decode_lines(lines)) == count
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _sound(text: bytes) -> bytes:
    """The line, if it is one JSON value; what it begins with, as JSON text, where it isn't."""
    try:
        _LINES.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode(text[:_SHOWN_BYTES].decode(errors="replace"))
    return text
