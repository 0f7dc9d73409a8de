"""One line as a message: the envelope around schemas, states and records, and every way in which it can be wrong."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable

import msgspec
from msgspec import Struct

from tailrace.errors import MessageError
from tailrace.model import RecordBlock
from tailrace.singer.messages import (
    ActivateVersionMessage,
    BatchMessage,
    LogLine,
    Message,
    SchemaMessage,
    StateMessage,
)
from tailrace.singer.unreadable import EXCERPT_BYTES, excerpt, reason_unreadable, record_stream

_SPACE = rb"[ \t\r]*+"
_RECORD = rb'"(?i:RECORD)"'
_STREAM = rb'("(?:[^"\\\n]++|\\.)*+")'


def _spaced(*tokens: bytes) -> bytes:
    return b"".join(_SPACE + token for token in tokens)


_START = _spaced(
    rb"\{",
    rb"(?:" + _spaced(b'"type"', b":", _RECORD, b",", b'"stream"', b":", _STREAM),
    rb"|" + _spaced(b'"stream"', b":", _STREAM, b",", b'"type"', b":", _RECORD) + rb")",
)
_RECORD_START = re.compile(_START)
RECORD_PREFIX = re.compile(_START + _spaced(b",", b'"record"', b":"))
"""The start of a RECORD line that names type and stream first, up to the colon before its record."""


class _Head(msgspec.Struct):
    """What tells RECORD lines from others."""

    type: str = ""
    stream: str = ""


class _LogHead(msgspec.Struct):
    """A line for the log."""

    level: str
    message: str


_HEAD = msgspec.json.Decoder(_Head)
_LOG_HEAD = msgspec.json.Decoder(_LogHead)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PLAIN = ("none", "gzip", "zstd")
_COMPRESSIONS = {"jsonl": _PLAIN, "parquet": (*_PLAIN, "snappy", "brotli", "lz4"), "arrow": _PLAIN}
"""The formats of BATCH files, and how each may be compressed."""
_INTEGER = re.compile(rb"-?[0-9]{1,19}")


def stream_of(prefix: bytes, line: int) -> str:
    """The stream that the start of a RECORD line names, which RECORD_PREFIX or more of it matches.

    Raises MessageError where that is no name.
    """
    start = _RECORD_START.match(prefix)
    if start is None:
        raise ValueError("no RECORD line starts like this")
    return _Envelope(line, "RECORD", {"stream": msgspec.Raw(start[1] or start[2])}).name("stream")


def message_of(data: bytes, line: int) -> Message | StateMessage:
    """The message that a line, ended by a line feed, holds.

    A RECORD comes as a block of one line; nothing but its type and stream is looked at.
    Raises MessageError for all that isn't a message.
    """
    stream = _record_stream(data)
    if stream:
        return RecordBlock.of(stream, data, (line, 1))
    try:
        fields = _FIELDS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        named = stream_of(data, line) if _RECORD_START.match(data) else record_stream(data)
        if named is None:
            raise MessageError(reason_unreadable(data, error), line=line) from error
        return RecordBlock.of(named, data, (line, 1))
    envelope = _Envelope(line, _type_of(fields, line), fields)
    if envelope.type == "RECORD":
        raise envelope.wrong("stream", "a name")
    if envelope.type not in _MESSAGES:
        raise MessageError(_unknown(envelope.type), line=line)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MessageError(reason_unreadable(data, error), line=line) from error
    if envelope.type != "LOG":
        _refuse_repeated_keys(text, envelope)
    return _MESSAGES[envelope.type](envelope)


def log_line(data: bytes, line: int) -> Message | StateMessage:
    """The message of a line that is known to be for the log."""
    try:
        head = _LOG_HEAD.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return message_of(data, line)
    return LogLine(line, head.level, head.message)


def _record_stream(data: bytes) -> str | None:
    """The stream of a well-formed RECORD; None where it is something else, or wrong in a way to be told elsewhere."""
    try:
        head = _HEAD.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return head.stream if _in_capitals(head.type) == "RECORD" else None


class _Envelope(Struct, frozen=True):
    """A message's own fields as JSON texts, read with errors that name the line, the message and the field."""

    line: int
    type: str
    fields: dict[str, msgspec.Raw]

    def raw(self, key: str) -> bytes | None:
        """The field's JSON text; None where it is missing or null."""
        value = self.fields.get(key)
        return None if value is None or bytes(value) == b"null" else bytes(value)

    def text(self, key: str) -> str:
        """The field as a string."""
        try:
            return msgspec.json.decode(self.raw(key) or b"", type=str)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.wrong(key, "a string") from error

    def name(self, key: str) -> str:
        """The field as a string that isn't empty."""
        text = self.text(key)
        if not text:
            raise self.wrong(key, "a name")
        return text

    def names(self, key: str) -> tuple[str, ...] | None:
        """The field as a list of strings; None where it is missing or null."""
        raw = self.raw(key)
        try:
            return None if raw is None else msgspec.json.decode(raw, type=tuple[str, ...])
        except msgspec.DecodeError as error:
            raise self.wrong(key, "a list of strings or null") from error

    def within(self, key: str) -> _Envelope:
        """The field's own members, by their paths."""
        try:
            fields = _FIELDS.decode(self.raw(key) or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self.wrong(key, "an object") from error
        return _Envelope(self.line, self.type, {f"{key}.{name}": value for name, value in fields.items()})

    def integer(self, key: str) -> int:
        """The field as an integer of 64 bits."""
        raw = self.raw(key) or b""
        number = int(raw) if _INTEGER.fullmatch(raw) else None
        if number is None or not -(2**63) <= number < 2**63:
            raise self.wrong(key, "an integer of 64 bits")
        return number

    def flag(self, key: str) -> bool | None:
        """The field as true or false; None where it is missing or null."""
        raw = self.raw(key)
        if raw not in {None, b"true", b"false"}:
            raise self.wrong(key, "true, false or null")
        return None if raw is None else raw == b"true"

    def wrong(self, key: str, expected: str) -> MessageError:
        """The error that this field isn't as it must be."""
        value = self.fields.get(key)
        got = f"is {excerpt(bytes(value))}" if value is not None else "is missing"
        return MessageError(f"the {self.type} message's {key!r} {got}; it must be {expected}", line=self.line)


def _type_of(fields: dict[str, msgspec.Raw], line: int) -> str:
    """The message's type as we know it; a line of two strings, level and message, counts as a LOG."""
    if "type" in fields:
        return _in_capitals(_Envelope(line, "Singer", fields).name("type"))
    if all(bytes(fields.get(key, b"")).startswith(b'"') for key in ("level", "message")):
        return "LOG"
    raise MessageError(f"the message has no 'type'; it must be one of {', '.join(_KNOWN)}", line=line)


def _in_capitals(type_: str) -> str:
    """A message's type as the specification writes it, where it is one of its types; some taps write `record`."""
    return type_.upper() if type_.isascii() and type_.upper() in _KNOWN else type_


def _schema(envelope: _Envelope) -> SchemaMessage:
    json_schema = envelope.raw("schema")
    if json_schema is None or not json_schema.startswith(b"{"):
        raise envelope.wrong("schema", "an object")
    conflict = None if envelope.raw("unique_conflict_method") is None else envelope.text("unique_conflict_method")
    if conflict not in {None, "UPDATE", "IGNORE"}:
        raise envelope.wrong("unique_conflict_method", "UPDATE or IGNORE")
    return SchemaMessage(
        line=envelope.line,
        stream=envelope.name("stream"),
        json_schema=json_schema,
        key_properties=envelope.names("key_properties"),
        bookmark_properties=envelope.names("bookmark_properties") or (),
        unique_constraints=envelope.names("unique_constraints"),
        unique_conflict_method=conflict,
        replication_method=None if envelope.raw("replication_method") is None else envelope.text("replication_method"),
        disable_column_type_check=envelope.flag("disable_column_type_check"),
    )


def _state(envelope: _Envelope) -> StateMessage:
    if "value" not in envelope.fields:
        raise envelope.wrong("value", "the state to go on from")
    return StateMessage(envelope.line, bytes(envelope.fields["value"]))


def _activate_version(envelope: _Envelope) -> ActivateVersionMessage:
    return ActivateVersionMessage(envelope.line, envelope.name("stream"), envelope.integer("version"))


def _log(envelope: _Envelope) -> LogLine:
    return LogLine(envelope.line, envelope.text("level"), envelope.text("message"))


def _batch(envelope: _Envelope) -> BatchMessage:
    encoding = envelope.within("encoding")
    format_ = encoding.text("encoding.format")
    if format_ not in _COMPRESSIONS:
        raise encoding.wrong("encoding.format", f"one of {', '.join(_COMPRESSIONS)}")
    compression = "none" if encoding.raw("encoding.compression") is None else encoding.text("encoding.compression")
    if compression not in _COMPRESSIONS[format_]:
        raise encoding.wrong("encoding.compression", f"one of {', '.join(_COMPRESSIONS[format_])}")
    manifest = envelope.names("manifest")
    if manifest is None:
        raise envelope.wrong("manifest", "a list of addresses of files")
    version = None if envelope.raw("version") is None else envelope.integer("version")
    return BatchMessage(envelope.line, envelope.name("stream"), format_, compression, manifest, version)


_MESSAGES: dict[str, Callable[[_Envelope], Message | StateMessage]] = {
    "SCHEMA": _schema,
    "STATE": _state,
    "ACTIVATE_VERSION": _activate_version,
    "LOG": _log,
    "BATCH": _batch,
}
_KNOWN = ("RECORD", *_MESSAGES)


def _refuse_repeated_keys(text: str, envelope: _Envelope) -> None:
    try:
        # Numbers stay text: they aren't looked at, and Python makes no integer of more than 4300 digits.
        members = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise MessageError(reason_unreadable(text.encode(), error), line=envelope.line) from error
    keys = [key for key, _ in members]
    if len(keys) > len(envelope.fields):
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise MessageError(f"the {envelope.type} message has {repeated!r} more than once", line=envelope.line)


def _unknown(type_: str) -> str:
    nearest = difflib.get_close_matches(type_.upper()[:EXCERPT_BYTES], _KNOWN, n=1)
    advice = f"did it mean {nearest[0]}?" if nearest else f"the types are {', '.join(_KNOWN)}"
    return f"the message's type {type_[:EXCERPT_BYTES]!r} isn't known; {advice}"
