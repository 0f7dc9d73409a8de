"""Numbers in JSON that MySQL would change: it keeps integers of 64 bits, and a double of every other number."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE

_LONG = "|".join(
    (
        r"[0-9]{20}",
        r"-[0-9]{19}",
        r"[0-9]{16}[.eE]",
        *(rf"[0-9]{{{whole}}}\.[0-9]{{{16 - whole}}}" for whole in range(1, 16)),
        r"[0-9.][eE][+-]?[0-9]{3}",
    )
)
_SUSPECT = rf"(?:{_LONG})[0-9.eE+-]*(?:[,\]}}\s]|$)"
"""Found in every text that has a number which is changed: up to 15 digits are those of a double, and an integer of 19
is one of 64 bits, if it isn't negative. Long numbers that are exact, and digits in texts, are found too."""
_NUMBER = re.compile(r"-?[0-9][0-9.]{15}[0-9.eE+-]*|-?[0-9][0-9.]*[eE][+-]?[0-9]{3,}")
"""The numbers of a text that may be changed; among them what looks like one in a string."""


def refuse_changed_numbers(rows: pa.Table, columns: Sequence[str]) -> None:
    """Raise RowsRefusedError for rows with a number in one of these columns of JSON that a double doesn't keep."""
    reasons: dict[int, str] = {}
    for name in columns:
        is_suspect = pc.match_substring_regex(rows[name], _SUSPECT)
        if not pc.any(is_suspect).as_py():
            continue
        suspects = rows.select([LINE, name]).filter(is_suspect)
        for line, text in zip(suspects[LINE].to_pylist(), suspects[name].to_pylist(), strict=True):
            if path := changed_number(text):
                reasons.setdefault(
                    line,
                    f"column {name!r}: the number at {path} is none of 64 bits and no double, and MySQL's JSON would "
                    "change it; make the column LONGTEXT, which keeps it (`sql_type: LONGTEXT` under `columns:` for a "
                    "new table)",
                )
    if reasons:
        raise RowsRefusedError(f"MySQL's JSON would change numbers in {len(reasons)} rows", reasons)


def changed_number(text: str) -> str:
    """The path of the first number within the JSON text that MySQL would change; empty where there is none."""
    if all(map(_is_plain, _NUMBER.findall(text))):
        return ""
    try:
        value = json.loads(text, parse_int=_read_integer, parse_float=_read_number)
    except RecursionError:  # deeper than what MySQL takes: it says so by itself
        return ""
    return next(_changed(value, "$"), "")


def _is_plain(number: str) -> bool:
    """Whether it is one that most programs write: an integer of 64 bits, or a double by its shortest text."""
    if number.isdigit():
        return len(number) < len("18446744073709551615")
    try:
        return repr(float(number)) == number
    except ValueError:  # it is no number, but a part of a string
        return False


class _Changed:
    """Stands where a number was that is changed."""


_CHANGED = _Changed()


def _read_integer(text: str) -> object:
    if len(text) < len("-9223372036854775808"):
        return None
    number = Decimal(text)
    if -(2**63) <= number < 2**64:
        return None
    nearest = float(text)
    return None if math.isfinite(nearest) and number == Decimal(repr(nearest)) else _CHANGED


def _read_number(text: str) -> object:
    nearest = float(text)
    if not math.isfinite(nearest):
        return _CHANGED
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of many digits
        return _CHANGED
    forms = (Decimal(repr(nearest)), Decimal(f"{nearest:.17g}"), Decimal(nearest))
    return None if number in forms else _CHANGED


def _changed(value: object, path: str) -> Iterator[str]:
    if value is _CHANGED:
        yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _changed(part, f"{path}.{name}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _changed(part, f"{path}[{place}]")
