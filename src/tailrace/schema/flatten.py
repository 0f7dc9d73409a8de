"""The properties of a JSON Schema that become columns, with objects flattened as the settings say."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct, field

from tailrace.errors import SchemaError
from tailrace.schema.shapes import Alternative, Document

MAX_LEAVES = 100_000
"""The most columns of a stream; no destination has tables with so many."""

MAX_LEVEL = 100
"""The most levels of objects that are flattened, whatever the settings say."""


class Leaf(Struct, frozen=True):
    """A property that becomes a column: its path in the record, and the alternatives for its value."""

    path: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    nullable: bool
    required: bool


class _Walk(Struct, frozen=True):
    document: Document
    max_level: int
    whole: Collection[str]
    found: list[Leaf] = field(default_factory=list)

    def leaves(self, inside: Sequence[Alternative], parent: Leaf, above: frozenset[int]) -> None:
        """Find the leaves below an object; `inside` are the alternatives for it."""
        for name, (schema, is_required) in properties_of(inside).items():
            alternatives = self.document.alternatives(schema)
            leaf = Leaf(
                path=(*parent.path, name),
                alternatives=alternatives,
                nullable=parent.nullable or not alternatives or any("null" in a.types for a in alternatives),
                required=parent.required and is_required,
            )
            self._take_apart(leaf, above)

    def _take_apart(self, leaf: Leaf, above: frozenset[int]) -> None:
        objects = [a for a in leaf.alternatives if a.types != {"null"}]
        is_whole = (
            len(leaf.path) > self.max_level
            or ".".join(leaf.path) in self.whole
            or not objects
            or any(a.types - {"null"} != {"object"} or not a.properties for a in objects)
            or any(a.sources & above for a in objects)
        )
        if not is_whole:
            parent = Leaf(leaf.path, (), leaf.nullable, leaf.required and not leaf.nullable)
            self.leaves(objects, parent, above.union(*(a.sources for a in objects)))
            return
        self.found.append(leaf)
        if len(self.found) > MAX_LEAVES:
            raise SchemaError(
                f"its schema has more than {MAX_LEAVES:,} columns; a lower `max_level`, or `nested: json`, "
                "leaves objects whole",
                stream=self.document.stream,
            )


def flattened(document: Document, max_level: int, whole: Collection[str] = ()) -> tuple[Leaf, ...]:
    """The leaves of a stream's schema in order; `max_level` 0 flattens no object.

    Kept whole are objects deeper than that, those without properties or that may be something else, those that
    contain themselves, and the ones that `whole` names (dotted). Below an object that may be null or absent nothing
    is required; below one that may be null everything may be.
    """
    records = [a for a in document.alternatives(document.root) if "object" in a.types]
    walk = _Walk(document, min(max_level, MAX_LEVEL), whole)
    above = frozenset({id(document.root)}).union(*(a.sources for a in records))
    walk.leaves(records, Leaf((), (), nullable=False, required=True), above)
    return tuple(walk.found)


def properties_of(inside: Sequence[Alternative]) -> dict[str, tuple[Any, bool]]:
    """The schema of each property, and whether all alternatives require it."""
    found: dict[str, dict[int, Any]] = {}
    for alternative in inside:
        for name, schema in alternative.properties.items():
            found.setdefault(name, {})[id(schema)] = schema
    required = frozenset(inside[0].required).intersection(*(a.required for a in inside)) if inside else frozenset()
    return {name: (one_of(list(schemas.values())), name in required) for name, schemas in found.items()}


def one_of(schemas: Sequence[Any]) -> Any:
    """A schema for all values that are valid under any of these."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
