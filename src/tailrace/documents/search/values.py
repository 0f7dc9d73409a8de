"""Rows as documents: the values of each kind as JSON, or why it can't have them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.documents.search.mappings import is_number
from tailrace.model import Kind
from tailrace.schema.evolve import TableColumn
from tailrace.schema.texts import TEXTS

Values = Callable[[pa.ChunkedArray], Sequence[Any]]


def documents(rows: pa.Table, columns: Mapping[str, TableColumn]) -> list[dict[str, Any] | str]:
    """A document for each row, by the names of `rows`; or why it can't be one."""
    unfit: dict[int, str] = {}
    arrays = [_values(rows[name], columns[name], unfit) for name in rows.column_names]
    names = rows.column_names
    made: list[dict[str, Any] | str] = [dict(zip(names, row, strict=True)) for row in zip(*arrays, strict=True)]
    for at, reason in unfit.items():
        made[at] = reason
    return made


def _values(values: pa.ChunkedArray, column: TableColumn, unfit: dict[int, str]) -> Sequence[Any]:
    """A column's values; the rows of those that JSON doesn't have go to `unfit`."""
    kind = column.kind or _kind_of(values.type)
    if kind is Kind.FLOAT and not pc.all(pc.is_finite(values)).as_py():
        odd = pc.indices_nonzero(pc.invert(pc.fill_null(pc.is_finite(values), fill_value=True)))
        for at in odd.to_pylist():
            unfit[at] = f"column {column.name!r}: JSON has no number {values[at].as_py()}"
    if kind is Kind.DECIMAL and pa.types.is_decimal(values.type) and not is_number(column):
        return list(TEXTS[kind](values).to_pylist())
    return _VALUES.get(kind, _plain)(values)


def _kind_of(arrow: pa.DataType) -> Kind:
    """The kind of values whose field is of no kind that tailrace knows."""
    if pa.types.is_timestamp(arrow):
        return Kind.TIMESTAMPTZ if arrow.tz else Kind.TIMESTAMP
    for kind, is_of_kind in _TYPES.items():
        if is_of_kind(arrow):
            return kind
    return Kind.TEXT


_TYPES: dict[Kind, Callable[[pa.DataType], bool]] = {
    Kind.DECIMAL: pa.types.is_decimal,
    Kind.FLOAT: pa.types.is_floating,
    Kind.BINARY: pa.types.is_binary,
    Kind.DATE: pa.types.is_date,
    Kind.TIME: pa.types.is_time,
    Kind.INT: pa.types.is_integer,
    Kind.BOOL: pa.types.is_boolean,
}


def _plain(values: pa.ChunkedArray) -> Sequence[Any]:
    return list(values.to_pylist())


def _texts(kind: Kind) -> Values:
    return lambda values: list(TEXTS[kind](values).to_pylist())


def _timestamps(values: pa.ChunkedArray) -> Sequence[Any]:
    return list(pc.replace_substring(TEXTS[Kind.TIMESTAMP](values), " ", "T").to_pylist())


def _instants(values: pa.ChunkedArray) -> Sequence[Any]:
    texts = pc.replace_substring(TEXTS[Kind.TIMESTAMP](values.cast(pa.timestamp("us"))), " ", "T")
    return list(pc.binary_join_element_wise(texts, "Z", "").to_pylist())


def _raw(values: pa.ChunkedArray) -> Sequence[Any]:
    return [None if value is None else msgspec.Raw(value) for value in values.to_pylist()]


def _numbers(values: pa.ChunkedArray) -> Sequence[Any]:
    return _raw(TEXTS[Kind.DECIMAL](values) if pa.types.is_decimal(values.type) else values.cast(pa.string()))


def _bytes(values: pa.ChunkedArray) -> Sequence[Any]:
    return [None if value is None else base64.b64encode(value).decode() for value in values.to_pylist()]


_VALUES: dict[Kind, Values] = {
    Kind.DECIMAL: _numbers,
    Kind.JSON: _raw,
    Kind.BINARY: _bytes,
    Kind.DATE: _texts(Kind.DATE),
    Kind.TIME: _texts(Kind.TIME),
    Kind.TIMESTAMP: _timestamps,
    Kind.TIMESTAMPTZ: _instants,
}
