"""Numbers in JSON that a VARIANT would change: it keeps 38 digits, and a double of every other number."""

from __future__ import annotations

import re

import pyarrow as pa

from tailrace.sql.json_numbers import is_double, number_of, with_numbers

_SUSPECT = r"[0-9.]{38}|[0-9.][eE][+-]?[0-9]"
"""Found in every text that has such a number, and in others."""
_DIGITS = 38


def long_numbers_within(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """JSON texts with a number in them that neither 38 digits nor a double keep."""
    return with_numbers(values, _SUSPECT, lambda text: not _is_kept(text))


def _is_kept(text: str) -> bool:
    number = number_of(text)
    if number is None:
        return False
    _, digits, exponent = number.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    scale = -int(exponent) - (len(digits) - len(significant))
    return max(len(significant) - scale, 0) + max(scale, 0) <= _DIGITS or is_double(text)
