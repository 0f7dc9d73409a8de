"""What types of Redshift don't hold, beside those that other databases have."""

from __future__ import annotations

import re

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RowsRefusedError
from tailrace.sql.limits import Limit, none, padded, rounded, too_many_bytes

_LONGEST_STRING = 65_535


def _out_of_range(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Integers beyond those of the type."""
    end = 2**15 if match[0].lower() == "smallint" else 2**31
    return pc.or_(pc.greater_equal(values, end), pc.less(values, -end))


def _not_ascii(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """Texts with other characters than ASCII's."""
    return pc.invert(pc.string_is_ascii(values)) if pa.types.is_string(values.type) else none(values)


def _long_string_within(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """JSON texts with a string in them that is longer than 65,535 bytes."""
    is_long = pc.greater(pc.binary_length(values), _LONGEST_STRING)
    if not pc.any(is_long).as_py():
        return none(values)
    pairs = zip(is_long.to_pylist(), values, strict=True)
    found = [bool(long) and _has_long_string(msgspec.json.decode(text.as_py())) for long, text in pairs]
    return pa.chunked_array([pa.array(found, pa.bool_())])


def _has_long_string(value: object) -> bool:
    if isinstance(value, str):
        return len(value.encode()) > _LONGEST_STRING
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_has_long_string, parts))


LIMITS = (
    Limit("real", rounded),
    Limit(r"character\(\d+\)", padded),
    Limit(r"(character varying|varchar|character|char|binary varying|varbyte)\((?P<length>\d+)\)", too_many_bytes),
    Limit(r"(character|char)\(\d+\)", _not_ascii),
    Limit("super", _long_string_within),
    Limit("smallint|integer", _out_of_range),
)


def refuse_long_lines(lines: pa.ChunkedArray, numbers: pa.ChunkedArray, max_bytes: int) -> None:
    """Raise RowsRefusedError for rows that are longer as lines of text; `numbers` are their lines in the input."""
    found = numbers.filter(pc.greater(pc.binary_length(lines), max_bytes)).to_pylist()
    if found:
        reason = f"it has more than {max_bytes:,} bytes as a line of a file"
        raise RowsRefusedError(f"{len(found)} rows are too long", dict.fromkeys(found, reason))
