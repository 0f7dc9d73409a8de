"""Types that hold less than their kind: what tells the values that they would change or refuse."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc

Beyond = Callable[[pa.ChunkedArray, "re.Match[str]"], pa.ChunkedArray]
"""Which values a type doesn't hold as they are; the match is that of the type's name."""


class Limit(Struct, frozen=True):
    """A type, by a regular expression for all of its name in any case, and what it doesn't hold."""

    sql_type: str
    is_beyond: Beyond

    def match(self, sql_type: str) -> re.Match[str] | None:
        """The match, where it is such a type."""
        return re.fullmatch(self.sql_type, sql_type, re.IGNORECASE)


def rounded(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """Numbers that aren't what they are in 32 bits."""
    if not pa.types.is_floating(values.type):
        return none(values)
    is_changed = pc.not_equal(values.cast(pa.float32()).cast(pa.float64()), values)
    return pc.and_(is_changed, pc.invert(pc.is_nan(values)))


def cut(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Times of more digits behind the second than the type has; the type names them, or has its dialect's own."""
    if not pa.types.is_temporal(values.type) or pa.types.is_date(values.type):
        return none(values)
    unit = 10 ** (6 - int(match["digits"] or 0))
    counts = values.cast(pa.int64())
    return pc.not_equal(pc.multiply(pc.divide(counts, unit), unit), counts)


def too_many_characters(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Texts that are longer than the type, be it by spaces, which the database would cut."""
    return pc.greater(pc.utf8_length(values), int(match["length"])) if pa.types.is_string(values.type) else none(values)


def too_many_bytes(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Texts and bytes that are longer than the type."""
    is_long = pa.types.is_string(values.type) or pa.types.is_binary(values.type)
    return pc.greater(pc.binary_length(values), int(match["length"])) if is_long else none(values)


def padded(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """Texts with a space at their end, which types of fixed length forget."""
    return pc.ends_with(values, " ") if pa.types.is_string(values.type) else none(values)


def all_of(values: pa.ChunkedArray, _: re.Match[str] | None = None) -> pa.ChunkedArray:
    """All values: the type takes none of them as it is."""
    return pc.is_valid(values)


def none(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """None of the values."""
    return pa.chunked_array([pa.array([False] * len(values), pa.bool_())])
