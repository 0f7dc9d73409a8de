"""Where each stream's rows go: its collection, altered to fit, and the fields that take its columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from msgspec import Struct, structs

from tailrace.documents.database import Description, DocumentDatabase
from tailrace.model import Column, Kind, Method, Stream, Traits
from tailrace.schema.evolve import Fit, TableColumn, changes
from tailrace.schema.keys import Keys
from tailrace.schema.owners import Owners
from tailrace.schema.plans import ByPlan
from tailrace.schema.steps import as_replaced


class DocumentMapping(Struct, frozen=True):
    """Where a stream's rows go.

    `targets` gives the collection's column that takes each column of the stream. `key` are the fields that make the
    id, in the collection's order. `cleared` are fields that an update sets to null. `is_beside` says that the
    collection is built beside the one that it will replace.
    """

    collection: str
    targets: Mapping[str, TableColumn]
    key: tuple[str, ...]
    cleared: tuple[str, ...] = ()
    is_beside: bool = False

    def name(self, column: Column | None) -> str | None:
        """The field that takes a stream's column, if it is loaded."""
        target = self.targets.get(column.name) if column else None
        return target.name if target else None

    def of_fields(self) -> dict[str, TableColumn]:
        """The columns by the names of their fields."""
        return {target.name: target for target in self.targets.values()}


class DocumentMappings:
    """The mappings of a run's streams. Not thread-safe.

    `alterable` are the kinds that a collection's column may go from and to, its documents being as they are.
    """

    def __init__(self, database: DocumentDatabase, traits: Traits, alterable: Collection[tuple[Kind, Kind]]) -> None:
        self._database = database
        self._traits = traits
        self._alterable = alterable
        self._fence = ""
        self._mappings = ByPlan[DocumentMapping]()
        self._keys = Keys(traits)
        self._owners = Owners(traits)

    def begin(self, fence: str) -> None:
        """Forget everything, since a run begins."""
        self._fence = fence
        self._mappings.clear()
        self._keys.begin()
        self._owners.begin()

    def known(self, stream: Stream) -> DocumentMapping | None:
        """Where the stream's rows go, if the collection was made to fit."""
        return self._mappings.get(stream)

    def named(self, stream: Stream) -> str:
        """The stream's collection; raises SchemaError where it is another stream's."""
        collection = self._database.named(stream.table)
        self._owners.accept(stream, replace(stream.table, name=collection, schema=None))
        return collection

    def beside(self, stream: Stream) -> str:
        """The collection that is built to replace the stream's."""
        return self._database.beside(self.named(stream), self._fence)

    def of(self, stream: Stream) -> DocumentMapping:
        """Where the stream's rows go. Makes or alters its collection if needed."""
        if (known := self.known(stream)) is not None:
            return known
        self._keys.accept(stream)
        name = self.named(stream)
        self._database.accept(stream, name)
        is_beside = stream.method is Method.REPLACE
        present = self._database.describe(name)
        loaded = self._as_replaced(stream, present) if is_beside else stream
        if not stream.is_merged:  # its documents have ids of their own, and are no other stream's by a key
            loaded = replace(loaded, key=())
        collection = self.beside(stream) if is_beside else name
        mapping = self._fitted(loaded, collection, name if is_beside else None)
        self._mappings.drop(stream.name)  # its columns may be others by now
        return self._mappings.put(stream, mapping)

    def forget(self, stream: Stream) -> None:
        """Forget the stream's mappings: its collection has become another one."""
        self._mappings.drop(stream.name)

    def statements(self, stream: Stream) -> list[str]:
        """What of() would do to the stream's collection now, in words."""
        name = self._database.named(stream.table)
        self._database.accept(stream, name)
        have = self._database.describe(name)
        if have is None or stream.method is Method.REPLACE:
            columns = ", ".join(f"{new.name} {new.spelling}" for new in map(TableColumn.of, stream.columns))
            return [f"{'create' if have is None else 'replace'} {name} ({columns})"]
        fit = self._fit(have, stream if stream.is_merged else replace(stream, key=()))
        added = [f"add the field {new.name} {new.spelling} to {name}" for new in map(TableColumn.of, fit.add)]
        return [*added, *(f"let {each.have.name} of {name} be {each.want.spelling}" for each in fit.widen)]

    def _fit(self, have: Description, stream: Stream) -> Fit:
        return changes(have.columns, stream, self._traits, self._alterable, have.key)

    def _as_replaced(self, stream: Stream, present: Description | None) -> Stream:
        if present is None or stream.contract == "evolve":
            return stream
        return as_replaced(stream, self._fit(present, stream).targets)

    def _fitted(self, stream: Stream, collection: str, like: str | None) -> DocumentMapping:
        have = self._database.describe(collection)
        if have is None:
            have = Description(tuple(map(TableColumn.of, stream.columns)), stream.key)
            self._database.create(collection, stream, have, like)
            have = self._database.describe(collection) or have
        fit = self._fit(have, stream)
        if fit.is_change or have.key is None:
            have = Description(_columns(have, fit), stream.key if have.key is None else have.key)
            self._database.alter(collection, have)
            fit = self._fit(have, stream)
        own = {fit.targets[name].name for name in stream.key if name in fit.targets}
        key = tuple(name for name in have.key or () if name in own)
        ordered = key if len(key) == len(own) else tuple(sorted(own))
        return DocumentMapping(collection, fit.targets, ordered, fit.cleared, is_beside=like is not None)


def _columns(have: Description, fit: Fit) -> tuple[TableColumn, ...]:
    """The columns that the collection has once it fits."""
    wider = {widening.have.name: widening.want for widening in fit.widen}
    kept = [wider.get(column.name, column) for column in have.columns]
    relaxed = [structs.replace(column, nullable=True) if column.name in fit.relax else column for column in kept]
    return (*relaxed, *map(TableColumn.of, fit.add))
