"""RECORD messages made again from rows that a database refuses."""

from __future__ import annotations

import base64

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.decode.layout import Object, RecordLayout, Value
from tailrace.decode.values import NUMERIC
from tailrace.model import Column, Fill, Kind, Stream
from tailrace.schema.texts import JSON_TEXTS


def record_line(stream: Stream, row: pa.Table) -> bytes:
    """The RECORD message of a row, without a line feed; decoded as the stream says, it is that row again.

    `row` is a table of one row in the stream's Arrow schema. Fields that are null and may not be are left out.
    """
    layout = RecordLayout(stream)
    written = {value.path: _written(value, row, is_coercing=layout.coerces) for value in layout.record.values()}
    message = {"type": _text("RECORD"), "stream": _text(stream.name), "record": _object(layout.record, written)}
    for fill, name in ((Fill.TABLE_VERSION, "version"), (Fill.EXTRACTED_AT, "time_extracted")):
        column = stream.filled_with(fill)
        sent = _json(column, row) if column else None
        if sent is not None:
            message[name] = sent
    return _joined(message).encode()


def _object(layout: Object, written: dict[tuple[str, ...], str | None]) -> str:
    fields: dict[str, str] = {}
    for name, field in layout.fields.items():
        if isinstance(field, Value):
            sent = written[field.path]
            if sent is not None:
                fields[name] = sent
            elif field.column is not None and field.column.nullable:
                fields[name] = "null"
        elif any(written[value.path] is not None for value in field.values()):
            fields[name] = _object(field, written)
        elif field.is_nullable or field.is_required:
            fields[name] = "null" if field.is_nullable else _object(field, written)
    return _joined(fields)


def _joined(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{_text(name)}:{value}" for name, value in fields.items()) + "}"


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _written(value: Value, row: pa.Table, *, is_coercing: bool) -> str | None:
    """A field's JSON; None where the row has null or no column for it."""
    if value.column is None or value.column.name not in row.column_names:
        return None
    sent = _json(value.column, row)
    if sent is None:
        return None
    if value.column.kind in NUMERIC and "string" in value.types and not value.types & {"integer", "number"}:
        return _text(sent)
    if value.column.kind is Kind.TEXT and "string" not in value.types and not is_coercing:
        # A setting made a column of text of a field that has other values; they came in as they stand here.
        return str(row[value.column.name][0].as_py())
    return sent


def _json(column: Column, row: pa.Table) -> str | None:
    values = row[column.name]
    value = values[0].as_py()
    if value is None:
        return None
    if column.kind is Kind.JSON:
        return str(value)
    if column.kind is Kind.BINARY:
        return _text((base64.b16encode if column.encoding == "base16" else base64.b64encode)(value).decode())
    if column.kind is Kind.FLOAT and not pc.is_finite(values)[0].as_py():
        # JSON has no such number; as text it is seen for what it is, and refused when it is read.
        return _text(str(value))
    return str(JSON_TEXTS[column.kind](values)[0].as_py())
