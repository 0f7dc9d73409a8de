"""Kinds as text, how many digits a decimal gets, and which kinds go into which."""

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
"""Precision and scale if the schema doesn't say."""

FITS: dict[Kind, frozenset[Kind]] = {
    Kind.BOOL: frozenset({Kind.TEXT, Kind.JSON}),
    Kind.INT: frozenset({Kind.FLOAT, Kind.DECIMAL, Kind.TEXT, Kind.JSON}),
    Kind.FLOAT: frozenset({Kind.DECIMAL, Kind.TEXT, Kind.JSON}),
    Kind.DECIMAL: frozenset({Kind.TEXT, Kind.JSON}),
    Kind.TEXT: frozenset({Kind.JSON}),
    Kind.JSON: frozenset({Kind.TEXT}),
    Kind.BINARY: frozenset(),
    Kind.DATE: frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TEXT, Kind.JSON}),
    Kind.TIME: frozenset({Kind.TEXT, Kind.JSON}),
    Kind.TIMESTAMP: frozenset({Kind.TIMESTAMPTZ, Kind.TEXT, Kind.JSON}),
    Kind.TIMESTAMPTZ: frozenset({Kind.TIMESTAMP, Kind.TEXT, Kind.JSON}),
    Kind.UUID: frozenset({Kind.TEXT, Kind.JSON}),
}
"""A stream's kind -> the other kinds of table columns that take its values as they are, value by value."""

WIDENINGS: dict[Kind, frozenset[Kind]] = {
    **dict.fromkeys((Kind.TEXT, Kind.JSON, Kind.BINARY), frozenset()),
    **dict.fromkeys((Kind.BOOL, Kind.FLOAT, Kind.TIME, Kind.UUID), frozenset({Kind.TEXT, Kind.JSON})),
    **dict.fromkeys((Kind.TIMESTAMP, Kind.TIMESTAMPTZ), frozenset({Kind.TEXT, Kind.JSON})),
    Kind.INT: frozenset({Kind.DECIMAL, Kind.TEXT, Kind.JSON}),
    Kind.DECIMAL: frozenset({Kind.DECIMAL, Kind.TEXT, Kind.JSON}),
    Kind.DATE: frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TEXT, Kind.JSON}),
}
"""A table column's kind -> the kinds that it can become without loss of any value."""

SPELLED_VARIOUSLY = frozenset(
    {Kind.FLOAT, Kind.DECIMAL, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UUID, Kind.BINARY}
)
"""The kinds whose values taps spell in several ways as text."""

_SPELLING = re.compile(r"\s*(\w+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*")
_SQL_TYPE = re.compile(r"\s*(\w+(?: +[a-z]\w*)*)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", re.IGNORECASE | re.ASCII)
_SQL_DECIMALS = frozenset({"BIGDECIMAL", "BIGNUMERIC", "DEC", "DECIMAL", "FIXED", "NUMBER", "NUMERIC"})
_SQL_INTEGERS = frozenset(
    {"BIGINT", "BYTEINT", "INT", "INT2", "INT4", "INT64", "INT8", "INTEGER", "MEDIUMINT", "SMALLINT", "TINYINT"}
)
_SQL_TEXTS = frozenset(
    {"CHARACTER VARYING", "CITEXT", "CLOB", "LONGTEXT", "MEDIUMTEXT", "NVARCHAR", "STRING", "TEXT", "VARCHAR"}
)
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


def kind_for_digits(before: int, behind: int) -> str:
    """The kind for numbers with so many digits before and after the point; TEXT if no decimal holds them."""
    return "TEXT" if before + behind > MAX_DIGITS else f"DECIMAL({max(1, before + behind)},{behind})"


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


def kind_by_sql_type(sql_type: str, kind: Kind) -> tuple[Kind, int, int] | None:
    """Kind, precision and scale in which a number keeps the digits that a column of that SQL type holds.

    `kind` is the number's own; None where that one keeps them, or the type isn't known.
    """
    match = _SQL_TYPE.fullmatch(sql_type)
    if match is None or kind not in (Kind.INT, Kind.FLOAT, Kind.DECIMAL):
        return None
    name = " ".join(match[1].upper().split())
    if name in _SQL_DECIMALS:
        return _sql_decimal(match[2], match[3], kind)
    if kind is Kind.FLOAT and name in _SQL_INTEGERS:
        return Kind.INT, 0, 0
    return (Kind.TEXT, 0, 0) if kind is Kind.FLOAT and name in _SQL_TEXTS else None


def _sql_decimal(precision: str | None, scale: str | None, kind: Kind) -> tuple[Kind, int, int] | None:
    if precision is None:
        # How many digits there are then, each database sees otherwise.
        return {Kind.INT: (Kind.DECIMAL, MAX_DIGITS, 0), Kind.FLOAT: (Kind.DECIMAL, *DEFAULT_DECIMAL)}.get(kind)
    digits, places = int(precision), int(scale or 0)
    if digits < max(1, places):
        return None
    return Kind.DECIMAL, *decimal_digits(digits - places, places)
