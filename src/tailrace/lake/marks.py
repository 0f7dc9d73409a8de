"""Columns of tables whose format lacks types for some kinds: a field says its kind, and its place in the key."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from tailrace.lake.formats import KIND
from tailrace.lake.tables import Found
from tailrace.model import Kind
from tailrace.schema.evolve import TableColumn

_KEY = b"tailrace.key"
_MARKED = frozenset({Kind.TIME, Kind.JSON, Kind.UUID})


def marked_schema(columns: Sequence[TableColumn], key: Sequence[str] = ()) -> pa.Schema:
    """The columns as fields; JSON, times of day and UUIDs are strings."""
    return pa.schema([_field(column, key) for column in columns])


def found_in(schema: pa.Schema) -> Found:
    """The table that has these fields, marked or not."""
    places = {int(field.metadata[_KEY]): field.name for field in schema if _KEY in (field.metadata or {})}
    key = tuple(places[place] for place in sorted(places))
    return Found(tuple(map(_column, schema)), key or None, schema)


def _field(column: TableColumn, key: Sequence[str]) -> pa.Field:
    kind = column.kind or Kind.TEXT
    metadata = {KIND: kind.encode()} if kind in _MARKED else {}
    if column.name in key:
        metadata[_KEY] = str(list(key).index(column.name)).encode()
    arrow = pa.string() if kind is Kind.TIME else column.arrow
    return pa.field(column.name, arrow, metadata=metadata or None)


def _column(field: pa.Field) -> TableColumn:
    if pa.types.is_decimal(field.type):
        digits = (field.type.precision, field.type.scale)
        return TableColumn(field.name, Kind.DECIMAL, *digits, nullable=field.nullable)
    mark = (field.metadata or {}).get(KIND)
    kind = Kind(mark.decode()) if mark else _kind(field.type)
    return TableColumn(field.name, kind, nullable=field.nullable, sql_type=str(field.type))


def _kind(arrow: pa.DataType) -> Kind | None:
    if pa.types.is_timestamp(arrow):
        return Kind.TIMESTAMPTZ if arrow.tz else Kind.TIMESTAMP
    kinds = (
        (pa.types.is_boolean, Kind.BOOL),
        (pa.types.is_integer, Kind.INT),
        (pa.types.is_floating, Kind.FLOAT),
        (pa.types.is_string, Kind.TEXT),
        (pa.types.is_binary, Kind.BINARY),
        (pa.types.is_date, Kind.DATE),
    )
    return next((kind for is_it, kind in kinds if is_it(arrow)), None)
