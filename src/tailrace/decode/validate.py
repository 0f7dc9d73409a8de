"""`validation: full`: every keyword of a stream's JSON Schema, numbers compared exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import jsonschema_rs
import msgspec

from tailrace.decode.numbers import digits_of
from tailrace.decode.plan import Plan
from tailrace.decode.refusal import json_path, shown
from tailrace.errors import SchemaError, Violation
from tailrace.schema.jsonschema import FORMATS

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
    "draft-04": jsonschema_rs.Draft4Validator,
    "draft-06": jsonschema_rs.Draft6Validator,
    "2019-09": jsonschema_rs.Draft201909Validator,
    "2020-12": jsonschema_rs.Draft202012Validator,
}
_ONE_SCHEMA = frozenset(
    {"additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
_LISTS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_MAPS = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})


def violations_finder(plan: Plan) -> FindViolations:
    """What finds the keywords that a record breaks; SchemaError when the schema itself isn't valid.

    The draft is the one that `$schema` names, else Draft 7 that also takes Draft 4's boolean `exclusiveMinimum` and
    `exclusiveMaximum`. References outside the schema aren't followed. Formats are RFC 3339's and RFC 9562's, but for
    values of columns, which are read by their kind.
    """
    draft = str(plan.schema.get("$schema", ""))
    validator_of = next((found for name, found in _VALIDATORS.items() if name in draft), None)
    schema = dict(plan.schema) if validator_of else with_numeric_bounds(plan.schema)
    try:
        validator = (validator_of or jsonschema_rs.Draft7Validator)(schema, validate_formats=True, offline=True)
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError(
            f"its JSON Schema isn't valid, so that `validation: full` can't follow it: {_first_line(error)}",
            stream=plan.stream.name,
        ) from error

    read = {value.path for value in plan.record.values() if value.column and value.column.kind in FORMATS.values()}
    record_decoder = _DRAFT4_RECORD if validator_of is jsonschema_rs.Draft4Validator else _RECORD

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


def with_numeric_bounds(schema: Any) -> Any:
    """The schema with Draft 4's boolean `exclusiveMinimum` and `exclusiveMaximum` written as later drafts do."""
    if not isinstance(schema, Mapping):
        return schema
    rewritten: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _MAPS and isinstance(value, Mapping):
            rewritten[word] = {name: with_numeric_bounds(inner) for name, inner in value.items()}
        elif word in _LISTS and isinstance(value, list):
            rewritten[word] = [with_numeric_bounds(inner) for inner in value]
        else:
            rewritten[word] = with_numeric_bounds(value) if word in _ONE_SCHEMA else value
    for word in ("minimum", "maximum"):
        exclusive = f"exclusive{word.capitalize()}"
        if isinstance(rewritten.get(exclusive), bool) and rewritten.pop(exclusive) and word in rewritten:
            rewritten[exclusive] = rewritten.pop(word)
    return rewritten


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _cut(text: str) -> str:
    return shown(text.encode())
