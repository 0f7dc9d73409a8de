"""Columns of tables whose format lacks types for some kinds: a field says its kind, and its place in the key."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from tailrace.lake.formats import KIND
from tailrace.lake.tables import ExistingTable
from tailrace.model import Kind
from tailrace.schema.evolve import TableColumn
from tailrace.schema.nested import Nested, are_fields, nested_of, nested_text

KEY = "tailrace.key"
"""The metadata of a field that has its place in the key; the first field of a table without a key has NO_KEY there."""

NO_KEY = "none"

_KEY, _NO_KEY = KEY.encode(), NO_KEY.encode()
_MARKED = frozenset({Kind.TIME, Kind.JSON, Kind.UUID})


def marked_schema(columns: Sequence[TableColumn], key: Sequence[str] | None = None) -> pa.Schema:
    """The columns as fields; JSON, times of day and UUIDs are strings. `key` is what the fields are to say of it."""
    fields = [_field(column, key or ()) for column in columns]
    if key is not None and not key:
        fields[0] = fields[0].with_metadata({**(fields[0].metadata or {}), _KEY: _NO_KEY})
    return pa.schema(fields)


def found_in(schema: pa.Schema) -> ExistingTable:
    """The table that has these fields, marked or not."""
    marks = {field.name: field.metadata[_KEY] for field in schema if _KEY in (field.metadata or {})}
    places = {int(mark): name for name, mark in marks.items() if mark.isdigit()}
    key = tuple(places[place] for place in sorted(places))
    return ExistingTable(tuple(map(_column, schema)), key if marks else None, schema)


def lacking(have: pa.DataType | None, want: pa.Field) -> pa.Field | None:
    """The field without those fields of its structs that a column of that type has; None where it lacks nothing."""
    if have is None:
        return want
    if pa.types.is_list(have) and pa.types.is_list(want.type):
        items = lacking(have.value_type, want.type.value_field)
        return items and want.with_type(pa.list_(items))
    if pa.types.is_struct(have) and pa.types.is_struct(want.type):
        types = {field.name: field.type for field in have}
        fields = [*filter(None, (lacking(types.get(field.name), field) for field in want.type))]
        return want.with_type(pa.struct(fields)) if fields else None
    return None


def _field(column: TableColumn, key: Sequence[str]) -> pa.Field:
    if column.nested:
        return _nested_field(column.name, nested_of(column.nested))
    kind = column.kind or Kind.TEXT
    metadata = {KIND: kind.encode()} if kind in _MARKED else {}
    if column.name in key:
        metadata[_KEY] = str(list(key).index(column.name)).encode()
    arrow = pa.string() if kind is Kind.TIME else column.arrow
    return pa.field(column.name, arrow, metadata=metadata or None)


def _column(field: pa.Field) -> TableColumn:
    nested = _nested_in(field) if pa.types.is_nested(field.type) else None
    if nested is not None:
        sql_type = str(field.type)
        return TableColumn(
            field.name, Kind.JSON, nullable=field.nullable, sql_type=sql_type, nested=nested_text(nested)
        )
    if pa.types.is_decimal(field.type):
        digits = (field.type.precision, field.type.scale)
        return TableColumn(field.name, Kind.DECIMAL, *digits, nullable=field.nullable)
    mark = (field.metadata or {}).get(KIND)
    kind = Kind(mark.decode()) if mark else _kind(field.type)
    return TableColumn(field.name, kind, nullable=field.nullable, sql_type=str(field.type))


def _nested_field(name: str, nested: Nested) -> pa.Field:
    """A field of structs and lists, within which a list's field says of which kind its items are."""
    leaf = _leaf(nested)
    mark = {KIND: leaf.kind.encode()} if not leaf.fields and leaf.kind in _MARKED else None
    return pa.field(name, _nested_type(nested), metadata=mark)


def _nested_type(nested: Nested) -> pa.DataType:
    if nested.fields:
        return pa.struct([_nested_field(name, inner) for name, inner in nested.fields.items()])
    return nested.arrow if nested.items is None else pa.list_(_nested_type(nested.items))


def _leaf(nested: Nested) -> Nested:
    """What is in the lists, if it is lists."""
    return nested if nested.items is None else _leaf(nested.items)


def _nested_in(field: pa.Field) -> Nested | None:
    """What a field's structs and lists are made of; None where something in them has no kind, or can't be null."""
    arrow, mark = field.type, (field.metadata or {}).get(KIND)
    if pa.types.is_struct(arrow):
        inner = {each.name: _nested_in(each) for each in arrow}
        fields = {name: each for name, each in inner.items() if each is not None}
        is_known = len(fields) == arrow.num_fields > 0 and are_fields(fields) and all(each.nullable for each in arrow)
        return Nested(fields=fields) if is_known else None
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        items = _nested_in(arrow.value_field.with_metadata(field.metadata))
        return None if items is None or not arrow.value_field.nullable else Nested(items=items)
    if pa.types.is_decimal128(arrow):
        return Nested(Kind.DECIMAL, arrow.precision, arrow.scale)
    kind = _kind(arrow)
    if kind is None or pa.types.is_float32(arrow) or pa.types.is_float16(arrow):
        return None
    return Nested(Kind(mark.decode()) if mark and kind is Kind.TEXT else kind)


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
