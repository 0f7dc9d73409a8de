"""Numbers in JSON that a VARIANT would change: it keeps 38 digits, and a double of every other number."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from tailrace import compute as pc
from tailrace.sql.limits import none

_SUSPECT = r"[0-9.]{38}|[0-9.][eE][+-]?[0-9]"
"""Found in every text that has such a number, and in others."""
_DIGITS = 38


def long_numbers_within(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """JSON texts with a number in them that neither 38 digits nor a double keep."""
    is_suspect = pc.match_substring_regex(values, _SUSPECT)
    if not pc.any(is_suspect).as_py():
        return none(values)
    pairs = zip(is_suspect.to_pylist(), values, strict=True)
    return pa.chunked_array([pa.array([bool(suspect) and _is_changed(text.as_py()) for suspect, text in pairs])])


def _is_changed(text: str) -> bool:
    found: list[bool] = []

    def read(number: str) -> None:
        found.append(not _is_kept(number))

    json.loads(text, parse_int=read, parse_float=read)
    return any(found)


def _is_kept(text: str) -> bool:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of many digits
        return False
    _, digits, exponent = number.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    scale = -int(exponent) - (len(digits) - len(significant))
    if max(len(significant) - scale, 0) + max(scale, 0) <= _DIGITS:
        return True
    nearest = float(text)
    return math.isfinite(nearest) and Decimal(repr(nearest)) == number
