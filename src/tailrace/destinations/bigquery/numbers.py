"""Numbers in JSON that BigQuery would change: it keeps integers of 64 bits, and a double of every other number."""

from __future__ import annotations

import re

import pyarrow as pa

from tailrace.sql.json_numbers import is_double, with_numbers

_SUSPECT = r"[0-9.]{17}|[0-9.][eE][+-]?[0-9]"
"""Found in every text that has such a number, and in others."""


def long_numbers_within(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """JSON texts with a number in them that neither 64 bits nor a double keep."""
    return with_numbers(values, _SUSPECT, lambda text: not _is_kept(text))


def _is_kept(text: str) -> bool:
    is_short_integer = text.lstrip("-").isdigit() and len(text) <= len("-9223372036854775808")
    return (is_short_integer and -(2**63) <= int(text) < 2**64) or is_double(text)
