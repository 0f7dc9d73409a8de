"""Strings to a column's values, a whole array at a time, where they are written in the usual way."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from tailrace import compute as pc
from tailrace.decode.numbers import InexactFloat
from tailrace.decode.refusal import UnfitError
from tailrace.decode.values import text_converter
from tailrace.model import Column, Kind

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
_OFFSET = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

_NAIVE = pa.timestamp("us")
_UTC = pa.timestamp("us", tz="UTC")
_INT64 = pa.int64()
_INT32 = pa.int32()
_FIRST_DAY = -719_162
_FIRST_US, _LAST_US = _FIRST_DAY * 86_400_000_000, 253_402_300_799_999_999


class DoubtError(Exception):
    """The fast path can't tell what the reference would say of these records."""


def of_text(texts: pa.Array, column: Column) -> pa.Array:
    """The column's values that the strings stand for; DoubtError when one of them stands for none."""
    if column.kind is Kind.TEXT:
        return texts
    usual = _USUAL.get(column.kind)
    values = usual(texts) if usual else None
    return _one_by_one(texts, column) if values is None else values


def _one_by_one(texts: pa.Array, column: Column) -> pa.Array:
    convert = text_converter(column)
    try:
        values = [None if text is None else convert(text) for text in texts.to_pylist()]
    except UnfitError as unfit:
        raise DoubtError(column.name) from unfit
    if any(type(value) is InexactFloat for value in values):
        raise DoubtError(column.name)
    return pa.array(values, column.arrow)


def _matches(texts: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def _is_within(values: pa.Array, low: int, high: int) -> bool:
    found = pc.min_max(values).as_py()
    return found["min"] is None or (low <= found["min"] and found["max"] <= high)


def _timestamps(texts: pa.Array) -> pa.Array | None:
    if _matches(texts, f"^{_DATE}[T ]{_CLOCK}{_OFFSET}$"):
        values = texts.cast(_UTC)
    elif _matches(texts, f"^{_DATE}[T ]{_CLOCK}$"):
        values = texts.cast(_NAIVE).cast(_UTC)
    else:
        return None
    if not _is_within(values.cast(_INT64), _FIRST_US, _LAST_US):
        raise DoubtError("a year before 1 or after 9999")
    return values


def _naive_timestamps(texts: pa.Array) -> pa.Array | None:
    values = _timestamps(texts)
    return None if values is None else values.cast(_NAIVE)


def _dates(texts: pa.Array) -> pa.Array | None:
    if not _matches(texts, f"^{_DATE}$"):
        return None
    values = texts.cast(pa.date32())
    if not _is_within(values.cast(_INT32), _FIRST_DAY, _LAST_US):
        raise DoubtError("a year before 1")
    return values


def _times(texts: pa.Array) -> pa.Array | None:
    if not _matches(texts, f"^{_CLOCK}$"):
        return None
    # Strings become times of day by way of a day.
    return pc.binary_join_element_wise("1970-01-01", texts, " ").cast(_NAIVE).cast(pa.time64("us"))


def _uuids(texts: pa.Array) -> pa.Array | None:
    return pc.ascii_lower(texts) if _matches(texts, _UUID) else None


_USUAL: dict[Kind, Callable[[pa.Array], pa.Array | None]] = {
    Kind.TIMESTAMPTZ: _timestamps,
    Kind.TIMESTAMP: _naive_timestamps,
    Kind.DATE: _dates,
    Kind.TIME: _times,
    Kind.UUID: _uuids,
}
"""What reads a kind's usual spelling; None where a string isn't in it."""
