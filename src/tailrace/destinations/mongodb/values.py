"""Rows as documents: the values of each kind in BSON, or why it can't have them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128, create_decimal128_context

from tailrace import compute as pc
from tailrace.log import get_logger
from tailrace.model import Kind
from tailrace.schema.evolve import TableColumn
from tailrace.schema.texts import TEXTS

_log = get_logger("mongodb")

MAX_DEPTH = 90
"""How deep a field's value may be nested; the database takes 100 levels of a document."""

_DIGITS = 34
_INT64 = range(-(2**63), 2**63)
_CONTEXT = create_decimal128_context()


class UnfitError(ValueError):
    """A value that BSON can't have; says why."""


class Values:
    """Makes documents. `dates` says whether timestamps are dates of BSON. Thread-safe."""

    def __init__(self, *, dates: bool) -> None:
        self._dates = dates
        self._said = set[str]()

    def documents(
        self, rows: pa.Table, columns: Mapping[str, TableColumn], key: Collection[str]
    ) -> list[dict[str, Any] | str]:
        """A document for each row, by the names of `rows`; or why BSON can't have it, or not as this key."""
        unfit = self._cut_keys(rows, [columns[name] for name in key if name in rows.column_names])
        arrays = [self._values(rows[name], columns[name], unfit) for name in rows.column_names]
        names = rows.column_names
        documents: list[dict[str, Any] | str] = [
            dict(zip(names, row, strict=True)) for row in zip(*arrays, strict=True)
        ]
        for name in key:
            if name in names and columns[name].kind is Kind.JSON:
                unfit |= _nested_keys(name, arrays[names.index(name)])
        for at, reason in unfit.items():
            documents[at] = reason
        return documents

    def _cut_keys(self, rows: pa.Table, columns: Collection[TableColumn]) -> dict[int, str]:
        """Why rows are refused, by their place, since a date of their key would lose microseconds."""
        if not self._dates:
            return {}
        return {
            at: f"column {column.name!r} is of the key, and dates have milliseconds; set `timestamps: text`"
            for column in columns
            if column.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
            for at in _cut(rows[column.name])
        }

    def _values(self, values: pa.ChunkedArray, column: TableColumn, unfit: dict[int, str]) -> Sequence[Any]:
        """A column's values; null for those of rows that go to `unfit`."""
        if column.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return self._timestamps(values, column)
        if column.kind is Kind.DATE:
            return _dates(values.cast(pa.int32()).cast(pa.int64()), 86_400_000)
        if column.kind is Kind.TIME:
            return list(TEXTS[Kind.TIME](values).to_pylist())
        convert = _CONVERSIONS.get(column.kind or _kind_of(values.type))
        if convert is None:
            return list(values.to_pylist())
        return [_converted(convert, value, column, unfit, at) for at, value in enumerate(values.to_pylist())]

    def _timestamps(self, values: pa.ChunkedArray, column: TableColumn) -> Sequence[Any]:
        if not self._dates:
            return list(TEXTS[column.kind or Kind.TIMESTAMP](values).to_pylist())
        if column.name not in self._said and _cut(values):
            self._said.add(column.name)
            _log.warning(
                "dates have milliseconds, and what is beyond is cut off; `timestamps: text` keeps it",
                column=column.name,
            )
        return _dates(pc.divide(pc.subtract(_micros(values), _beyond(values)), 1000), 1)


def _micros(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())


def _beyond(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The microseconds beyond the millisecond before."""
    micros = _micros(values)
    rest = pc.subtract(micros, pc.multiply(pc.divide(micros, 1000), 1000))
    return pc.if_else(pc.less(rest, 0), pc.add(rest, 1000), rest)


def _cut(values: pa.ChunkedArray) -> list[int]:
    """The places of timestamps that milliseconds don't hold."""
    found: list[int] = pc.indices_nonzero(pc.fill_null(_beyond(values), 0)).to_pylist()
    return found


def _dates(values: pa.ChunkedArray, unit: int) -> list[DatetimeMS | None]:
    return [None if value is None else DatetimeMS(value * unit) for value in values.to_pylist()]


def _nested_keys(name: str, values: Sequence[Any]) -> dict[int, str]:
    """Why rows are refused, by their place, whose key is an object or an array."""
    reason = f"column {name!r}: neither an object nor an array can be of a key; set `kind: TEXT`"
    return {at: reason for at, value in enumerate(values) if isinstance(value, dict | list)}


def _kind_of(arrow: pa.DataType) -> Kind:
    """The kind of values whose column is of no kind that tailrace knows."""
    return Kind.DECIMAL if pa.types.is_decimal(arrow) else Kind.TEXT


def _converted(convert: Callable[[Any], Any], value: Any, column: TableColumn, unfit: dict[int, str], at: int) -> Any:
    if value is None:
        return None
    try:
        return convert(value)
    except UnfitError as error:
        unfit[at] = f"column {column.name!r}: {error}"
        return None


def decimal_of(value: Decimal) -> Decimal128:
    """A decimal, with all its digits."""
    if len(value.as_tuple().digits) > _DIGITS:
        stripped = value.normalize(_CONTEXT)
        if stripped != value:
            raise UnfitError(f"{value} has more than the {_DIGITS} digits of a decimal; set `kind: TEXT`")
        value = stripped
    return Decimal128(value)


def nested_of(text: str) -> Any:
    """JSON as documents, arrays and values of BSON."""
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise UnfitError(f"it is nested more than {MAX_DEPTH} levels deep; set `kind: TEXT`")
    value = json.loads(text, parse_int=_int_of, parse_float=_float_of)
    if "\\u0000" in text:
        _refuse_nul(value)
    return value


def _int_of(text: str) -> int | Decimal128:
    value = int(text) if len(text) <= 400 else None  # noqa: PLR2004 longer than any number that is held
    if value is None or value not in _INT64:
        return decimal_of(Decimal(text))
    return value


def _float_of(text: str) -> float | Decimal128:
    """A double where it has the number's digits, and a decimal otherwise."""
    value, exact = float(text), Decimal(text)
    if Decimal(repr(value)) == exact or Decimal(format(value, ".17g")) == exact or Decimal(value) == exact:
        return value
    return decimal_of(exact)


def _depth(text: str) -> int:
    """How deep JSON is nested, brackets within its texts left out."""
    deepest = depth = 0
    is_text = is_escaped = False
    for character in text:
        if is_text:
            is_text = is_escaped or character != '"'
            is_escaped = character == "\\" and not is_escaped
        elif character == '"':
            is_text = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refuse_nul(value: Any) -> None:
    """Raise for a name with NUL in it."""
    if isinstance(value, dict):
        if any("\0" in name for name in value):
            raise UnfitError("a name has a NUL in it; set `kind: TEXT`")
        value = [*value.values()]
    if isinstance(value, list):
        for inner in value:
            _refuse_nul(inner)


def _uuid_of(value: str) -> Binary:
    return Binary.from_uuid(uuid.UUID(value))


_CONVERSIONS: dict[Kind, Callable[[Any], Any]] = {
    Kind.DECIMAL: decimal_of,
    Kind.JSON: nested_of,
    Kind.UUID: _uuid_of,
}
