"""What a JSON Schema allows for one value: references and combinations resolved into plain alternatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from tailrace.errors import SchemaError
from tailrace.schema.references import ReferenceProblemError, References

ANY = frozenset({"null", "boolean", "object", "array", "number", "string"})
"""The JSON types of a schema that names none; `number` includes `integer`."""

TYPES = ANY | {"integer", "any"}
"""The names that `type` may have: those of JSON Schema, and `any` of Draft 3."""

_COMBINING = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf"})
_MAX_ALTERNATIVES = 64
_MAX_WORK = 50_000_000
"""The most keywords and properties combined for one stream; schemas that people write need thousands."""


class Every(Struct, frozen=True):
    """Several schemas of one property; a value must be valid under all of them."""

    parts: tuple[Any, ...]


class Alternative(Struct, frozen=True):
    """One way for a value to be valid: the JSON types it may have, and the keywords about them.

    `sources` are the schemas, by their id(), that say what is in the object or array.
    """

    types: frozenset[str]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    sources: frozenset[int] = frozenset()

    @property
    def required(self) -> Sequence[str]:
        """The properties that an object must have."""
        names = self.keywords.get("required")
        # Draft 3 wrote `required: true` inside a property.
        return [name for name in _list(names) if isinstance(name, str)]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The schemas of an object's properties."""
        found = self.keywords.get("properties")
        return found if isinstance(found, Mapping) else {}


class Document:
    """A stream's whole JSON Schema, in which references are resolved.

    Each schema in it is worked out once. What isn't sound in one says nothing here: any value is valid.
    """

    def __init__(self, root: Mapping[str, Any], stream: str) -> None:
        self.root = root
        self.stream = stream
        self.references = References(root)
        self._known: dict[int, tuple[Any, tuple[Alternative, ...]]] = {}
        self._work = 0

    def alternatives(self, schema: Any) -> tuple[Alternative, ...]:
        """The alternatives under a schema of this document; none if no value is valid.

        A schema that leads back to itself says nothing there. Raises SchemaError where it takes too much to work out.
        """
        waiting, begun = [schema], set[int]()
        while waiting:
            top = waiting[-1]
            if self._is_known(top):
                waiting.pop()
            elif id(top) in begun:
                self._known[id(top)] = (top, self._worked_out(top))
                waiting.pop()
            else:
                begun.add(id(top))
                waiting += [part for part in self._parts(top) if not self._is_known(part) and id(part) not in begun]
        return self._of(schema)

    def _is_known(self, schema: Any) -> bool:
        return not isinstance(schema, (Mapping, Every)) or id(schema) in self._known

    def _of(self, schema: Any) -> tuple[Alternative, ...]:
        if schema is False:
            return ()
        # One that isn't known yet leads back to itself.
        return self._known[id(schema)][1] if id(schema) in self._known else (Alternative(ANY),)

    def _parts(self, schema: Any) -> Iterator[Any]:
        """The schemas that must be resolved before this one."""
        if isinstance(schema, Every):
            yield from schema.parts
            return
        for word in ("allOf", "anyOf", "oneOf"):
            yield from _list(schema.get(word))
        yield from self._targets(schema)

    def _targets(self, schema: Mapping[str, Any]) -> list[Any]:
        found = []
        for word in self.references.of(schema):
            try:
                found.append(self.references.target(schema, word))
            except ReferenceProblemError:
                found.append(True)
        return found

    def _worked_out(self, schema: Any) -> tuple[Alternative, ...]:
        if isinstance(schema, Every):
            found: tuple[Alternative, ...] = (Alternative(ANY),)
            for part in schema.parts:
                found = self._both(found, self._of(part))
            return found
        found = (self._own(schema),)
        if self.references.ignores_siblings(schema):
            return self._both(found, self._of(self._targets(schema)[0]))
        for part in _list(schema.get("allOf")):
            found = self._both(found, self._of(part))
        for word in ("anyOf", "oneOf"):
            if options := _list(schema.get(word)):
                found = self._both(found, [a for option in options for a in self._of(option)])
        for target in self._targets(schema):
            found = self._both(found, self._of(target))
        return found

    def _own(self, schema: Mapping[str, Any]) -> Alternative:
        keywords = {word: value for word, value in schema.items() if word not in _COMBINING}
        if self.references.ignores_siblings(schema):
            # Annotations of Singer's and SQL's are still meant.
            keywords = {word: value for word, value in keywords.items() if word.startswith("x-")}
        is_source = "properties" in keywords or "items" in keywords
        return Alternative(_types(keywords), keywords, frozenset({id(schema)}) if is_source else frozenset())

    def _both(self, left: Iterable[Alternative], right: Sequence[Alternative]) -> tuple[Alternative, ...]:
        """The alternatives that are valid under both sides."""
        merged: list[Alternative] = []
        for one in left:
            for other in right:
                types = _common_types(one, other)
                if not types:
                    continue
                self._spend(one, other)
                both = _merged(one, other, types)
                if both not in merged:
                    merged.append(both)
                if len(merged) > _MAX_ALTERNATIVES:
                    return (Alternative(ANY),)
        return tuple(merged)

    def _spend(self, *alternatives: Alternative) -> None:
        self._work += sum(len(a.keywords) + len(a.properties) + len(a.sources) for a in alternatives)
        if self._work > _MAX_WORK:
            raise SchemaError(
                "its schema's allOf, anyOf, oneOf and $ref take too much to work out; the tap must send a plainer one",
                stream=self.stream,
            )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _types(keywords: Mapping[str, Any]) -> frozenset[str]:
    named = keywords.get("type")
    names = {name for name in ([named] if isinstance(named, str) else _list(named)) if _is_type(name)}
    if names:
        return frozenset[str]().union(*(ANY if name == "any" else {name} for name in names))
    if "const" in keywords:
        return frozenset({_type_of(keywords["const"])})
    return frozenset(map(_type_of, _list(keywords.get("enum")))) or ANY


def _is_type(name: Any) -> bool:
    return isinstance(name, str) and name in TYPES


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


def _common_types(one: Alternative, other: Alternative) -> frozenset[str]:
    types = one.types & other.types
    for narrow, wide in ((one, other), (other, one)):
        if "integer" in narrow.types and "number" in wide.types:
            types |= {"integer"}
    return types


def _merged(one: Alternative, other: Alternative, types: frozenset[str]) -> Alternative:
    keywords = {**other.keywords, **one.keywords}
    required = list(dict.fromkeys((*one.required, *other.required)))
    if required:
        keywords["required"] = required
    if one.properties and other.properties:
        keywords["properties"] = _all_properties(one.properties, other.properties)
    elif one.properties or other.properties:
        keywords["properties"] = one.properties or other.properties
    return Alternative(types, keywords, one.sources | other.sources)


def _all_properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    if one is other:
        return one
    merged = dict(one)
    for name, schema in other.items():
        merged[name] = _every(merged[name], schema) if name in merged else schema
    return merged


def _every(*schemas: Any) -> Any:
    """The schemas as one, without duplicates."""
    parts: dict[int, Any] = {}
    for schema in schemas:
        parts |= {id(part): part for part in (schema.parts if isinstance(schema, Every) else (schema,))}
    return Every(tuple(parts.values())) if len(parts) > 1 else next(iter(parts.values()))
