"""Values of each kind as text and as JSON text, and read back from text: one spelling for each value."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.model import Kind

Text = Callable[[pa.ChunkedArray], pa.ChunkedArray]
"""A column's values as strings."""

Parse = Callable[[pa.ChunkedArray, pa.DataType], pa.ChunkedArray]
"""Strings read as values of another type; ValueError if one isn't spelled as that value is here."""

_STRING = pa.string()
_TIMESTAMP = pa.timestamp("us")
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(_STRING)


def _decimal(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """All digits of the scale, never an exponent."""
    text = values.cast(_STRING)
    if not pc.any(pc.match_substring(text, "E")).as_py():
        return text
    return pa.chunked_array([[None if v is None else format(v, "f") for v in values.to_pylist()]], _STRING)


def _without_trailing_zeros(text: pa.ChunkedArray) -> pa.ChunkedArray:
    shorter = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
    return pc.replace_substring_regex(shorter, r"\.$", "")


def _time(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return _without_trailing_zeros(values.cast(_STRING))


def _timestamptz(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(_time(values.cast(_TIMESTAMP)), "+00", "")


TEXTS: dict[Kind, Text] = {
    Kind.BOOL: _plain,
    Kind.INT: _plain,
    Kind.FLOAT: _plain,
    Kind.DECIMAL: _decimal,
    Kind.DATE: _plain,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _time,
    Kind.TIMESTAMPTZ: _timestamptz,
    Kind.UUID: _plain,
    Kind.JSON: _plain,
}
"""Each kind as SQL's own cast to text spells it in a session in UTC: `true`, `1.50`, `2024-01-31 12:00:00.5+00`."""


def _quoted(text: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(text, r'[\x00-\x1f"\\]')).as_py():
        quoted = [None if v is None else msgspec.json.encode(v).decode() for v in text.to_pylist()]
        return pa.chunked_array([quoted], _STRING)
    return pc.binary_join_element_wise('"', text, '"', "")


def _quoted_timestamp(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return _quoted(pc.replace_substring(_time(values), " ", "T"))


def _quoted_timestamptz(values: pa.ChunkedArray) -> pa.ChunkedArray:
    written = pc.replace_substring(_time(values.cast(_TIMESTAMP)), " ", "T")
    return _quoted(pc.binary_join_element_wise(written, "+00:00", ""))


def _finite(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.all(pc.is_finite(values)).as_py() is False:
        raise ValueError("JSON has no such number")
    return values.cast(_STRING)


JSON_TEXTS: dict[Kind, Text] = {
    Kind.BOOL: _plain,
    Kind.INT: _plain,
    Kind.FLOAT: _finite,
    Kind.DECIMAL: _decimal,
    Kind.TEXT: _quoted,
    Kind.DATE: lambda values: _quoted(values.cast(_STRING)),
    Kind.TIME: lambda values: _quoted(_time(values)),
    Kind.TIMESTAMP: _quoted_timestamp,
    Kind.TIMESTAMPTZ: _quoted_timestamptz,
    Kind.UUID: _quoted,
}
"""Each kind as JSON text: numbers and booleans bare, other kinds as strings, times by RFC 3339."""


def _read(text: pa.ChunkedArray, kind: Kind, to: pa.DataType) -> pa.ChunkedArray:
    if kind is Kind.TIME:
        return pc.binary_join_element_wise("1970-01-01", text, " ").cast(_TIMESTAMP).cast(to)
    return text.cast(to)


def _canonical(text: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """The text in one spelling, without differences that don't matter for its kind."""
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        text = pc.replace_substring_regex(text, "^(.{10})T", r"\1 ")
        text = pc.replace_substring_regex(text, r"(Z|\+00:00)$", "+00")
        text = pc.replace_substring_regex(text, r"(\.\d*?)0+(\+00)?$", r"\1\2")
        return pc.replace_substring_regex(text, r"\.(\+00)?$", r"\1")
    is_fraction = kind in (Kind.DECIMAL, Kind.FLOAT, Kind.TIME)
    return _without_trailing_zeros(text) if is_fraction else text


def parsed(kind: Kind) -> Parse:
    """A reader of a kind's values in their one spelling: `7` but not `007`, `true` but not `1`."""

    def parse(text: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
        values = _read(text, kind, to)
        again = _canonical(TEXTS[kind](values), kind)
        if pc.all(pc.equal(again, _canonical(text, kind))).as_py() is False:
            raise ValueError("a text isn't written as its value is")
        return values

    return parse


def parsed_uuid(text: pa.ChunkedArray, _: pa.DataType) -> pa.ChunkedArray:
    """The texts, if all are UUIDs in their usual form (lower case, with hyphens)."""
    if pc.all(pc.match_substring_regex(text, _UUID)).as_py() is False:
        raise ValueError("a text isn't a UUID")
    return text


READABLE = (
    Kind.BOOL,
    Kind.INT,
    Kind.FLOAT,
    Kind.DECIMAL,
    Kind.DATE,
    Kind.TIME,
    Kind.TIMESTAMP,
    Kind.TIMESTAMPTZ,
)
"""The kinds that `parsed` reads."""
