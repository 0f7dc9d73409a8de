"""Fields that no schema describes, under `unknown_fields: evolve`: the JSON Schema that their values make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tailrace.decode.values import json_type

_BIG = "integers beyond 64 bits"
_INT64_START, _INT64_END = -(2**63), 2**63

Schema = Mapping[str, object]

FORMS = ("boolean", "integer", _BIG, "number", "string", "object", "array")
"""What a value that isn't null may be, as `form_of` says; tailrace-native has a bit for each, the first the lowest."""


def form_of(raw: bytes) -> str:
    """What a value that isn't null is, as far as kinds go: its JSON type, or that it is a large integer."""
    found = json_type(raw)
    is_big = found == "integer" and not _INT64_START <= int(raw[:40]) < _INT64_END
    return _BIG if is_big else found


def schema_of(forms: Iterable[str]) -> Schema:
    """The JSON Schema of values of these forms. Numbers of several forms are numbers; other mixtures are anything."""
    found = set(forms)
    if found in ({_BIG}, {_BIG, "integer"}):
        return {"type": ["null", "number"], "multipleOf": 1}
    if found in ({_BIG, "number"}, {_BIG, "integer", "number"}):
        return {"type": ["null", "number"], "x-singer.decimal": True}
    if found == {"integer", "number"}:
        return {"type": ["null", "number"]}
    return {"type": ["null", found.pop()]} if len(found) == 1 else {}


def union(one: Schema, other: Schema) -> Schema:
    """The schema of what is valid under either."""
    return schema_of(_forms(one) | _forms(other)) if one and other else {}


def widened(have: Schema, unfit: Schema) -> Schema:
    """The schema that a field of one schema needs for values that its column didn't take, and of which `unfit` speaks.

    Where the types don't say why, anything is valid: the column takes the JSON as sent.
    """
    both = union(have, unfit)
    return {} if both == have else both


def _forms(schema: Schema) -> frozenset[str]:
    """The forms of a schema that was made here, and isn't of anything."""
    if "multipleOf" in schema:
        return frozenset({_BIG})
    if "x-singer.decimal" in schema:
        return frozenset({_BIG, "number"})
    types = schema["type"]
    return frozenset(types) - {"null"} if isinstance(types, list) else frozenset()
