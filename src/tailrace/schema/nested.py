"""The structure of nested values, for destinations with structs and lists: objects, arrays, and leaves of kinds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec
import pyarrow as pa

from tailrace.model import ARROW, Kind


class Nested(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node of a nested value: an object with `fields`, an array of `items`, or a leaf of a kind.

    A leaf of kind JSON is any value, as the text that was sent. `types` are the JSON types that a leaf of another kind
    is sent as, and `encoding` is how BINARY is written; both are unknown for a table's own columns.
    """

    kind: Kind = Kind.JSON
    precision: int = 0
    scale: int = 0
    encoding: str | None = None
    types: tuple[str, ...] = ()
    fields: dict[str, Nested] = {}
    items: Nested | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether it is neither an object nor an array."""
        return not self.fields and self.items is None

    @property
    def is_text(self) -> bool:
        """Whether it is a leaf of kind JSON, the text of any value."""
        return self.is_leaf and self.kind is Kind.JSON

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type: structs and lists; a time of day is a string, as in every lake's tables."""
        if self.fields:
            return pa.struct([pa.field(name, inner.arrow) for name, inner in self.fields.items()])
        if self.items is not None:
            return pa.list_(self.items.arrow)
        if self.kind is Kind.DECIMAL:
            return pa.decimal128(self.precision, self.scale)
        return pa.string() if self.kind is Kind.TIME else ARROW[self.kind]

    @property
    def spelling(self) -> str:
        """As text for people: `struct<"id" INT, "tags" list<TEXT>>`."""
        if self.fields:
            fields = (f"{msgspec.json.encode(name).decode()} {inner.spelling}" for name, inner in self.fields.items())
            return f"struct<{', '.join(fields)}>"
        if self.items is not None:
            return f"list<{self.items.spelling}>"
        return f"DECIMAL({self.precision},{self.scale})" if self.kind is Kind.DECIMAL else self.kind.value

    @property
    def of_table(self) -> Nested:
        """As a table has it, without what is known of a stream only."""
        return Nested(
            kind=self.kind,
            precision=self.precision,
            scale=self.scale,
            fields={name: inner.of_table for name, inner in self.fields.items()},
            items=None if self.items is None else self.items.of_table,
        )


class NestedConflictError(Exception):
    """A stream's nested values don't fit a table's column; `path` says where, with `[]` for items of an array."""

    def __init__(self, path: str, have: Nested, want: Nested) -> None:
        self.path = path
        self.have = have
        self.want = want
        super().__init__(f"{path}: {have.spelling} and {want.spelling}")


def nested_text(nested: Nested) -> str:
    """As the text that a column carries, which is JSON."""
    return msgspec.json.encode(nested).decode()


@lru_cache(maxsize=1024)
def nested_of(text: str) -> Nested:
    """The structure that `nested_text` wrote."""
    return msgspec.json.decode(text, type=Nested)


def are_fields(names: Iterable[str]) -> bool:
    """Whether every destination can have fields of these names: none empty, with NUL, or different in case only."""
    folded = [name.casefold() for name in names]
    return len(set(folded)) == len(folded) and all(name and "\0" not in name for name in folded)


def grown(have: Nested, want: Nested, path: str = "") -> Nested:
    """What a table's nested column must become to take a stream's values; itself if it takes them already.

    Structs gain fields; nothing else changes. Raises NestedConflictError if that isn't enough.
    """
    if have.is_text:
        return have
    if have.fields and want.fields:
        fields = dict(have.fields)
        for name, inner in want.fields.items():
            step = f"{path}.{name}" if path else name
            fields[name] = grown(have.fields[name], inner, step) if name in have.fields else inner.of_table
        if not are_fields(fields):
            raise NestedConflictError(path, have, want)
        return msgspec.structs.replace(have, fields=fields)
    if have.items is not None and want.items is not None:
        return msgspec.structs.replace(have, items=grown(have.items, want.items, f"{path}[]"))
    if have.is_leaf and want.is_leaf and _takes(have, want):
        return have
    raise NestedConflictError(path, have, want)


def _takes(have: Nested, want: Nested) -> bool:
    """Whether a table's leaf holds all of the stream's values unchanged."""
    if have.kind is Kind.DECIMAL and want.kind is Kind.DECIMAL:
        return want.scale <= have.scale and want.precision - want.scale <= have.precision - have.scale
    return have.kind is want.kind or (have.kind is Kind.TEXT and want.kind in (Kind.TIME, Kind.UUID))
