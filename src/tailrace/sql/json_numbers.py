"""Numbers within JSON, which databases keep in different ways: which texts have one that isn't kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from tailrace import compute as pc
from tailrace.sql.limits import none


def with_numbers(values: pa.ChunkedArray, suspect: str, is_wanted: Callable[[str], bool]) -> pa.ChunkedArray:
    """The JSON texts that have a number, by its text, that is wanted; `suspect` is found in each of them."""
    is_suspect = pc.match_substring_regex(values, suspect)
    if not pc.any(is_suspect).as_py():
        return none(values)
    pairs = zip(is_suspect.to_pylist(), values, strict=True)
    return pa.chunked_array([pa.array([bool(it) and _has_number(text.as_py(), is_wanted) for it, text in pairs])])


def number_of(text: str) -> Decimal | None:
    """The number, with all of its digits; None where its exponent has too many."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def is_double(text: str) -> bool:
    """Whether a double keeps the number."""
    nearest = float(text)
    return math.isfinite(nearest) and Decimal(repr(nearest)) == number_of(text)


def _has_number(text: str, is_wanted: Callable[[str], bool]) -> bool:
    found: list[bool] = []

    def read(number: str) -> None:
        found.append(is_wanted(number))

    json.loads(text, parse_int=read, parse_float=read)
    return any(found)
