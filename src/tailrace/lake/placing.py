"""Where each stream's rows go: its table, made to fit, and the layout of the files that they are written into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from tailrace.lake.tables import Found, Layout, Tables
from tailrace.model import LINE, Column, Method, Stream, TableName, Traits
from tailrace.schema.evolve import Fit, TableColumn, changes
from tailrace.sql.publish import is_merged


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a stream's rows go.

    `targets` says which of the table's `columns` takes each of the stream's. `waits` says that the files, whose rows
    then have their line, are merged into the table by the commit; otherwise they are added to it as they are.
    """

    table: TableName
    targets: Mapping[str, TableColumn]
    columns: tuple[TableColumn, ...]
    key: tuple[str, ...]
    layout: Layout
    waits: bool


class Placing:
    """The places of a run's streams. Not thread-safe."""

    def __init__(self, tables: Tables, traits: Traits) -> None:
        self._tables = tables
        self._traits = traits
        self._pipeline = ""
        self._placed: dict[Stream, Placed] = {}
        self._beside: dict[str, tuple[TableColumn, ...]] = {}

    def begin(self, pipeline: str) -> None:
        """Forget everything: a run of the pipeline begins."""
        self._pipeline = pipeline
        self.forget()
        self._beside.clear()

    def forget(self) -> None:
        """Look at tables anew."""
        self._placed.clear()

    def place(self, stream: Stream) -> Placed:
        """Where the stream's rows go; its table is made, or altered, when need be."""
        if stream not in self._placed:
            table = self._tables.named(stream.table)
            self._placed = {other: placed for other, placed in self._placed.items() if placed.table != table}
            placed = self._replacing(stream, table) if stream.method is Method.REPLACE else self._fitted(stream, table)
            self._placed[stream] = placed
        return self._placed[stream]

    def statements(self, stream: Stream) -> list[str]:
        """What place() would do now to the stream's table, in words."""
        table = self._tables.named(stream.table)
        found = self._tables.found(table)
        if found is None or stream.method is Method.REPLACE:
            columns = ", ".join(f"{column.name} {column.spelling}" for column in stream.columns)
            return [f"{'create' if found is None else 'replace'} the table {table} ({columns})"]
        fit = self._fit(found, stream)
        added = [f"add the column {column.name} {column.spelling} to {table}" for column in fit.add]
        return [*added, *(f"let {name} of {table} be null" for name in fit.relax)]

    def _fit(self, found: Found, stream: Stream) -> Fit:
        return changes(found.columns, stream, self._traits, frozenset(), found.key)

    def _fitted(self, stream: Stream, table: TableName) -> Placed:
        found = self._tables.found(table)
        if found is None:
            key = stream.key if stream.method is not Method.APPEND else ()
            found = self._tables.create(stream, [made(column) for column in stream.columns], key)
        fit = self._fit(found, stream)
        if fit.add:
            found = self._tables.add_columns(table, [made(column) for column in fit.add])
        if fit.relax:
            found = self._tables.relax(table, fit.relax)
        targets = self._targets(found, stream)
        waits = self._tables.rewrites and (is_merged(stream) or stream.versioned)
        layout = self._tables.layout(stream, [*targets.values()])
        if waits:
            layout = self._staging(layout.schema)
        return Placed(table, targets, found.columns, found.key or (), layout, waits)

    def _targets(self, found: Found, stream: Stream) -> Mapping[str, TableColumn]:
        have = {column.name: column for column in found.columns}
        return {name: have.get(target.name, target) for name, target in self._fit(found, stream).targets.items()}

    def _replacing(self, stream: Stream, table: TableName) -> Placed:
        """The place in a table that comes in the place of the present one at the end."""
        loaded = stream
        if stream.contract != "evolve" and (present := self._tables.found(table)) is not None:
            kept = self._fit(present, stream).targets
            loaded = replace(stream, columns=tuple(c for c in stream.columns if c.name in kept), contract="evolve")
        columns = self._beside.get(stream.name, ())
        fit = changes(columns, loaded, self._traits, frozenset(), None) if columns else None
        added = [made(column) for column in (fit.add if fit else loaded.columns)]
        columns = self._beside[stream.name] = (*columns, *added)
        found = Found(columns, None, self._tables.schema_of(columns))
        targets = self._targets(found, loaded)
        waits = self._tables.rewrites
        own = [*targets.values()]
        layout = self._staging(self._tables.schema_of(own)) if waits else self._tables.layout(stream, own)
        return Placed(table, targets, columns, stream.key if is_merged(stream) else (), layout, waits)

    def _staging(self, schema: pa.Schema) -> Layout:
        store, folder = self._tables.staging(self._pipeline)
        return Layout(store, folder, pa.schema([*schema, pa.field(LINE, pa.int64())]))


def made(column: Column) -> TableColumn:
    """The column as a new one of a table's; it takes null, as every column does in a lake."""
    return TableColumn(column.name, column.kind, column.precision, column.scale, sql_type=column.sql_type or "")
