"""Data frames of pandas and polars, and values of Python, as Arrow: each column exactly, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from tailrace.errors import SchemaError

_JSON = msgspec.json.Encoder(decimal_format="number")
_ARROW_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)
_WIDE = frozenset({"Int128", "UInt128"})
"""Integers of polars that Arrow has no type for."""
_DIGITS = 38


def table_of_frame(source: Any, stream: str) -> pa.Table | None:
    """A frame of pandas or polars as a table; None for what is neither.

    An index of pandas that has a name is a column; one without is the column `index`, unless it counts from 0 as a
    frame does by itself. Raises SchemaError for a column that no table can have unchanged.
    """
    home = type(source).__module__.partition(".")[0]
    if home == "polars" and hasattr(source, "get_columns"):
        return _table({series.name: _of_polars(series, stream) for series in source.get_columns()})
    if home == "pandas" and hasattr(source, "iloc") and hasattr(source, "columns"):
        return _of_pandas(source, stream)
    return None


def array_of(values: Sequence[Any], name: str, stream: str) -> pa.Array:
    """Python's values as an array; those of several types are JSON."""
    try:
        return pa.array(values)
    except _ARROW_ERRORS:
        return _mixed(values, name, stream)


def _mixed(values: Sequence[Any], name: str, stream: str) -> pa.Array:
    """Values for which Arrow has no one type: integers with up to 38 digits, or JSON."""
    if all(value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in values):
        try:
            decimals = [None if value is None else Decimal(value) for value in values]
            return pa.array(decimals, pa.decimal128(_DIGITS, 0))
        except _ARROW_ERRORS as error:
            raise _refused(name, f"integers of more than {_DIGITS} digits", stream) from error
    try:
        texts = [None if value is None else _json(value) for value in values]
    except (TypeError, ValueError, RecursionError) as error:
        kinds = ", ".join(dict.fromkeys(type(value).__name__ for value in values if value is not None))
        raise _refused(name, f"values of several types, which aren't all JSON ({kinds})", stream) from error
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


def _json(value: Any) -> str:
    """A value as JSON; ValueError for a number that JSON doesn't have."""
    text = _JSON.encode(value).decode()
    if "null" in text:
        _refuse_no_number(value)
    return text


def _refuse_no_number(value: Any) -> None:
    """Raise ValueError for NaN and infinities, which would be written as null."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 NaN
        raise ValueError("JSON has no such number")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple, set)) else ()
    for each in inner:
        _refuse_no_number(each)


def _of_polars(series: Any, stream: str) -> pa.Array:
    dtype = str(series.dtype)
    if dtype.startswith("Object"):
        raise _refused(series.name, "Python objects", stream)
    if dtype in _WIDE:
        return _mixed(series.to_list(), series.name, stream)
    try:
        return series.to_arrow()
    except _ARROW_ERRORS as error:
        raise _refused(series.name, dtype, stream) from error


def _of_pandas(frame: Any, stream: str) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for name, series in _columns_of(frame):
        if not isinstance(name, str):
            text = f"a column is named {name!r}, which isn't text; rename it, as in `frame.rename(columns=str)`"
            raise SchemaError(text, stream=stream)
        if name in columns:
            raise SchemaError(f"the rows have more than one column of the name {name}", stream=stream)
        columns[name] = _of_series(series, name, stream)
    return _table(columns)


def _columns_of(frame: Any) -> Iterator[tuple[Any, Any]]:
    """The names and series of a frame's index and of its columns."""
    index = frame.index
    if type(index).__name__ != "RangeIndex" or index.name is not None:
        for level in range(index.nlevels):
            name = index.names[level]
            default = "index" if index.nlevels == 1 else f"level_{level}"
            yield default if name is None else name, index.get_level_values(level).to_series()
    for place, name in enumerate(frame.columns):
        yield name, frame.iloc[:, place]


def _of_series(series: Any, name: str, stream: str) -> pa.Array:
    dtype = str(series.dtype)
    if dtype.startswith("Sparse"):
        series = series.sparse.to_dense()
    try:
        return pa.array(series, from_pandas=True)
    except _ARROW_ERRORS as error:
        if dtype != "object":
            raise _refused(name, dtype, stream) from error
        missing = series.isna()
        return _mixed([None if gone else value for gone, value in zip(missing, series, strict=True)], name, stream)


def _table(columns: Mapping[str, pa.Array]) -> pa.Table:
    return pa.Table.from_arrays([*columns.values()], names=[*columns])


def _refused(name: str, what: str, stream: str) -> SchemaError:
    return SchemaError(
        f"no column can hold {what}; cast it first, for instance to text", stream=stream, column=name, have=what
    )
