"""Kinds as text, and how many digits a decimal gets."""

from __future__ import annotations

import difflib
import re

from tailrace.errors import ConfigError
from tailrace.model import Kind

MAX_DIGITS = 38
"""The digits that decimal128 holds, and every destination's DECIMAL."""

INT_DIGITS = 19
"""The digits of the largest int64."""

DEFAULT_DECIMAL = (MAX_DIGITS, 9)
"""Precision and scale where the schema says nothing finer."""

_SPELLING = re.compile(r"\s*(\w+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*")
_SYNONYMS = {
    "BIGINT": Kind.INT,
    "BOOLEAN": Kind.BOOL,
    "BYTES": Kind.BINARY,
    "DATETIME": Kind.TIMESTAMP,
    "DOUBLE": Kind.FLOAT,
    "INTEGER": Kind.INT,
    "NUMBER": Kind.DECIMAL,
    "NUMERIC": Kind.DECIMAL,
    "OBJECT": Kind.JSON,
    "REAL": Kind.FLOAT,
    "STRING": Kind.TEXT,
    "VARCHAR": Kind.TEXT,
}


def decimal_digits(integer_digits: int, scale: int) -> tuple[int, int]:
    """Precision and scale of a decimal with that many digits before and after the point.

    Where that is more than 38 in all, the places after the point give way, but not for more digits before it than
    an int64 has.
    """
    if integer_digits + scale <= MAX_DIGITS:
        return max(1, integer_digits + scale), scale
    return MAX_DIGITS, min(scale, MAX_DIGITS - min(integer_digits, INT_DIGITS))


def parsed_kind(text: str, key: str) -> tuple[Kind, int, int]:
    """Kind, precision and scale of a text like `INT` or `DECIMAL(38,9)`, the value of the setting `key`."""
    match = _SPELLING.fullmatch(text)
    name = match[1].upper() if match else text.strip().upper()
    if name not in Kind.__members__:
        near = difflib.get_close_matches(name, Kind.__members__, 1, cutoff=0.5)
        meant = _SYNONYMS.get(name) or (near[0] if near else None)
        kinds = ", ".join(Kind.__members__)
        raise ConfigError(
            f"{text!r} isn't a kind", key=key, hint=f"did you mean {meant}?" if meant else f"kinds are {kinds}"
        )
    kind = Kind[name]
    digits = [int(number) for number in match.groups()[1:] if number] if match else []
    if kind is not Kind.DECIMAL:
        if digits:
            raise ConfigError(f"{kind} takes no digits", key=key, hint=f"write {kind}")
        return kind, 0, 0
    precision, scale = (*digits, 0)[:2] if digits else DEFAULT_DECIMAL
    if not 1 <= precision <= MAX_DIGITS or scale > precision:
        raise ConfigError(
            f"{text!r} isn't a decimal that can be held", key=key, hint="DECIMAL(p,s) has 1 <= p <= 38 and s <= p"
        )
    return kind, precision, scale
