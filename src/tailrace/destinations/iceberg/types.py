"""Columns and their values as Iceberg has them, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)
from pyiceberg.utils.datetime import time_str_to_micros

from tailrace.model import Kind
from tailrace.schema.evolve import TableColumn
from tailrace.schema.nested import Nested, are_fields, nested_of, nested_text

ICEBERG_TYPES: Mapping[Kind, IcebergType] = {
    Kind.BOOL: BooleanType(),
    Kind.INT: LongType(),
    Kind.FLOAT: DoubleType(),
    Kind.TEXT: StringType(),
    Kind.JSON: StringType(),
    Kind.BINARY: BinaryType(),
    Kind.DATE: DateType(),
    Kind.TIME: TimeType(),
    Kind.TIMESTAMP: TimestampType(),
    Kind.TIMESTAMPTZ: TimestamptzType(),
    Kind.UUID: StringType(),
}
"""Iceberg's types of kinds without digits."""

PARTITIONABLE = (
    BooleanType,
    IntegerType,
    LongType,
    DecimalType,
    StringType,
    DateType,
    TimeType,
    TimestampType,
    TimestamptzType,
)
"""Types that a table can be partitioned by, since their values can be written as text and compared."""

_WRITABLE = (*PARTITIONABLE, BinaryType, FloatType, DoubleType)
_DOCUMENTED = frozenset({Kind.JSON, Kind.UUID})
"""Kinds that are strings, whose field's `doc` says so."""

_DOCUMENTED_WITHIN = _DOCUMENTED | {Kind.TIME}
_TYPES_WITHIN = {**ICEBERG_TYPES, Kind.TIME: StringType()}
"""The types of leaves in structs and lists, where a time of day is a string in every lake."""

KINDS: Mapping[type[IcebergType], Kind] = {
    **{type(spelled): kind for kind, spelled in ICEBERG_TYPES.items() if kind not in _DOCUMENTED},
    IntegerType: Kind.INT,
    FloatType: Kind.FLOAT,
    DecimalType: Kind.DECIMAL,
    UUIDType: Kind.UUID,
}
_SMALL = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}


def iceberg_fields(columns: Sequence[TableColumn]) -> list[NestedField]:
    """Columns as Iceberg has them, counted from 1; all take null."""
    ids = count(1)
    return [
        NestedField(next(ids), column.name, type_of(column, ids), required=False, doc=_doc(_nested_of(column)))
        for column in columns
    ]


def type_of(column: TableColumn, ids: Iterator[int] | None = None) -> IcebergType:
    """Iceberg's type of a column; fields within it are counted by `ids`."""
    return _type_of(_nested_of(column), count(1) if ids is None else ids)


def column_of(field: NestedField) -> TableColumn:
    """A column of a table."""
    found, spelled = field.field_type, str(field.field_type)
    if not found.is_primitive:
        inner = _found_in(field)
        kind, text = (Kind.JSON, nested_text(inner)) if inner else (None, None)
        return TableColumn(field.name, kind, nullable=field.optional, sql_type=spelled, nested=text)
    digits = (found.precision, found.scale) if isinstance(found, DecimalType) else (0, 0)
    return TableColumn(field.name, _kind_of(field), *digits, field.optional, spelled)


def is_held(field: NestedField, column: TableColumn) -> bool:
    """Whether the field is the column already."""
    there = column_of(field)
    if there.nested or column.nested:
        return there.nested == column.nested
    return there.kind == column.kind and field.field_type == type_of(column)


def is_writable(field: NestedField) -> bool:
    """Whether files hold the field's values, nested ones too, as Iceberg defines them."""
    return _is_writable(field.field_type)


def missing_in(field: NestedField, column: TableColumn) -> Iterator[tuple[tuple[str, ...], NestedField]]:
    """The fields that the column's structs have and the field's lack, by their path."""
    yield from _missing((field.name,), field.field_type, _nested_of(column))


def arrow_of(schema: Schema) -> pa.Schema:
    """The schema of files with these columns and their ids; all are nullable."""
    return pa.schema([_plain(field) for field in schema_to_pyarrow(schema)])


def partition_value(text: str | None, spelled: IcebergType) -> object:
    """A partition's value in Iceberg's form, where days and microseconds are numbers."""
    if text is None:
        return None
    if isinstance(spelled, TimeType):
        return time_str_to_micros(text)
    arrow = schema_to_pyarrow(spelled)
    scalar = pa.scalar(text).cast(pa.timestamp("us") if pa.types.is_timestamp(arrow) else arrow)
    return scalar.value if pa.types.is_temporal(arrow) else scalar.as_py()


def _nested_of(column: TableColumn) -> Nested:
    """What the column is made of, which is a leaf mostly."""
    if column.nested:
        return nested_of(column.nested)
    return Nested(column.kind or Kind.TEXT, column.precision, column.scale)


def _type_of(nested: Nested, ids: Iterator[int], spelled: Mapping[Kind, IcebergType] = ICEBERG_TYPES) -> IcebergType:
    if nested.fields:
        return StructType(*(_field_within(next(ids), name, inner, ids) for name, inner in nested.fields.items()))
    if nested.items is not None:
        return ListType(next(ids), _type_of(nested.items, ids, _TYPES_WITHIN), element_required=False)
    return DecimalType(nested.precision, nested.scale) if nested.kind is Kind.DECIMAL else spelled[nested.kind]


def _field_within(number: int, name: str, nested: Nested, ids: Iterator[int]) -> NestedField:
    """A field of a struct."""
    doc = _doc(nested, _DOCUMENTED_WITHIN)
    return NestedField(number, name, _type_of(nested, ids, _TYPES_WITHIN), required=False, doc=doc)


def _doc(nested: Nested, kinds: frozenset[Kind] = _DOCUMENTED) -> str | None:
    """The `doc` of a field whose kind is a string in Iceberg; a list's is that of its items."""
    if nested.items is not None:
        return _doc(nested.items, _DOCUMENTED_WITHIN)
    return nested.kind.value if nested.is_leaf and nested.kind in kinds else None


def _kind_of(field: NestedField, kinds: frozenset[Kind] = _DOCUMENTED) -> Kind | None:
    kind = KINDS.get(type(field.field_type))
    return Kind(field.doc) if kind is Kind.TEXT and field.doc in kinds else kind


def _found_in(field: NestedField) -> Nested | None:
    """What a field is made of; None where something in it has no kind, or can't be null."""
    found = field.field_type
    if isinstance(found, StructType):
        inner = {each.name: _found_in(each) for each in found.fields if each.optional}
        fields = {name: each for name, each in inner.items() if each is not None}
        return Nested(fields=fields) if fields and len(fields) == len(found.fields) and are_fields(fields) else None
    if isinstance(found, ListType):
        element = NestedField(0, "", found.element_type, found.element_required, field.doc)
        items = None if found.element_required else _found_in(element)
        return Nested(items=items) if items else None
    if isinstance(found, DecimalType):
        return Nested(Kind.DECIMAL, found.precision, found.scale)
    kind = None if isinstance(found, FloatType | TimeType | UUIDType) else _kind_of(field, _DOCUMENTED_WITHIN)
    return Nested(kind) if kind else None


def _missing(path: tuple[str, ...], have: IcebergType, want: Nested) -> Iterator[tuple[tuple[str, ...], NestedField]]:
    if isinstance(have, ListType) and want.items is not None:
        yield from _missing((*path, "element"), have.element_type, want.items)
    if isinstance(have, StructType):
        types = {field.name: field.field_type for field in have.fields}
        for name, inner in want.fields.items():
            if name in types:
                yield from _missing((*path, name), types[name], inner)
            else:
                yield (*path, name), _field_within(0, name, inner, count(1))


def _is_writable(found: IcebergType) -> bool:
    if isinstance(found, StructType):
        return all(_is_writable(field.field_type) for field in found.fields)
    return _is_writable(found.element_type) if isinstance(found, ListType) else isinstance(found, _WRITABLE)


def _plain(field: pa.Field) -> pa.Field:
    """The field, nullable, without large types of texts and lists."""
    kind = _SMALL.get(field.type, field.type)
    if pa.types.is_struct(kind):
        kind = pa.struct([_plain(inner) for inner in kind])
    elif pa.types.is_large_list(kind):
        kind = pa.list_(_plain(kind.value_field))
    return field.with_type(kind).with_nullable(nullable=True)
