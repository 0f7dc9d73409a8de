"""The properties of a JSON Schema that become columns, with objects taken apart as far as is wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailrace.schema.shapes import Alternative, Document


@dataclass(frozen=True, slots=True)
class Leaf:
    """A property that becomes a column: where it stands in the record, and the ways in which its value is valid."""

    path: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    nullable: bool
    required: bool


@dataclass(frozen=True, slots=True)
class _Walk:
    document: Document
    max_level: int
    whole: Collection[str]

    def leaves(self, inside: Sequence[Alternative], parent: Leaf) -> list[Leaf]:
        """The leaves below an object; `inside` are the ways for it to be one."""
        found: list[Leaf] = []
        for name, (schema, is_required) in properties_of(inside).items():
            alternatives = self.document.alternatives(schema)
            leaf = Leaf(
                path=(*parent.path, name),
                alternatives=alternatives,
                nullable=parent.nullable or not alternatives or any("null" in a.types for a in alternatives),
                required=parent.required and is_required,
            )
            found += self._taken_apart(leaf, inside)
        return found

    def _taken_apart(self, leaf: Leaf, inside: Sequence[Alternative]) -> list[Leaf]:
        objects = [a for a in leaf.alternatives if a.types != {"null"}]
        above = frozenset[str]().union(*(a.references for a in inside))
        is_whole = (
            len(leaf.path) > self.max_level
            or ".".join(leaf.path) in self.whole
            or not objects
            or any(a.types - {"null"} != {"object"} or not a.keywords.get("properties") for a in objects)
            or any(a.references & above for a in objects)
        )
        if is_whole:
            return [leaf]
        parent = Leaf(leaf.path, (), leaf.nullable, leaf.required and not leaf.nullable)
        below = [Alternative(a.types, a.keywords, a.references | above) for a in objects]
        return self.leaves(below, parent)


def flattened(
    json_schema: Mapping[str, Any], max_level: int, stream: str, whole: Collection[str] = ()
) -> tuple[Leaf, ...]:
    """The leaves of a stream's schema in order; `max_level` 0 takes no object apart.

    Kept whole are objects deeper than that, those without properties or that may be something else, those that
    contain themselves, and the ones that `whole` names (dotted). Below an object that may be null or absent nothing
    is required; below one that may be null everything may be.
    """
    document = Document(json_schema, stream)
    root = [a for a in document.alternatives(json_schema) if "object" in a.types]
    records = [Alternative(a.types, a.keywords, a.references | {"#"}) for a in root]
    return tuple(_Walk(document, max_level, whole).leaves(records, Leaf((), (), nullable=False, required=True)))


def properties_of(inside: Sequence[Alternative]) -> dict[str, tuple[Any, bool]]:
    """The schema of each property, and whether every one of the alternatives requires it."""
    found: dict[str, list[Any]] = {}
    for alternative in inside:
        for name, schema in (alternative.keywords.get("properties") or {}).items():
            schemas = found.setdefault(name, [])
            if schema not in schemas:
                schemas.append(schema)
    return {
        name: (
            schemas[0] if len(schemas) == 1 else {"anyOf": schemas},
            all(name in alternative.required for alternative in inside),
        )
        for name, schemas in found.items()
    }
