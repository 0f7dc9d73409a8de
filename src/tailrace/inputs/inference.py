"""What the texts of a column are, over a whole file: the narrowest kind that holds each of them exactly."""

from __future__ import annotations

import re
import sys
from typing import Final

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc

_FLOAT_DIGITS: Final = 15
"""Decimal digits that every float keeps."""
_DECIMAL_DIGITS: Final = 38
_LOOKED_AT: Final = 200
_LEAST: Final = -(2**63)
_NORMAL: Final = sys.float_info.min
"""The least float with all of its digits."""
_LAST_US: Final = 253_402_300_799_999_999
"""The end of the year 9999."""

_NARROW: Final = ((2, pa.int8()), (4, pa.int16()), (9, pa.int32()))
"""The types that hold all integers of so many digits."""

_NUMBER = r"^(0|-?[1-9][0-9]*)$|^-?(0|[1-9][0-9]*)\.[0-9]+$"
_POWER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?[eE][+-]?[0-9]{1,3}$"
_DATE = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_MOMENT = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[T ]" + _CLOCK
_BOOLS = pa.array(["true", "false", "True", "False", "TRUE", "FALSE"])


class _Class(Struct, frozen=True):
    """Texts of one form, and the type that they become."""

    pattern: str
    type: pa.DataType

    def cast(self, texts: pa.Array) -> pa.Array | None:
        """The texts as values; None where one of them isn't of the form, or there is no such value."""
        if not pc.all(pc.match_substring_regex(texts, pattern=self.pattern), min_count=0).as_py():
            return None
        try:
            values = _cast(texts, self.type)
        except pa.ArrowInvalid:
            return None
        is_late = pa.types.is_timestamp(self.type) and (pc.max(values).value or 0) > _LAST_US
        return None if is_late else values


_CLASSES = (
    _Class(_DATE, pa.date32()),
    _Class(f"^{_CLOCK}$", pa.time64("us")),
    _Class(f"{_MOMENT}$", pa.timestamp("us")),
    _Class(f"{_MOMENT}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$", pa.timestamp("us", tz="UTC")),
)


class _Digits(Struct):
    """Numbers of a column: the most digits before the point, behind it and in all.

    `is_short` says that all are integers of 64 bits, `has_power` that some have a power of ten.
    """

    is_short: bool = True
    before: int = 0
    behind: int = 0
    in_all: int = 0
    has_power: bool = False

    @property
    def type(self) -> pa.DataType:
        """The narrowest type that holds them exactly."""
        if self.has_power:
            return pa.float64() if self.in_all <= _FLOAT_DIGITS else pa.string()
        if self.is_short:
            return pa.int64()
        if self.behind and self.in_all <= _FLOAT_DIGITS:
            return pa.float64()
        if self.before + self.behind <= _DECIMAL_DIGITS:
            return pa.decimal128(_DECIMAL_DIGITS if not self.behind else self.before + self.behind, self.behind)
        return pa.string()


class ColumnInference:
    """The type of one column, from all of its texts that have passed.

    `take` gives the texts of a block in the type as it is known then, integers in as few bits as they need; where
    `type` differs from it in the end, the block may have to be read again. Both take values instead of texts, too,
    where each text is written as values of that form always are. `is_text` says that no other type holds all texts.
    """

    def __init__(self) -> None:
        self.type: pa.DataType = pa.null()
        self._digits: _Digits | None = None
        self.is_text = False

    @property
    def form(self) -> str:
        """What the texts that have passed are: i for integers of 64 bits, d for days, t and z for times, else s."""
        if self._takes_integers:
            return "i"
        return _FORMS.get(self.type, "s")

    @property
    def _takes_integers(self) -> bool:
        is_short = self._digits.is_short if self._digits else pa.types.is_null(self.type)
        return is_short and not self.is_text

    def take(self, given: pa.Array) -> pa.Array:
        """Look at the texts of a block, in which null is no text; the block's values in the present type."""
        if pa.types.is_temporal(given.type):  # as all texts before were
            return given
        if not self.is_text and given.null_count < len(given):
            is_read = pa.types.is_int64(given.type) and self._takes_integers
            values = self._counted(given) if is_read else self._seen(_texts(given))
            if values is not None:
                self.type = values.type
                return self._narrowed(values)
            self.is_text, self.type = True, pa.string()
        return self.read(given)

    def read(self, given: pa.Array) -> pa.Array:
        """The texts in the column's type, once all of them have passed."""
        if pa.types.is_null(self.type):
            return pa.nulls(len(given))
        return given if given.type == self.type else _cast(_texts(given), self.type)

    def _seen(self, texts: pa.Array) -> pa.Array | None:
        """The texts as values of a type that holds those before too; None where there is none but text."""
        if self._digits is not None:
            return self._numbers(texts)
        if not pa.types.is_null(self.type):
            return _bools(texts) if pa.types.is_boolean(self.type) else _CLASS_OF[self.type].cast(texts)
        few = [text for text in texts.slice(0, _LOOKED_AT).to_pylist() if text is not None]
        few = few or [pc.drop_null(texts)[0].as_py()]
        if all(re.match(_NUMBER, text) or re.match(_POWER, text) for text in few):
            self._digits = _Digits()
            return self._numbers(texts)
        if all(text in _BOOL_TEXTS for text in few):
            return _bools(texts)
        form = next((form for form in _CLASSES if all(re.match(form.pattern, text) for text in few)), None)
        return form.cast(texts) if form else None

    def _narrowed(self, values: pa.Array) -> pa.Array:
        """Integers in as few bits as all of the column's have needed yet; other values as they are."""
        if self._digits is None or not pa.types.is_int64(values.type):
            return values
        before = self._digits.before
        fitting = (type_ for digits, type_ in _NARROW if before <= digits)
        return pc.cast(values, next(fitting, pa.int64()), safe=False)

    def _counted(self, values: pa.Array) -> pa.Array:
        """Integers, of which some aren't null, once their digits are counted."""
        digits = self._digits = self._digits or _Digits()
        bounds = pc.min_max(values).as_py()
        longest = max(len(str(abs(bounds["min"]))), len(str(abs(bounds["max"]))))
        digits.before, digits.in_all = max(digits.before, longest), max(digits.in_all, longest)
        return values

    def _numbers(self, texts: pa.Array) -> pa.Array | None:
        digits = self._digits or _Digits()
        integers = _integers(texts) if digits.is_short else None
        if integers is not None:
            self._counted(integers)
        elif not _measured(texts, digits):
            return None
        digits.is_short = digits.is_short and integers is not None
        if digits.behind:  # an integer beside fractions has as many digits as it has
            digits.in_all = max(digits.in_all, digits.before)
        type_ = digits.type
        if pa.types.is_string(type_):
            return None
        if pa.types.is_int64(type_):
            return integers
        values = pc.cast(texts, type_)
        return values if not digits.has_power or _are_held(texts, values) else None


_FORMS = {pa.date32(): "d", pa.timestamp("us"): "t", pa.timestamp("us", tz="UTC"): "z"}
_CLASS_OF = {form.type: form for form in _CLASSES}
_BOOL_TEXTS = frozenset(_BOOLS.to_pylist())


def _texts(given: pa.Array) -> pa.Array:
    """The texts of which integers were read."""
    return given if pa.types.is_string(given.type) else pc.cast(given, pa.string())


def _cast(texts: pa.Array, to: pa.DataType) -> pa.Array:
    """Texts as values of a type; ArrowInvalid for a text that is none."""
    if not pa.types.is_time(to):
        return pc.cast(texts, to)
    moments = pc.binary_join_element_wise(pa.scalar("1970-01-01"), texts, "T")
    return pc.cast(pc.cast(moments, pa.timestamp("us")), to)


def _integers(texts: pa.Array) -> pa.Array | None:
    """The texts as integers of 64 bits, if each is written as such a number always is: no `007`, no `+7`."""
    data = _characters(texts)
    if b"." in data:  # which saves Arrow from failing over each text
        return None
    try:
        values = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return None
    if b"x" in data or b"X" in data or pc.min(values).as_py() == _LEAST:  # Arrow reads 0xFF too
        return values if pc.all(pc.equal(pc.cast(values, pa.string()), texts)).as_py() else None
    return values if pc.sum(pc.binary_length(texts)).as_py() == _shortest_length(values) else None


def _characters(texts: pa.Array) -> bytes:
    """All texts as one."""
    _, places, data = texts.buffers()
    offsets = memoryview(places).cast("B").cast("i")
    start, end = offsets[texts.offset], offsets[texts.offset + len(texts)]
    return data.slice(start, end - start).to_pybytes() if data else b""


def _shortest_length(integers: pa.Array) -> int:
    """How many characters the integers take at least; whatever is written otherwise takes more."""
    sizes = pc.abs(integers)
    length = len(integers) - integers.null_count + (pc.sum(pc.less(integers, 0)).as_py() or 0)
    limit, largest = 10, pc.max(sizes).as_py() or 0
    while limit <= largest:
        length += pc.sum(pc.greater_equal(sizes, limit)).as_py()
        limit *= 10
    return int(length)


def _are_held(texts: pa.Array, floats: pa.Array) -> bool:
    """Whether the floats are what the texts say, none of which is too large or too small for one."""
    if not pc.all(pc.is_finite(floats), min_count=0).as_py():
        return False
    small = pc.less(pc.abs(floats), _NORMAL)
    return not pc.any(pc.and_(small, pc.match_substring_regex(texts, pattern="^[^eE]*[1-9]"))).as_py()


def _measured(texts: pa.Array, digits: _Digits) -> bool:
    """Count the digits of numbers; False where a text isn't one."""
    plain = pc.match_substring_regex(texts, pattern=_NUMBER)
    if not pc.all(plain, min_count=0).as_py():
        if not pc.all(pc.or_(plain, pc.match_substring_regex(texts, pattern=_POWER)), min_count=0).as_py():
            return False
        digits.has_power = True
        texts = pc.replace_substring_regex(texts, pattern=r"[eE].*$", replacement="")
    mantissas = pc.ascii_ltrim(texts, characters="-")
    points = pc.find_substring(mantissas, pattern=".")
    lengths = pc.binary_length(mantissas)
    is_whole = pc.less(points, 0)
    before = pc.if_else(is_whole, lengths, points)
    behind = pc.if_else(is_whole, 0, pc.subtract(pc.subtract(lengths, points), 1))
    digits.before = max(digits.before, pc.max(before).as_py())
    digits.behind = max(digits.behind, pc.max(behind).as_py())
    digits.in_all = max(digits.in_all, pc.max(pc.add(before, behind)).as_py())
    return True


def _bools(texts: pa.Array) -> pa.Array | None:
    known = pc.all(pc.or_(pc.is_in(texts, value_set=_BOOLS), pc.is_null(texts)), min_count=0).as_py()
    return pc.cast(texts, pa.bool_()) if known else None
