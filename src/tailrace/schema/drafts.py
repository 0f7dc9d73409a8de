"""The drafts of JSON Schema: which one a schema names, and which keywords hold schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any

import msgspec


class Draft(IntEnum):
    """A draft that is known here; later ones are greater."""

    DRAFT_4 = 4
    DRAFT_6 = 6
    DRAFT_7 = 7
    DRAFT_2019_09 = 2019
    DRAFT_2020_12 = 2020


DEFAULT = Draft.DRAFT_7
"""The draft of a schema that names none, or an unknown one."""

ONE_SCHEMA = frozenset(
    {"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"}
    | {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)
"""The keywords whose value is a schema."""

LISTS_OF_SCHEMAS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
"""The keywords whose value is a list of schemas; `items` may be either."""

MAPS_OF_SCHEMAS = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
"""The keywords whose value is an object with a schema for each name."""

_NAMED = {
    "draft-04": Draft.DRAFT_4,
    "draft-06": Draft.DRAFT_6,
    "draft-07": Draft.DRAFT_7,
    "draft/2019-09": Draft.DRAFT_2019_09,
    "draft/2020-12": Draft.DRAFT_2020_12,
}
_URI = re.compile(r"https?://json-schema\.org/(.+?)/(?:hyper-)?schema#?", re.IGNORECASE)
_MAX_SHOWN = 200


def named_draft(schema: Any) -> Draft | None:
    """The draft that the schema's `$schema` names; the default without `$schema`, None when it isn't known."""
    named = schema.get("$schema") if isinstance(schema, Mapping) else None
    if named is None:
        return DEFAULT
    match = _URI.fullmatch(named.strip()) if isinstance(named, str) else None
    return _NAMED.get(match[1].lower()) if match else None


def unknown_draft(json_schema: bytes) -> str | None:
    """What a schema names as its draft, as text, where that isn't one which is known here."""
    if b'"$schema"' not in json_schema:
        return None
    try:
        schema = msgspec.json.decode(json_schema)
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if named_draft(schema) else str(schema["$schema"])[:_MAX_SHOWN]


def draft_of(schema: Any) -> Draft:
    """The draft that the schema is read as."""
    return named_draft(schema) or DEFAULT


def schemas_in(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The schemas directly inside a schema, each with the steps that lead to it."""
    for word, value in schema.items():
        if word in MAPS_OF_SCHEMAS and isinstance(value, Mapping):
            yield from (((word, name), inner) for name, inner in value.items())
        elif word in LISTS_OF_SCHEMAS and isinstance(value, list):
            yield from (((word, at), inner) for at, inner in enumerate(value))
        elif word in ONE_SCHEMA:
            yield (word,), value
