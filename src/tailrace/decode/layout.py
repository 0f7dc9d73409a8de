"""Where each field of a stream's records goes: the columns they fill, and what the schema allows at their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property

import msgspec
from msgspec import Struct

from tailrace.model import DELETED_AT, Column, Fill, Kind, Stream
from tailrace.schema.drafts import Draft, draft_of
from tailrace.schema.flatten import Leaf, flattened
from tailrace.schema.shapes import ANY, Document

_TYPES_OF_KIND: dict[Kind, frozenset[str]] = {
    Kind.BOOL: frozenset({"boolean"}),
    Kind.INT: frozenset({"integer"}),
    Kind.FLOAT: frozenset({"number"}),
    Kind.DECIMAL: frozenset({"number"}),
    Kind.JSON: ANY,
}
_STRING = frozenset({"string"})
_SCHEMA = msgspec.json.Decoder(float_hook=Decimal)


class Value(Struct, frozen=True):
    """A field that is taken whole: the column that it fills, if any, and the JSON types that the schema allows.

    `slot` is the column's place among those that the record fills. A field without a column is one that the schema
    names and the settings leave out. `coerces` says that values of other types are taken where that loses nothing, and
    `is_document` that a text is taken as the object or array that it spells.
    """

    path: tuple[str, ...]
    types: frozenset[str]
    column: Column | None = None
    slot: int = -1
    coerces: bool = False
    is_document: bool = False


class Object(Struct, frozen=True):
    """An object that is taken apart: the record itself, or a flattened field of it."""

    path: tuple[str, ...]
    fields: dict[str, Value | Object]
    is_nullable: bool = False
    is_required: bool = True

    def values(self) -> Iterator[Value]:
        """The values in it, those of objects in it included, in the order of the columns."""
        for field in self.fields.values():
            if isinstance(field, Object):
                yield from field.values()
            else:
                yield field

    def objects(self) -> Iterator[Object]:
        """The objects in it, at any depth."""
        for field in self.fields.values():
            if isinstance(field, Object):
                yield field
                yield from field.objects()


class RecordLayout:
    """A stream's record as a tree of its fields."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._paths = {c.path: c for c in stream.columns if c.path}
        self.deletion = stream.filled_with(Fill.DELETED_AT)
        self.marks = self._marks()
        self.columns = tuple(self._paths.values())
        self.record = self._laid_out()

    @cached_property
    def schema(self) -> Mapping[str, object]:
        """The stream's JSON Schema, its numbers exact."""
        schema = _SCHEMA.decode(self.stream.json_schema)
        return schema if isinstance(schema, dict) else {}

    @property
    def is_draft4(self) -> bool:
        """Whether the schema is one of Draft 4, where `1.0` isn't an integer."""
        return draft_of(self.schema) is Draft.DRAFT_4

    @property
    def is_strict(self) -> bool:
        """Whether nulls and absent fields are refused where the schema says so."""
        return self.stream.validation != "off"

    @property
    def coerces(self) -> bool:
        """Whether values of another type than the schema's are taken where that loses nothing."""
        return self.stream.coerce == "exact"

    def _marks(self) -> tuple[Column, ...]:
        """Columns beside the stream's for the deletions that records ask for in fields of which it has no column.

        They come after those of the schema. The stream's column for deletions, if it has one, takes the first field.
        """
        marks: list[Column] = []
        waiting = self.deletion
        for path in DELETED_AT:
            is_watched = self.stream.hard_delete or path == DELETED_AT[0]
            if is_watched and not any(taken[:1] == path for taken in self._paths):
                if waiting is not None:
                    self._paths[path], waiting = waiting, None
                elif self.stream.hard_delete:
                    self._paths[path] = Column(f".{path[0]}", path, Kind.TIMESTAMPTZ, fill=Fill.DELETED_AT)
                    marks.append(self._paths[path])
        return tuple(marks)

    def _laid_out(self) -> Object:
        depth = max((len(path) for path in self._paths), default=1)
        whole = {".".join(path) for path in self._paths}
        leaves: dict[tuple[str, ...], Leaf] = {}
        document = Document(self.schema, self.stream.name)
        for level in range(depth):
            for leaf in flattened(document, level, whole):
                leaves.setdefault(leaf.path, leaf)
        root = Object((), {})
        for slot, (path, column) in enumerate(self._paths.items()):
            leaf_there = leaves.get(path)
            own = _allowed(leaf_there) if leaf_there else ANY
            # What no schema describes widens instead.
            coerces = self.coerces and path[0] not in self.stream.evolved
            is_document = coerces and column.kind is Kind.JSON and "string" not in own
            value = Value(path, self._types(column, leaf_there), column, slot, coerces, is_document)
            self._parent(root, path, leaves).fields[path[-1]] = value
        for path, leaf in leaves.items():
            self._add_left_out(root, path, leaf)
        return root

    def _types(self, column: Column, leaf: Leaf | None) -> frozenset[str]:
        of_kind = _TYPES_OF_KIND.get(column.kind, _STRING)
        if leaf is None:
            return of_kind
        allowed = _allowed(leaf)
        return allowed if self.is_strict else allowed | of_kind

    def _parent(self, root: Object, path: tuple[str, ...], leaves: Mapping[tuple[str, ...], Leaf]) -> Object:
        """The object that the field at that path stands in, made where it isn't there yet."""
        inside = root
        for end in range(1, len(path)):
            above = path[:end]
            if above[-1] not in inside.fields:
                below = [c for p, c in self._paths.items() if p[:end] == above]
                leaf = leaves.get(above)
                inside.fields[above[-1]] = Object(
                    above,
                    {},
                    is_nullable=leaf.nullable if leaf else all(c.nullable for c in below),
                    is_required=leaf.required if leaf else any(c.required for c in below),
                )
            found = inside.fields[above[-1]]
            if not isinstance(found, Object):
                raise TypeError(f"{found.path} is a column, and so is a field in it: {path}")
            inside = found
        return inside

    def _add_left_out(self, root: Object, path: tuple[str, ...], leaf: Leaf) -> None:
        """Note a field that the schema names and no column takes."""
        inside = root
        for end, name in enumerate(path, start=1):
            found = inside.fields.get(name)
            if found is None:
                is_leaf = end == len(path)
                types = _allowed(leaf) if is_leaf else ANY
                inside.fields[name] = Value(path[:end], types)
                return
            if isinstance(found, Value):
                return
            inside = found


def _allowed(leaf: Leaf) -> frozenset[str]:
    """The JSON types that the schema allows at a leaf."""
    return frozenset[str]().union(*(alternative.types for alternative in leaf.alternatives))
