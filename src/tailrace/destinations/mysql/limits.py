"""What types of MySQL and MariaDB don't hold."""

from __future__ import annotations

import re

import pyarrow as pa

from tailrace import compute as pc
from tailrace.sql.limits import Limit, all_of, cut, padded, rounded


def _no_member(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Texts that an enumeration doesn't have to the letter."""
    if not pa.types.is_string(values.type):
        return all_of(values)
    members = [member.replace("''", "'") for member in re.findall(r"'((?:[^']|'')*)'", match["members"])]
    return pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=pa.array(members, pa.string()))))


LIMITS = (
    Limit(r"float( unsigned)?", rounded),
    Limit(r"(time|timestamp|datetime)(\((?P<digits>\d)\))?( COMMENT .*)?", cut),
    Limit(r"char\(\d+\).*", padded),
    Limit(r"enum\((?P<members>.*)\).*", _no_member),
)
