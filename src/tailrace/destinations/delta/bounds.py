"""Which values a file may have, by what the log says of it and every writer gets right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pyarrow as pa

_CHARACTERS = 12
"""Characters of a text that every writer keeps; some cut texts at 32 characters or 64 bytes, and round the last up."""

_FLOAT_BITS = 52
"""An integer that was written as a float is off by at most its value shifted right by so many bits."""

Bounds = dict[str, tuple[object, object]]
"""By column, the bounds of a file's values."""


def bounds(actions: pa.Table, schema: pa.Schema) -> list[Bounds]:
    """The reliable bounds of each file, from the log's add actions.

    Dates are exact. Integers are exact as far as floats are, since some writers write them as floats. Texts are right
    in their first characters. Others aren't reliable: times are cut to milliseconds, decimals rounded, NaN left out.
    """
    least, greatest = _columns(actions, "min"), _columns(actions, "max")
    found: list[Bounds] = [{} for _ in range(actions.num_rows)]
    for field in schema:
        if field.name in least and field.name in greatest and _is_told(field.type):
            lows, highs = _values(least[field.name]), _values(greatest[field.name])
            for one, low, high in zip(found, lows, highs, strict=True):
                if believed := _believed(low, high, field.type):
                    one[field.name] = believed
    return found


def _columns(actions: pa.Table, end: str) -> Mapping[str, pa.ChunkedArray]:
    """The least, or the greatest, values of columns."""
    if end not in actions.column_names or not pa.types.is_struct(actions.schema.field(end).type):
        return {}
    names = [field.name for field in actions.schema.field(end).type]
    return dict(zip(names, actions[end].combine_chunks().flatten(), strict=True))


def _values(column: pa.Array) -> Sequence[object]:
    try:
        return list(column.to_pylist())
    except OverflowError:  # a date that Python doesn't have
        return [None] * len(column)


def _is_told(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_integer(arrow) or pa.types.is_date(arrow) or _is_text(arrow))


def _believed(low: object, high: object, arrow: pa.DataType) -> tuple[object, object] | None:
    if isinstance(low, str) and isinstance(high, str) and _is_text(arrow):
        return _of_texts(low[:_CHARACTERS], high[:_CHARACTERS])
    if type(low) is int and type(high) is int and pa.types.is_integer(arrow):
        return low - (abs(low) >> _FLOAT_BITS), high + (abs(high) >> _FLOAT_BITS)
    return (low, high) if type(low) is date and type(high) is date else None


def _of_texts(low: str, high: str) -> tuple[str, str] | None:
    """The bounds of texts whose least and greatest begin so; None beyond ASCII, which writers order variously."""
    if not (low.isascii() and high.isascii()):
        return None
    is_whole = len(high) < _CHARACTERS
    return low, high if is_whole else high[:-1] + chr(ord(high[-1]) + 1)


def _is_text(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow))
