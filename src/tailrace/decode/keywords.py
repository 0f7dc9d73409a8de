"""A stream's JSON Schema as tailrace-native compiles it under `validation: full`, where its answers are certain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tailrace.decode.layout import RecordLayout
from tailrace.decode.validate import draft_and_schema, read_by_kind

_SAME_FORMATS = frozenset({"date", "date-time", "time", "uuid", "ipv4", "ipv6"})
_OTHER_FORMATS = frozenset(
    {"duration", "email", "hostname", "idn-email", "idn-hostname", "iri", "iri-reference", "json-pointer", "regex"}
    | {"relative-json-pointer", "uri", "uri-reference", "uri-template", "color", "host-name", "ip-address"}
)
"""Formats of which two versions of a validator may think differently; what isn't a format of any draft is ignored."""

_COMPARING = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"})
_VALUES = frozenset({"const", "enum"})
_REFERRING = frozenset(
    {"$ref", "$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties", "dependencies"}
)
_FLOAT_DIGITS = 15
_MAX_PLACES = 15
_INTEGERS = range(-(2**63), 2**64)

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def keywords_of(layout: RecordLayout) -> dict[str, object] | None:
    """The schema for tailrace-native, with what its numbers have to be held for; None where the reference checks it.

    Formats of values that columns read by their kind are left out, for they are excused.
    Raises SchemaError where the schema can't be followed at all.
    """
    draft, schema = draft_and_schema(layout)
    words = list(_words(schema))
    names = {word for word, _ in words}
    numbers = list(_numbers(schema))
    if not names & _REFERRING:
        schema = _without_formats(schema, read_by_kind(layout))
    formats = {value for word, value in _words(schema) if word == "format" and isinstance(value, str)}
    if formats & _OTHER_FORMATS or not all(map(_is_held, numbers)):
        return None
    compares = bool(names & _COMPARING) or any(any(_numbers(value)) for word, value in words if word in _VALUES)
    return {
        "schema": _ENCODER.encode(schema).decode(),
        "draft": int(draft),
        "compares": compares,
        "has_fractions": compares and any(not isinstance(number, int) for number in numbers),
    }


def _words(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object in a schema, whatever it is of."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            yield from found.items()
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _numbers(value: Any) -> Iterator[int | Decimal]:
    """Every number in a value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, (int, Decimal)) and not isinstance(found, bool):
            yield found


def _is_held(number: int | Decimal) -> bool:
    """Whether a number of the schema is the same to a validator that has floats of 64 bits."""
    if isinstance(number, int):
        return number in _INTEGERS
    digits = number.normalize().as_tuple()
    places = digits.exponent
    return isinstance(places, int) and len(digits.digits) <= _FLOAT_DIGITS and -_MAX_PLACES <= places <= 0


def _without_formats(schema: Any, paths: frozenset[tuple[str, ...]]) -> Any:
    """The schema without formats of values at these paths, which are found by `properties` alone."""
    if not isinstance(schema, Mapping) or not paths:
        return schema
    if () in paths:
        schema = {word: value for word, value in schema.items() if word != "format"}
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return schema
    inner = {
        name: _without_formats(value, frozenset(path[1:] for path in paths if path[:1] == (name,)))
        for name, value in properties.items()
    }
    return {**schema, "properties": inner}
