"""Exact numbers from JSON text: 64 bit integers, decimals, and floats that know when they lost digits."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Self

from tailrace.decode.refusal import UnfitError

_NUMBER = re.compile(rb"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_MAX_POWER = 10**12
_MAX_INT64_DIGITS = 19
_FLOAT_DIGITS = 15
"""Every number of so many significant digits that isn't tiny comes back from float64 as it was."""


class InexactFloat(float):
    """The float64 nearest to a number whose text is none of its own: the exact one, the shortest, that of 17 digits.

    `places` counts the digits that the number has before the point, and behind it.
    """

    def __new__(cls, value: float, places: tuple[int, int]) -> Self:
        """The float of a number that has so many digits."""
        made = super().__new__(cls, value)
        made.places = places
        return made

    places: tuple[int, int]


def is_number(raw: bytes) -> bool:
    """Whether this is a number as JSON writes them."""
    return _NUMBER.fullmatch(raw) is not None


def digits_of(raw: bytes, expected: str) -> tuple[bool, bytes, int]:
    """A JSON number as (is negative, digits without zeros at either end, power of ten of the last); none for zero."""
    match = _NUMBER.fullmatch(raw)
    if match is None:
        raise UnfitError("type", expected)
    sign, whole, fraction, power = match.groups(b"")
    digits = (whole + fraction).lstrip(b"0")
    significant = digits.rstrip(b"0")
    if not significant:
        return False, b"", 0
    return sign == b"-", significant, _power(power) - len(fraction) + len(digits) - len(significant)


def _power(text: bytes) -> int:
    digits = text.lstrip(b"+-").lstrip(b"0")
    size = int(digits or b"0") if len(digits) < len(str(_MAX_POWER)) else _MAX_POWER
    return -size if text.startswith(b"-") else size


def int64_of(raw: bytes, *, is_written_plainly: bool) -> int:
    """The integer that a JSON number is; `is_written_plainly` refuses `1.0` and `1e3`, as Draft 4 does."""
    is_negative, digits, power = digits_of(raw, "an integer")
    if power < 0 or (is_written_plainly and not raw.removeprefix(b"-").isdigit()):
        raise UnfitError("type", "an integer")
    if len(digits) + power <= _MAX_INT64_DIGITS:
        size = int((digits or b"0") + b"0" * power)
        value = -size if is_negative else size
        if -(2**63) <= value < 2**63:
            return value
    raise UnfitError("range", "an integer of 64 bits")


def decimal_of(raw: bytes, precision: int, scale: int) -> Decimal:
    """The decimal that a JSON number is, none of its digits lost."""
    is_negative, digits, power = digits_of(raw, "a number")
    if digits and (power < -scale or len(digits) + power > precision - scale):
        raise UnfitError("range", f"a number that DECIMAL({precision},{scale}) holds")
    return Decimal((int(is_negative), tuple(byte - 48 for byte in digits), power))


def float_of(raw: bytes) -> float:
    """The float64 nearest to a JSON number; an InexactFloat where the float's own text would be another number's."""
    value = float(raw)
    if len(raw) <= _FLOAT_DIGITS and b"e" not in raw and b"E" not in raw:
        return value
    if math.isinf(value):
        raise UnfitError("range", "a number that float64 holds")
    shortest = repr(value)
    if shortest.encode() == raw:
        return value
    is_negative, digits, power = digits_of(raw, "a number")
    places = max(0, len(digits) + power), max(0, -power)
    if not value:
        return InexactFloat(value, places) if digits else value
    number = Decimal((int(is_negative), tuple(byte - 48 for byte in digits), power))
    is_held = number in (Decimal(shortest), Decimal(f"{value:.17g}"), Decimal(value))
    return value if is_held else InexactFloat(value, places)
