"""Which values a file may have, as far as what the log says of them can be believed, whoever has written it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa

_CHARACTERS = 12
"""Characters of a text that every writer keeps; some cut texts at 32 characters or 64 bytes, and round the last up."""


def bounds(action: Mapping[str, Any], schema: pa.Schema) -> dict[str, tuple[object, object]]:
    """By column, values that none of a file's is below or above, from the log's action that adds the file.

    Integers and dates stand there exactly, texts by their first characters. Nothing else is believed: times are cut to
    milliseconds, decimals are JSON's numbers, and NaN isn't among the floats that bounds are of.
    """
    least, greatest = action.get("min") or {}, action.get("max") or {}
    both = {name: (least[name], greatest[name]) for name in schema.names if name in least and name in greatest}
    return {name: found for name, told in both.items() if (found := _believed(*told, schema.field(name).type))}


def _believed(low: object, high: object, arrow: pa.DataType) -> tuple[object, object] | None:
    if isinstance(low, str) and isinstance(high, str) and _is_text(arrow):
        return _of_texts(low[:_CHARACTERS], high[:_CHARACTERS])
    exact = int if pa.types.is_integer(arrow) else date if pa.types.is_date(arrow) else None
    return (low, high) if exact and type(low) is exact and type(high) is exact else None


def _of_texts(low: str, high: str) -> tuple[str, str] | None:
    """The bounds of texts whose least and greatest begin so; None beyond ASCII, which writers order variously."""
    if not (low.isascii() and high.isascii()):
        return None
    is_whole = len(high) < _CHARACTERS
    return low, high if is_whole else high[:-1] + chr(ord(high[-1]) + 1)


def _is_text(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow))
