"""What turns a value's JSON into what its column holds, one function for each column."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import partial

import msgspec

from tailrace.decode.coercion import (
    Coerced,
    coerced_boolean,
    coerced_number,
    coerced_text,
    coercing,
    document_of,
)
from tailrace.decode.layout import Value
from tailrace.decode.numbers import decimal_of, float_of, int64_of, is_number
from tailrace.decode.refusal import UnfitError
from tailrace.decode.times import date_days, time_us, timestamp_us
from tailrace.model import Column, Fill, Kind

Convert = Callable[[bytes], object]
"""A value's JSON (never `null`) -> what pyarrow makes the column's value from; raises UnfitError."""

NUMERIC = frozenset({Kind.INT, Kind.FLOAT, Kind.DECIMAL})

_TEXT = msgspec.json.Decoder(str)
_QUOTE = ord('"')
_INT64_START, _INT64_END = -(2**63), 2**63
_UUID = re.compile(
    r"(?:urn:uuid:)?([0-9a-f]{8})(-?)([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{12})", re.IGNORECASE
)
_BASE16 = re.compile(r"(?:0[xX]|\\x)?((?:[0-9A-Fa-f]{2})*)")
_TYPE_OF_FIRST = {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean"}
_WITH_ARTICLE = {"integer": "an integer", "object": "an object", "array": "an array"}


def converter(value: Value, *, is_draft4: bool) -> Convert:
    """What reads the values of a field that fills a column, Coerced ones too where the field coerces."""
    exact = _converter(value, is_draft4=is_draft4)
    coerced = _coerced(value) if value.coerces else None
    if value.column is not None and value.column.fill is Fill.DELETED_AT:
        return partial(_unless_empty, exact=exact)
    if value.is_document:
        return partial(_document, exact=exact, value=value)
    return coercing(exact, coerced) if coerced else exact


def _coerced(value: Value) -> Callable[[bytes], object] | None:
    """What reads values that aren't of the schema's types; None where there are none that can be taken."""
    column = value.column
    if column is None:
        return None
    if column.kind is Kind.TEXT:
        return coerced_text
    if column.kind is Kind.BOOL:
        return coerced_boolean
    return partial(coerced_number, of_number=_number(column, is_draft4=False)) if column.kind in NUMERIC else None


def _document(raw: bytes, exact: Convert, value: Value) -> object:
    document = document_of(raw, len(value.path) + 1)
    if document is not None and json_type(document) in value.types:
        return Coerced(document.decode())
    return exact(raw)


def _unless_empty(raw: bytes, exact: Convert) -> object:
    """No time of deletion where a tap has an empty text for it."""
    return None if raw == b'""' else exact(raw)


def _converter(value: Value, *, is_draft4: bool) -> Convert:
    column = value.column
    if column is None:
        raise ValueError(f"{value.path} fills no column")
    types = value.types
    if column.kind is Kind.JSON:
        return partial(_json, types=types, is_draft4=is_draft4)
    if column.kind is Kind.BOOL:
        return partial(_boolean, is_allowed="boolean" in types)
    if column.kind in NUMERIC:
        of_number = _number(column, is_draft4=is_draft4) if types & {"integer", "number"} else None
        if "string" in types:
            return partial(_number_or_text, of_number=of_number, of_text=text_converter(column))
        return of_number or partial(_number_or_text, of_number=None, of_text=None)
    if column.kind is Kind.TEXT:
        return _text if types <= {"string", "null"} and "string" in types else partial(_text_of_any, types=types)
    return partial(_written, of_text=text_converter(column))


def text_converter(column: Column) -> Callable[[str], object]:
    """What reads a column's values from text; for kinds that JSON has no notation of, and numbers in strings."""
    if column.kind is Kind.BINARY:
        return from_base16 if column.encoding == "base16" else from_base64
    if column.kind in NUMERIC:
        # Whether `1.0` is an integer is a matter of JSON's own numbers.
        return partial(_number_of_text, of_number=_number(column, is_draft4=False))
    return _OF_TEXT[column.kind]


def _same(text: str) -> str:
    return text


def uuid_text(text: str) -> str:
    """A UUID in lower case with hyphens; it may come in upper case, without hyphens, or as a URN."""
    match = _UUID.fullmatch(text)
    if match is None:
        raise UnfitError("format", "a UUID")
    return "-".join(match.group(1, 3, 4, 5, 6)).lower()


def from_base64(text: str) -> bytes:
    """The bytes that base64 stands for: RFC 4648's standard alphabet, padded, nothing left over."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnfitError("format", "base64") from error
    if base64.b64encode(found) != text.encode():
        raise UnfitError("format", "base64")
    return found


def from_base16(text: str) -> bytes:
    r"""The bytes that base16 stands for, in either case; `0x` or PostgreSQL's `\x` may stand before it."""
    match = _BASE16.fullmatch(text)
    if match is None:
        raise UnfitError("format", "base16")
    return bytes.fromhex(match[1])


_OF_TEXT: dict[Kind, Callable[[str], object]] = {
    Kind.TEXT: _same,
    Kind.DATE: date_days,
    Kind.TIME: time_us,
    Kind.TIMESTAMP: timestamp_us,
    Kind.TIMESTAMPTZ: timestamp_us,
    Kind.UUID: uuid_text,
}


def _text(raw: bytes) -> str:
    if raw[0] != _QUOTE:
        raise UnfitError("type", "a string")
    return _TEXT.decode(raw)


def _text_of_any(raw: bytes, types: frozenset[str]) -> str:
    """Text from a field that a setting made TEXT: a string's text, any other value as it was sent."""
    found = json_type(raw)
    if found in types or (found == "integer" and "number" in types):
        return _TEXT.decode(raw) if found == "string" else raw.decode()
    raise UnfitError("type", _any_of(types))


def _written(raw: bytes, of_text: Callable[[str], object]) -> object:
    return of_text(_text(raw))


def _boolean(raw: bytes, *, is_allowed: bool) -> bool:
    if is_allowed and raw == b"true":
        return True
    if is_allowed and raw == b"false":
        return False
    raise UnfitError("type", "a boolean")


def _json(raw: bytes, types: frozenset[str], *, is_draft4: bool) -> str:
    found = json_type(raw)
    is_allowed = found in types or (found == "integer" and "number" in types)
    if not is_allowed and found == "number" and "integer" in types:
        is_allowed = not is_draft4 and is_whole(raw)
    if not is_allowed:
        raise UnfitError("type", _any_of(types))
    return raw.decode()


def json_type(raw: bytes) -> str:
    """The JSON type of a value that isn't null; a number without point and exponent is an integer."""
    found = _TYPE_OF_FIRST.get(chr(raw[0]))
    return found or ("integer" if raw.removeprefix(b"-").isdigit() else "number")


def is_whole(raw: bytes) -> bool:
    """Whether a JSON number has no fraction."""
    try:
        int64_of(raw, is_written_plainly=False)
    except UnfitError as unfit:
        return unfit.code == "range"
    return True


def _number(column: Column, *, is_draft4: bool) -> Convert:
    if column.kind is Kind.INT:
        return _integer(is_written_plainly=is_draft4)
    if column.kind is Kind.FLOAT:
        return _float
    return partial(decimal_of, precision=column.precision, scale=column.scale)


def _integer(*, is_written_plainly: bool) -> Convert:
    def read(raw: bytes) -> int:
        try:
            value = int(raw)
        except ValueError:
            return int64_of(raw, is_written_plainly=is_written_plainly)
        if _INT64_START <= value < _INT64_END:
            return value
        raise UnfitError("range", "an integer of 64 bits")

    return read


def _float(raw: bytes) -> float:
    try:
        return float_of(raw)
    except ValueError as error:
        raise UnfitError("type", "a number") from error


def _number_of_text(text: str, of_number: Convert) -> object:
    raw = text.encode()
    if not is_number(raw):
        raise UnfitError("format", "a number in a string")
    return of_number(raw)


def _number_or_text(raw: bytes, of_number: Convert | None, of_text: Callable[[str], object] | None) -> object:
    if of_text is not None and raw[0] == _QUOTE:
        return of_text(_TEXT.decode(raw))
    if of_number is None:
        raise UnfitError("type", "a number in a string" if of_text else "nothing but null")
    return of_number(raw)


def _any_of(types: frozenset[str]) -> str:
    names = sorted(types - {"null"})
    return " or ".join(_WITH_ARTICLE.get(name, f"a {name}") for name in names) or "nothing but null"
