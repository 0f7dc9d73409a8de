"""The readable truth of decoding: one record at a time, every value by its column's own function."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import Struct, field

from tailrace.decode.coercion import Coerced, document_of
from tailrace.decode.deletions import with_marks
from tailrace.decode.growing import Schema, form_of, schema_of, widened
from tailrace.decode.layout import Object, RecordLayout, Value
from tailrace.decode.lines import (
    fields_of,
    is_too_deep,
    is_utf8,
    refuse_deep,
    refuse_if_not_utf8,
    refuse_unreadable,
    repeated_names,
)
from tailrace.decode.metadata import Facts, filled
from tailrace.decode.numbers import InexactFloat, int64_of, is_number
from tailrace.decode.refusal import UnfitError, UnreadableError, json_path, shown
from tailrace.decode.times import cut_timestamp_us, timestamp_us
from tailrace.decode.validate import violations_finder
from tailrace.decode.values import Convert, converter
from tailrace.errors import Violation
from tailrace.model import Clock, Decoded, Fill, Growth, Inexact, Kind, Noted, RecordBlock, Refused, Stream

_TEXT = msgspec.json.Decoder(str)
_NULL = b"null"
_INT64_START, _INT64_END = -(2**63), 2**63


class _Row(Struct):
    """One record on its way into columns, and all that is wrong with it."""

    values: list[Any]
    violations: list[Violation]
    unknown: list[str] | None = None
    grown: dict[str, str] | None = None
    version: int | None = None
    extracted_at: int | None = None
    coerced: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)


_Step = tuple[str, Convert | None, Value | Object]


class _Found(Struct):
    """What a block has come to so far: rows in the order of their lines, and what is to be told."""

    lines: list[int] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    versions: list[int | None] = field(default_factory=list)
    extracted_at: list[int | None] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    grown: dict[str, set[str]] = field(default_factory=dict)
    grown_line: int = 0
    coerced: dict[str, Noted] = field(default_factory=dict)
    odd: dict[str, Noted] = field(default_factory=dict)

    def add(self, line: int, row: _Row) -> None:
        """Take in a record that has nothing wrong with it."""
        self.lines.append(line)
        self.rows.append(row.values)
        self.versions.append(row.version)
        self.extracted_at.append(row.extracted_at)
        if row.unknown:
            self.unknown.update(row.unknown)
        for name, form in (row.grown or {}).items():
            self.grown_line = self.grown_line or line
            self.grown.setdefault(name, set()).add(form)
        for noted, names in ((self.coerced, row.coerced), (self.odd, row.odd)):
            for name in names:
                noted[name] = noted[name] + Noted(1, line) if name in noted else Noted(1, line)


class Reference:
    """Decodes the blocks of one stream."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._layout = layout = RecordLayout(stream)
        self._steps = {inside.path: self._steps_of(inside) for inside in (layout.record, *layout.record.objects())}
        self._evolved = {(name,) for name in stream.evolved}
        self._keys = {c.path for c in layout.columns if c.name in stream.key}
        self._stream_name = msgspec.json.encode(stream.name)
        self._has_extracted_at = stream.filled_with(Fill.EXTRACTED_AT) is not None
        self._floats = [(at, c.name) for at, c in enumerate(layout.columns) if c.kind is Kind.FLOAT]
        # The marks come last; what is in them has a column of the stream's to go to, or makes the stream grow by one.
        marks = len(layout.marks) if layout.deletion is None else 0
        self._mark_slots = range(len(layout.columns) - marks, len(layout.columns))
        self._keyword_violations = violations_finder(layout) if stream.validation == "full" else None

    def _steps_of(self, layout: Object) -> list[_Step]:
        """An object's fields in the order in which they are read; without a function, those that fill no column."""
        is_draft4 = self._layout.is_draft4
        return [
            (name, converter(field, is_draft4=is_draft4), field)
            if isinstance(field, Value) and field.column
            else (name, None, field)
            for name, field in layout.fields.items()
        ]

    def decode(self, block: RecordBlock) -> Decoded:
        """The block as columns."""
        return self.decode_at(block, self._clock.now())

    def decode_bare(self, block: RecordBlock) -> Decoded:
        """A block of records alone, without messages around them, as columns."""
        return self.decode_at(block, self._clock.now(), is_bare=True)

    def decode_at(self, block: RecordBlock, now: datetime, *, is_bare: bool = False) -> Decoded:
        """The block as columns, with that time as now."""
        found = _Found()
        is_clean = is_utf8(block.data)
        for number, line in zip(block.lines(), block.data.split(b"\n"), strict=False):
            try:
                if not is_clean:
                    refuse_if_not_utf8(line)
                if is_too_deep(line):
                    refuse_deep(line)
                row = self._bare_row(line) if is_bare else self._row(line)
            except UnreadableError as error:
                found.refused.append(Refused(block.stream, number, line, error.violations))
                continue
            if row.violations:
                found.refused.append(Refused(block.stream, number, line, tuple(row.violations)))
            else:
                found.add(number, row)
        return self._growth(found) or self._decoded(found, now)

    def _bare_row(self, record: bytes) -> _Row:
        row = _Row([None] * len(self._layout.columns), [])
        try:
            if not record.lstrip().startswith(b"{"):
                raise UnreadableError(Violation("type", "$", "a record (an object)", shown(record)))
            fields = fields_of(record)
        except (msgspec.DecodeError, RecursionError) as error:
            refuse_unreadable(b'{"record":%s}' % record, error)
        self._read_record(record, fields, row)
        return row

    def _row(self, line: bytes) -> _Row:
        row = _Row([None] * len(self._layout.columns), [])
        try:
            message = fields_of(line)
            for name in repeated_names(line, message):
                row.violations.append(
                    Violation("duplicate_key", "$", "each key of the message once", f"{name!r} again")
                )
            self._read_message(message, row)
            record = message.get("record", _NULL)
            if not record.startswith(b"{"):
                raise UnreadableError(Violation("type", "$", "a record (an object)", shown(record)))
            fields = fields_of(record)
        except (msgspec.DecodeError, RecursionError) as error:
            refuse_unreadable(line, error)
        self._read_record(record, fields, row)
        return row

    def _read_record(self, record: bytes, fields: dict[str, bytes], row: _Row) -> None:
        self._read_object(self._layout.record, record, fields, row)
        if self._keyword_violations and not row.grown:
            known = {violation.path for violation in row.violations}
            row.violations += (v for v in self._keyword_violations(record) if v.path not in known)

    def _read_message(self, message: dict[str, bytes], row: _Row) -> None:
        """What the message says beside the record."""
        for name, expected in (("type", b'"RECORD"'), ("stream", self._stream_name)):
            sent = message.get(name, _NULL)
            if sent != expected and not _is_same_text(sent, expected, any_case=name == "type"):
                row.violations.append(Violation("type", f"$.{name}", expected.decode(), shown(sent)))
        version = message.get("version", _NULL)
        if version != _NULL:
            row.version = self._version(version, row)
        extracted_at = message.get("time_extracted", _NULL)
        if extracted_at != _NULL and self._has_extracted_at:
            row.extracted_at = _extracted_at(extracted_at, row)

    def _version(self, raw: bytes, row: _Row) -> int | None:
        """The version, which says what becomes of the row later: a record with none that can be told is refused."""
        text = _TEXT.decode(raw).encode() if raw.startswith(b'"') else raw
        try:
            version = int64_of(text if is_number(text) else raw, is_written_plainly=False)
        except UnfitError as unfit:
            row.violations.append(unfit.violation(("version",), raw))
            return None
        if not raw.removeprefix(b"-").isdigit():
            row.odd.append("version")
        return version

    def _read_object(self, layout: Object, raw: bytes, fields: dict[str, bytes], row: _Row) -> None:
        for name in repeated_names(raw, fields):
            row.violations.append(
                Violation("duplicate_key", json_path((*layout.path, name)), "each field once", f"{name!r} again")
            )
        for name, convert, planned in self._steps[layout.path]:
            sent = fields.pop(name, None)
            if convert is None:
                if isinstance(planned, Object):
                    self._read_flattened(planned, sent, row)
            elif sent is None:
                self._read_missing(planned, row)
            elif sent == _NULL:
                self._read_null(planned, row)
            else:
                self._read_value(planned, convert, sent, row)
        if fields:
            self._note_unknown(layout, fields, row)

    def _read_value(self, value: Value | Object, convert: Convert, sent: bytes, row: _Row) -> None:
        slot = value.slot if isinstance(value, Value) else -1
        try:
            read = convert(sent)
        except UnfitError as unfit:
            if value.path in self._evolved:
                row.grown = (row.grown or {}) | {value.path[0]: form_of(sent)}
            else:
                row.violations.append(unfit.violation(value.path, sent))
            return
        if type(read) is Coerced:
            row.coerced.append(self._layout.columns[slot].name)
            read = read.value
        row.values[slot] = read

    def _read_flattened(self, layout: Object, sent: bytes | None, row: _Row) -> None:
        """An object's fields; without the object, its keys are missing and all else in it is null."""
        path = json_path(layout.path)
        document = document_of(sent, len(layout.path) + 1) if sent is not None and self._layout.coerces else None
        if document is not None and document.startswith(b"{"):
            row.coerced.append(".".join(layout.path))
            sent = document
        if sent is not None and sent.startswith(b"{"):
            self._read_object(layout, sent, fields_of(sent), row)
            return
        if sent is not None and sent != _NULL:
            row.violations.append(Violation("type", path, "an object", shown(sent)))
            return
        if self._layout.is_strict and sent is None and layout.is_required:
            row.violations.append(Violation("missing", path, "an object", "nothing"))
        elif self._layout.is_strict and sent is not None and not layout.is_nullable:
            row.violations.append(Violation("null", path, "an object", "null"))
        row.violations += (
            Violation("key", json_path(value.path), "a value, for it is of the key", "nothing")
            for value in layout.values()
            if value.path in self._keys
        )

    def _read_missing(self, value: Value | Object, row: _Row) -> None:
        column = value.column if isinstance(value, Value) else None
        if value.path in self._keys:
            row.violations.append(Violation("key", json_path(value.path), "a value, for it is of the key", "nothing"))
        elif column is not None and column.required and self._layout.is_strict:
            row.violations.append(Violation("missing", json_path(value.path), "a required field", "nothing"))

    def _read_null(self, value: Value | Object, row: _Row) -> None:
        column = value.column if isinstance(value, Value) else None
        if value.path in self._keys:
            row.violations.append(Violation("key", json_path(value.path), "a value, for it is of the key", "null"))
        elif column is not None and not column.nullable and self._layout.is_strict:
            row.violations.append(Violation("null", json_path(value.path), "a value", "null"))

    def _note_unknown(self, layout: Object, fields: dict[str, bytes], row: _Row) -> None:
        policy = self._stream.unknown_fields
        row.unknown = row.unknown or []
        row.grown = row.grown or {}
        for name, sent in fields.items():
            path = (*layout.path, name)
            if policy == "fail":
                row.violations.append(Violation("unknown_field", json_path(path), "a field of the schema", shown(sent)))
            elif policy == "evolve" and not layout.path and sent != _NULL:
                row.grown[name] = form_of(sent)
            else:
                row.unknown.append(".".join(path))

    def _growth(self, found: _Found) -> Decoded | None:
        rows = zip(found.lines, found.versions, found.rows, strict=True)
        versioned = deletable = 0
        for line, version, row in rows if self._mark_slots or not self._stream.versioned else ():
            if version is not None and not self._stream.versioned:
                versioned = versioned or line
            if any(row[slot] is not None for slot in self._mark_slots):
                deletable = deletable or line
        lines = [line for line in (versioned, deletable, found.grown_line) if line]
        if not lines:
            return None
        fields = {name: self._grown(name, schema_of(forms)) for name, forms in found.grown.items()}
        growth = Growth(fields, versioned=bool(versioned), deletable=bool(deletable), line=min(lines))
        return Decoded(self._stream.arrow.empty_table(), growth=growth)

    def _grown(self, name: str, schema: Schema) -> Schema:
        """The schema of a field that is new, or that values have come of which its column doesn't take."""
        known = self._layout.schema.get("properties")
        is_evolved = (name,) in self._evolved
        return widened(known[name], schema) if is_evolved and isinstance(known, dict) else schema

    def _decoded(self, found: _Found, now: datetime) -> Decoded:
        lines = pa.array(found.lines, pa.int64())
        facts = Facts(
            now,
            lines,
            versions=pa.array(found.versions, pa.int64()),
            extracted_at=pa.array(found.extracted_at, pa.timestamp("us", tz="UTC")),
        )
        values = list(zip(*found.rows, strict=True)) if found.rows else [()] * len(self._layout.columns)
        arrays = filled(self._stream, self._clock, facts) | {
            column.name: pa.array(of_column, column.arrow)
            for column, of_column in zip(self._layout.columns, values, strict=True)
        }
        arrays = with_marks(self._layout, arrays)
        return Decoded(
            rows=pa.table([*(arrays[c.name] for c in self._stream.columns), lines], schema=self._stream.arrow),
            refused=tuple(found.refused),
            unknown=dict(found.unknown),
            inexact=self._inexact(found),
            coerced=found.coerced,
            odd=found.odd,
        )

    def _inexact(self, found: _Found) -> dict[str, Inexact]:
        inexact: dict[str, Inexact] = {}
        for at, name in self._floats:
            for line, row in zip(found.lines, found.rows, strict=True):
                value = row[at]
                if type(value) is InexactFloat:
                    noted = Inexact(1, line, *value.places)
                    inexact[name] = inexact[name] + noted if name in inexact else noted
        return inexact


def _is_same_text(sent: bytes, expected: bytes, *, any_case: bool) -> bool:
    if not sent.startswith(b'"'):
        return False
    text = _TEXT.decode(sent)
    return (text.upper() if any_case and text.isascii() else text) == _TEXT.decode(expected)


def _extracted_at(raw: bytes, row: _Row) -> int | None:
    """The time in microseconds; none where it can't be read, for the record is good nonetheless."""
    # What isn't a string isn't written as a time either.
    text = _TEXT.decode(raw) if raw.startswith(b'"') else ""
    with suppress(UnfitError):
        return timestamp_us(text)
    row.odd.append("time_extracted")
    with suppress(UnfitError):
        return cut_timestamp_us(text)
    return None
