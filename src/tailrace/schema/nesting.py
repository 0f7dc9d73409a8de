"""JSON Schema to structs and lists: objects get fields and arrays get items, if the schema describes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tailrace.schema.flatten import Leaf, one_of, properties_of
from tailrace.schema.nested import Nested, are_fields
from tailrace.schema.shapes import Alternative, Document

MAX_NODES = 1000
"""The most objects, arrays and leaves of one column; a column with more is JSON text."""

_TEXT = Nested()


class Nesting(Struct, frozen=True):
    """Reads the schemas of one stream. `leaf` gives the kind of whatever isn't taken apart, by the settings.

    `max_level` is how many levels of objects become structs; deeper ones are JSON text. Fields in `whole` (dotted
    names, without indexes of arrays) aren't taken apart either.
    """

    document: Document
    max_level: int
    whole: Collection[str]
    leaf: Callable[[Leaf], Nested]

    def of(self, leaf: Leaf) -> Nested | None:
        """What the property's objects or arrays become; None if the schema doesn't describe what is in them."""
        nested = self._node(leaf, frozenset({id(self.document.root)}), 0, [MAX_NODES])
        return None if nested is None or nested.is_leaf else nested

    def _node(self, leaf: Leaf, above: frozenset[int], level: int, left: list[int]) -> Nested | None:
        """What a value of this schema becomes; None if the column has more nodes than are left."""
        left[0] -= 1
        if left[0] < 0:
            return None
        ways = [a for a in leaf.alternatives if a.types != {"null"}]
        types = {a.types - {"null"} for a in ways}
        below = above.union(*(a.sources for a in ways))
        if any(a.sources & above for a in ways) or ".".join(leaf.path) in self.whole:
            return self.leaf(leaf)
        if types == {frozenset({"object"})} and level < self.max_level and all(map(_names_fields, ways)):
            return self._struct(leaf, ways, below, level, left)
        if types == {frozenset({"array"})} and all(map(_names_items, ways)):
            return self._list(leaf, ways, below, level, left)
        return self.leaf(leaf)

    def _struct(
        self, leaf: Leaf, ways: Sequence[Alternative], below: frozenset[int], level: int, left: list[int]
    ) -> Nested | None:
        schemas = {name: schema for name, (schema, _) in properties_of(ways).items()}
        if not are_fields(schemas):
            return _TEXT
        fields: dict[str, Nested] = {}
        for name, schema in schemas.items():
            inner = self._node(self._leaf((*leaf.path, name), schema), below, level + 1, left)
            if inner is None:
                return None
            fields[name] = inner
        return Nested(fields=fields)

    def _list(
        self, leaf: Leaf, ways: Sequence[Alternative], below: frozenset[int], level: int, left: list[int]
    ) -> Nested | None:
        schemas = [a.keywords["items"] for a in ways]
        inside = self._leaf(leaf.path, one_of(schemas))
        if not inside.alternatives:
            return _TEXT
        items = self._node(inside, below, level, left)
        return None if items is None else Nested(items=items)

    def _leaf(self, path: tuple[str, ...], schema: Any) -> Leaf:
        return Leaf(path, self.document.alternatives(schema), nullable=True, required=False)


def without_null(alternatives: Sequence[Alternative]) -> tuple[str, ...]:
    """The JSON types of values under these alternatives, without null."""
    return tuple(sorted(frozenset[str]().union(*(a.types for a in alternatives)) - {"null"}))


def _names_fields(way: Alternative) -> bool:
    """Whether the schema names an object's fields, and describes no field in any other way."""
    additional = way.keywords.get("additionalProperties")
    is_open = bool(way.keywords.get("patternProperties")) or (isinstance(additional, Mapping) and bool(additional))
    return bool(way.properties) and not is_open


def _names_items(way: Alternative) -> bool:
    """Whether the schema describes an array's items, and all of them by one schema."""
    items = way.keywords.get("items")
    return isinstance(items, Mapping) and bool(items) and not way.keywords.get("prefixItems")
