"""What pyarrow's JSON reader takes otherwise than the reference does, found in the bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

import pyarrow as pa

from tailrace import compute as pc
from tailrace.decode.numbers import InexactFloat, float_of
from tailrace.decode.plan import Plan, Value
from tailrace.decode.refusal import UnfitError
from tailrace.model import Kind

_SEARCHABLE = re.compile(r"[A-Za-z0-9_ .-]+")
_COLON = r"[ \t\r]*:[ \t\r]*"
_ESCAPED_LETTER = r"\\u00[2-7]"
_LINE_WITHOUT_OBJECT = r"\n[^{]"
_MORE_AFTER_OBJECT = r"\}(?:[ \t{n]|\r[^\n])"


def is_searchable(name: str) -> bool:
    """Whether a field of that name is found in JSON by its bytes, unless letters of it are escaped."""
    return _SEARCHABLE.fullmatch(name) is not None


class Bytes:
    """A run's bytes, to be searched by RE2, which holds no lock while it does."""

    def __init__(self, data: bytes) -> None:
        offsets = pa.py_buffer(struct.pack("=qq", 0, len(data)))
        self.data = data
        self._array = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])

    def have(self, pattern: str) -> bool:
        """Whether the pattern is found."""
        return bool(pc.match_substring_regex(self._array, pattern)[0].as_py())

    def count(self, pattern: str) -> int:
        """How often the pattern is found."""
        return int(pc.count_substring_regex(self._array, pattern)[0].as_py())

    def are_lines_of_objects(self) -> bool:
        """Whether every line begins with an object, and nothing that the reader would take as a row comes after it.

        The reader doesn't care for lines, takes `null` as a row, and skips a byte order mark. Where this holds, a row
        begins at the beginning of a line or nowhere; then as many rows as lines are one row to each line.
        """
        return self.data.startswith(b"{") and not self.have(_LINE_WITHOUT_OBJECT) and not self.have(_MORE_AFTER_OBJECT)

    def keys(self, name: str) -> int | None:
        """How many objects have a field of that name; None when that can't be told from the bytes."""
        if not is_searchable(name) or self.have(_ESCAPED_LETTER):
            return None
        return self.count(f'"{re.escape(name)}"{_COLON}')


class NumberSuspects:
    """The numbers of a plan's FLOAT and DECIMAL columns that the reader may read otherwise than the reference.

    It makes decimals of strings too, goes wrong where one has more digits than it may have, and says nothing of the
    digits that a float loses.
    """

    def __init__(self, plan: Plan) -> None:
        numbers = [(value.path[-1], value.column) for value in plan.record.values() if is_suspect(value)]
        decimals = [
            f'{_key([name])}(?:"|{_too_many_digits(column.precision - column.scale)}|-?[0-9.]+[eE])'
            for name, column in numbers
            if column and column.kind is Kind.DECIMAL
        ]
        floats = [name for name, column in numbers if column and column.kind is Kind.FLOAT]
        self._decimals = "|".join(decimals)
        self._long_floats = f"{_key(floats)}{_LONG_FLOAT}" if floats else ""
        self._each_long_float = re.compile(f"{_key(floats)}({_LONG_FLOAT}[0-9.eE+-]*)".encode())

    def are_in(self, data: Bytes) -> bool:
        """Whether there are such numbers."""
        if not self._decimals and not self._long_floats:
            return False
        if data.have(_ESCAPED_LETTER) or (self._decimals and data.have(self._decimals)):
            return True
        if not self._long_floats or not data.have(self._long_floats):
            return False
        return any(map(_is_inexact, self._each_long_float.findall(data.data)))


_LONG_FLOAT = "-?[0-9](?:[0-9.]{15}|[0-9.]*[eE]-[0-9]{3})"
"""Only a number of more than 15 digits, or a tiny one, can lose digits in a float."""


def _too_many_digits(integer_digits: int) -> str:
    return "-?[1-9]" if integer_digits == 0 else f"-?[0-9]{{{integer_digits + 1}}}"


def _key(names: Iterable[str]) -> str:
    return f'"(?:{"|".join(map(re.escape, names))})"{_COLON}'


def _is_inexact(raw: bytes) -> bool:
    try:
        # Most are the shortest text that gives their float, which is soon told.
        return repr(float(raw)).encode() != raw and type(float_of(raw)) is InexactFloat
    except (UnfitError, ValueError):
        return True


def is_suspect(value: Value) -> bool:
    """Whether a field's values are numbers for a FLOAT or DECIMAL column."""
    return value.column is not None and value.column.kind in (Kind.FLOAT, Kind.DECIMAL) and "string" not in value.types
