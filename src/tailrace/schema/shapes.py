"""What a JSON Schema allows at one place: references and combinations resolved into plain alternatives."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from tailrace.errors import SchemaError

ANY = frozenset({"null", "boolean", "object", "array", "number", "string"})
"""The JSON types of a schema that names none; `number` includes `integer`."""

_TYPES = ANY | {"integer", "any"}
_COMBINING = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_MAX_ALTERNATIVES = 64


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way for a value to be valid: the JSON types it may have, and what the schema says of them.

    `references` are the `$ref`s that were followed to get here.
    """

    types: frozenset[str]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    references: frozenset[str] = frozenset()

    @property
    def required(self) -> Sequence[str]:
        """The properties that an object must have."""
        names = self.keywords.get("required")
        # Draft 3 wrote `required: true` inside a property.
        return names if isinstance(names, Sequence) and not isinstance(names, str) else ()


@dataclass(frozen=True, slots=True)
class Document:
    """A stream's whole JSON Schema, which references in it point into."""

    root: Mapping[str, Any]
    stream: str

    def alternatives(self, schema: Any, following: frozenset[str] = frozenset()) -> tuple[Alternative, ...]:
        """The ways in which a value is valid under a schema of this document; none where no value is.

        `following` are the references being resolved; one that leads back to itself says nothing: anything is valid.
        """
        if isinstance(schema, bool):
            return (Alternative(ANY),) if schema else ()
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{schema!r} stands where a JSON Schema should", stream=self.stream)
        found: tuple[Alternative, ...] = (self._own(schema),)
        for part in schema.get("allOf") or ():
            found = _both(found, self.alternatives(part, following))
        for word in ("anyOf", "oneOf"):
            if schema.get(word):
                options = [a for option in schema[word] for a in self.alternatives(option, following)]
                found = _both(found, options)
        if "$ref" in schema:
            found = _both(found, self._referenced(schema["$ref"], following))
        return found

    def _own(self, schema: Mapping[str, Any]) -> Alternative:
        keywords = {word: value for word, value in schema.items() if word not in _COMBINING}
        if "$ref" in schema and not self._refs_have_siblings:
            # Before 2019-09 a $ref's siblings are ignored; annotations of Singer's and SQL's are still meant.
            keywords = {word: value for word, value in keywords.items() if word.startswith("x-")}
        return Alternative(self._types(keywords), keywords)

    @property
    def _refs_have_siblings(self) -> bool:
        draft = str(self.root.get("$schema", ""))
        return "2019-09" in draft or "2020-12" in draft

    def _types(self, keywords: Mapping[str, Any]) -> frozenset[str]:
        named = keywords.get("type")
        if named:
            names = [named] if isinstance(named, str) else named
            for name in names:
                self._refuse_unknown_type(name)
            return frozenset().union(*(ANY if name == "any" else {name} for name in names))
        if "const" in keywords:
            return frozenset({_type_of(keywords["const"])})
        if keywords.get("enum"):
            return frozenset(map(_type_of, keywords["enum"]))
        return ANY

    def _refuse_unknown_type(self, name: Any) -> None:
        if name in _TYPES:
            return
        near = difflib.get_close_matches(str(name), _TYPES, 1)
        meant = f"; {near[0]!r} is" if near else f"; there are {', '.join(sorted(_TYPES))}"
        raise SchemaError(f"{name!r} isn't a type of JSON Schema{meant}", stream=self.stream)

    def _referenced(self, reference: Any, following: frozenset[str]) -> tuple[Alternative, ...]:
        if reference in following:
            return (Alternative(ANY, references=frozenset({reference})),)
        found = self.alternatives(self._target(reference), following | {reference})
        return tuple(Alternative(a.types, a.keywords, a.references | {reference}) for a in found)

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise SchemaError(
                f"the schema refers to {reference!r}, which isn't inside it; only references that begin with '#/' "
                "are followed, so the tap must send the schema with the others' content in `definitions`",
                stream=self.stream,
            )
        place: Any = self.root
        for part in reference[1:].split("/")[1:]:
            step = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(place, Mapping) and step in place:
                place = place[step]
            elif (
                isinstance(place, Sequence)
                and not isinstance(place, str)
                and step.isdecimal()
                and int(step) < len(place)
            ):
                place = place[int(step)]
            else:
                raise SchemaError(f"the schema refers to {reference!r}, which it doesn't have", stream=self.stream)
        return place


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, (float, Decimal)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _both(left: Iterable[Alternative], right: Sequence[Alternative]) -> tuple[Alternative, ...]:
    """The ways to be valid on the left and on the right."""
    merged: list[Alternative] = []
    for one in left:
        for other in right:
            both = _merged(one, other)
            if both.types and both not in merged:
                merged.append(both)
            if len(merged) > _MAX_ALTERNATIVES:
                return (Alternative(ANY),)
    return tuple(merged)


def _merged(one: Alternative, other: Alternative) -> Alternative:
    types = one.types & other.types
    for narrow, wide in ((one, other), (other, one)):
        if "integer" in narrow.types and "number" in wide.types:
            types |= {"integer"}
    keywords = {**other.keywords, **one.keywords}
    required = [*one.required, *other.required]
    if required:
        keywords["required"] = required
    properties = [side.keywords["properties"] for side in (one, other) if side.keywords.get("properties")]
    if properties:
        keywords["properties"] = _all_properties(properties)
    return Alternative(types, keywords, one.references | other.references)


def _all_properties(sides: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged = dict(sides[0])
    for side in sides[1:]:
        for name, schema in side.items():
            merged[name] = {"allOf": [merged[name], schema]} if merged.get(name, schema) != schema else schema
    return merged
