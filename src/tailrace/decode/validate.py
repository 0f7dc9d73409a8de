"""`validation: full`: every keyword of a stream's JSON Schema, numbers compared exactly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import Any

import msgspec

from tailrace.decode.compiling import compilable, with_numeric_bounds
from tailrace.decode.layout import RecordLayout
from tailrace.decode.numbers import digits_of
from tailrace.decode.refusal import json_path, shown
from tailrace.errors import SchemaError, Violation
from tailrace.schema.drafts import Draft, draft_of, named_draft
from tailrace.schema.jsonschema import FORMATS
from tailrace.schema.shapes import Document

FindViolations = Callable[[bytes], list[Violation]]
"""A record's JSON -> the keywords of the schema that it breaks."""

_MAX_POWER = 10**6
"""A power of ten past any that a schema speaks of."""

_MAX_WHOLE_DIGITS = 300


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # Past the exponents that Decimal knows.
        is_negative, digits, power = digits_of(text.encode(), "a number")
    power = max(-_MAX_POWER, min(power, _MAX_POWER))
    return Decimal((int(is_negative), tuple(byte - 48 for byte in digits), power))


def _whole_or_exact(text: str) -> int | Decimal:
    """A number as the drafts since 6 see it: `1.0` is 1, and integers are compared exactly, however long they are."""
    value = _exact(text)
    return int(value) if value.adjusted() < _MAX_WHOLE_DIGITS and value == value.to_integral_value() else value


_DRAFT4_RECORD = msgspec.json.Decoder(float_hook=_exact)
_RECORD = msgspec.json.Decoder(float_hook=_whole_or_exact)
_VALIDATORS = {
    Draft.DRAFT_4: "Draft4Validator",
    Draft.DRAFT_6: "Draft6Validator",
    Draft.DRAFT_7: "Draft7Validator",
    Draft.DRAFT_2019_09: "Draft201909Validator",
    Draft.DRAFT_2020_12: "Draft202012Validator",
}


def draft_and_schema(layout: RecordLayout) -> tuple[Draft, Any]:
    """The draft of a stream's schema, and the schema as it is compiled.

    The draft is the one that `$schema` names, else Draft 7 that also takes Draft 4's boolean `exclusiveMinimum` and
    `exclusiveMaximum`. Raises SchemaError where one value would be held against too many schemas.
    """
    is_named = layout.schema.get("$schema") is not None and named_draft(layout.schema) is not None
    schema = compilable(Document(layout.schema, layout.stream.name))
    return draft_of(layout.schema), schema if is_named else with_numeric_bounds(schema)


def read_by_kind(layout: RecordLayout) -> frozenset[tuple[str, ...]]:
    """The paths of values that columns read by their kind, so that their `format` isn't looked at."""
    values = layout.record.values()
    return frozenset(value.path for value in values if value.column and value.column.kind in FORMATS.values())


def violations_finder(layout: RecordLayout) -> FindViolations:
    """What finds the keywords that a record breaks; SchemaError when the schema itself isn't valid.

    References outside the schema aren't followed. Formats are RFC 3339's and RFC 9562's, but for values of columns,
    which are read by their kind.
    """
    draft, schema = draft_and_schema(layout)
    jsonschema_rs = import_module("jsonschema_rs")  # no other validation needs it
    try:
        validator = getattr(jsonschema_rs, _VALIDATORS[draft])(schema, validate_formats=True, offline=True)
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError(
            f"its JSON Schema isn't valid, so that `validation: full` can't follow it: {_first_line(error)}",
            stream=layout.stream.name,
            path=json_path(error.instance_path) if isinstance(error, jsonschema_rs.ValidationError) else None,
        ) from error

    read = read_by_kind(layout)
    record_decoder = _DRAFT4_RECORD if draft is Draft.DRAFT_4 else _RECORD

    def violations(raw: bytes) -> list[Violation]:
        try:
            record = record_decoder.decode(raw)
        except msgspec.ValidationError:
            return [Violation("range", "$", "integers that can be compared", shown(raw))]
        return [
            Violation("keyword", json_path(e.instance_path), f"{e.kind.name} as the schema says", _cut(e.message))
            for e in validator.iter_errors(record)
            if e.kind.name != "format" or tuple(e.instance_path) not in read
        ]

    return violations


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _cut(text: str) -> str:
    return shown(text.encode())
