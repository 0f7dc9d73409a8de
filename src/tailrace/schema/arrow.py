"""Rows given as Arrow: the columns they have, and the rows in the types that batches hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RecordError, SchemaError, Violation
from tailrace.model import Column, Kind
from tailrace.schema.cast import converted, failing
from tailrace.schema.kinds import MAX_DIGITS

_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Kind], ...] = (
    (pa.types.is_boolean, Kind.BOOL),
    (pa.types.is_integer, Kind.INT),
    (pa.types.is_floating, Kind.FLOAT),
    (pa.types.is_string, Kind.TEXT),
    (pa.types.is_large_string, Kind.TEXT),
    (pa.types.is_string_view, Kind.TEXT),
    (pa.types.is_null, Kind.TEXT),
    (pa.types.is_binary, Kind.BINARY),
    (pa.types.is_large_binary, Kind.BINARY),
    (pa.types.is_binary_view, Kind.BINARY),
    (pa.types.is_fixed_size_binary, Kind.BINARY),
    (pa.types.is_date, Kind.DATE),
    (pa.types.is_time, Kind.TIME),
    (lambda of: pa.types.is_timestamp(of) and of.tz is None, Kind.TIMESTAMP),
    (pa.types.is_timestamp, Kind.TIMESTAMPTZ),
    (pa.types.is_nested, Kind.JSON),
)
"""The kind of an Arrow type, by the first test that is true. Decimals, uint64 and extension types come before."""

_EXTENSIONS = {"arrow.uuid": Kind.UUID, "arrow.json": Kind.JSON, "arrow.bool8": Kind.BOOL}
_MEANINGLESS = frozenset({"pandas.interval", "pandas.period"})
"""Extension types whose storage says something else than they do."""
_UINT64_DIGITS = 20
_MAX_SHOWN = 80
_JSON = msgspec.json.Encoder(decimal_format="number")


def columns_of_arrow(schema: pa.Schema, stream: str = "rows") -> tuple[Column, ...]:
    """The columns of an Arrow schema, named by its fields; SchemaError for a type that has no kind."""
    repeated = {name for name in schema.names if schema.names.count(name) > 1}
    if repeated:
        names = ", ".join(sorted(repeated))
        raise SchemaError(f"the rows have more than one column of the name {names}", stream=stream)
    return tuple(_column(field, stream) for field in schema)


def conformed(table: pa.Table, columns: Sequence[Column], stream: str = "rows") -> pa.Table:
    """The rows in the columns' own Arrow types and order, under the columns' names; metadata columns aren't filled.

    Raises RecordError for the first value that a column can't hold unchanged; its `line` is the row, counted from 1.
    """
    arrays = []
    filled = [column for column in columns if column.path]
    for column in filled:
        field = column.path[0]
        if field not in table.column_names:
            arrays.append(pa.chunked_array([pa.nulls(len(table), column.arrow)]))
            continue
        given = _column(table.schema.field(field), stream)
        values = table[field]
        try:
            arrays.append(_conformed(values, given, column))
        except ValueError as error:
            first = failing(values, partial(_conformed, given=given, column=column))[0]
            shown = str(values[first])[:_MAX_SHOWN]
            violation = Violation("type", f"$.{field}", column.spelling, shown)
            raise RecordError(stream, first + 1, [violation]) from error
    return pa.table(arrays, schema=pa.schema([pa.field(c.name, c.arrow) for c in filled]))


def _column(field: pa.Field, stream: str) -> Column:
    kind, precision, scale = _kind(field, field.type, stream)
    return Column(
        name=field.name,
        path=(field.name,),
        kind=kind,
        precision=precision,
        scale=scale,
        nullable=field.nullable or pa.types.is_null(field.type),
        required=not field.nullable,
        is_empty=pa.types.is_null(field.type),
    )


def _kind(field: pa.Field, of: pa.DataType, stream: str) -> tuple[Kind, int, int]:
    """Kind, precision and scale of an Arrow type."""
    if pa.types.is_dictionary(of) or pa.types.is_run_end_encoded(of):
        return _kind(field, of.value_type, stream)
    if isinstance(of, pa.BaseExtensionType):
        known = _EXTENSIONS.get(of.extension_name)
        if of.extension_name in _MEANINGLESS:
            raise _refused(field, stream, f"values of {of.extension_name}")
        return (known, 0, 0) if known else _kind(field, of.storage_type, stream)
    if pa.types.is_uint64(of):
        return Kind.DECIMAL, _UINT64_DIGITS, 0
    if pa.types.is_decimal(of):
        # Before the point a negative scale means zeros.
        precision, scale = of.precision - min(0, of.scale), max(0, of.scale)
        if precision <= MAX_DIGITS:
            return Kind.DECIMAL, precision, scale
    else:
        for is_of, kind in _KINDS:
            if is_of(of):
                return kind, 0, 0
    raise _refused(field, stream, f"the Arrow type {field.type}")


def _refused(field: pa.Field, stream: str, what: str) -> SchemaError:
    return SchemaError(
        f"no column can hold {what}; cast it first, for instance to string",
        stream=stream,
        column=field.name,
        have=str(field.type),
    )


def _conformed(values: pa.ChunkedArray, given: Column, column: Column) -> pa.ChunkedArray:
    return converted(_native(_plain(values), given), given, column)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values without dictionary, runs or extension."""
    of = values.type
    if pa.types.is_dictionary(of):
        return _plain(pa.chunked_array([chunk.dictionary_decode() for chunk in values.chunks], of.value_type))
    if pa.types.is_run_end_encoded(of):
        return _plain(pa.chunked_array([pc.run_end_decode(chunk) for chunk in values.chunks], of.value_type))
    if isinstance(of, pa.BaseExtensionType):
        return _plain(pa.chunked_array([chunk.storage for chunk in values.chunks], of.storage_type))
    return values


def _native(values: pa.ChunkedArray, given: Column) -> pa.ChunkedArray:
    """The values in the Arrow type of the kind that theirs becomes."""
    if given.kind is Kind.JSON and pa.types.is_nested(values.type):
        return pa.chunked_array([list(map(_json, _python(values)))], pa.string())
    if given.kind is Kind.UUID:
        texts = [None if raw is None else str(UUID(bytes=raw)) for raw in values.to_pylist()]
        return pa.chunked_array([texts], pa.string())
    return values.cast(given.arrow)


def _python(values: pa.ChunkedArray) -> list[Any]:
    try:
        python: list[Any] = values.to_pylist(maps_as_pydicts="strict")
    except KeyError as error:
        raise ValueError("a map has a key twice") from error
    return python


def _json(value: Any) -> str | None:
    if value is None:
        return None
    _refuse_no_number(value)
    return _JSON.encode(value).decode()


def _refuse_no_number(value: Any) -> None:
    """Raise ValueError for NaN and infinities, which JSON has no way to write, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON has no such number")
    if isinstance(value, (list, tuple)):
        for item in value:
            _refuse_no_number(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            _refuse_no_number(item)
