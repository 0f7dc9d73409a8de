"""Where each stream's rows go: its table, altered to fit, and the layout of the files to write."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from msgspec import Struct

from tailrace.errors import SchemaError
from tailrace.lake.tables import ExistingTable, Layout, Tables
from tailrace.model import LINE, Kind, Method, Stream, TableName, Traits
from tailrace.schema.evolve import Fit, TableColumn, changes
from tailrace.schema.keys import Keys, is_same_key, other_key
from tailrace.schema.owners import Owners
from tailrace.schema.plans import ByPlan
from tailrace.schema.steps import as_replaced

_ALTERABLE = frozenset({(Kind.JSON, Kind.JSON)})
"""What is altered in place: structs, which gain fields."""


class LakeMapping(Struct, frozen=True):
    """Where a stream's rows go, and how.

    `targets` gives the column of the table that takes each column of the stream; `columns` are all that the table has.
    `cleared` are columns that an update sets to null; see Fit. `is_merged` says that the commit merges the files into
    the table, and that their rows have their line for that; otherwise the files are added to the table as they are.
    `lost_texts` gives, for a partition column, the text that its reader would take for null.
    """

    table: TableName
    targets: Mapping[str, TableColumn]
    columns: tuple[TableColumn, ...]
    key: tuple[str, ...] | None
    layout: Layout
    is_merged: bool
    lost_texts: Mapping[str, str]
    cleared: tuple[str, ...] = ()


class LakeMappings:
    """The mappings of a run's streams. Not thread-safe."""

    def __init__(self, tables: Tables, traits: Traits) -> None:
        self._tables = tables
        self._traits = traits
        self._pipeline = ""
        self._mappings = ByPlan[LakeMapping]()
        self._beside: dict[str, tuple[TableColumn, ...]] = {}
        self._keys = Keys(traits)
        self._owners = Owners(traits)

    def begin(self, pipeline: str) -> None:
        """Forget everything, since a run of the pipeline begins."""
        self._pipeline = pipeline
        self._keys.begin()
        self._owners.begin()
        self._mappings.clear()
        self._beside.clear()

    def of(self, stream: Stream) -> LakeMapping:
        """Where the stream's rows go. Creates or alters its table if needed."""
        if (known := self._mappings.get(stream)) is not None:
            return known
        self._keys.accept(stream)
        table = self._tables.named(stream.table)
        self._owners.accept(stream, table)
        found = self._tables.accepting(stream)
        mapping = (self._replacing if stream.method is Method.REPLACE else self._fitted)(stream, table, found)
        self._mappings.drop(stream.name, lambda other: other.columns != mapping.columns)  # the table was altered
        return self._mappings.put(stream, mapping)

    def statements(self, stream: Stream) -> list[str]:
        """What of() would do to the stream's table now, in words."""
        table = self._tables.named(stream.table)
        found = self._tables.accepting(stream)
        if found is None or stream.method is Method.REPLACE:
            columns = ", ".join(f"{new.name} {new.spelling}" for new in map(TableColumn.of, stream.columns))
            return [f"{'create' if found is None else 'replace'} the table {table} ({columns})"]
        fit = self._fit(found, stream)
        added = [f"add the column {new.name} {new.spelling} to {table}" for new in map(TableColumn.of, fit.add)]
        grown = [f"add fields to {each.have.name} of {table}: {each.want.spelling}" for each in fit.widen]
        return [*added, *grown, *(f"let {name} of {table} be null" for name in fit.relax)]

    def _fit(self, found: ExistingTable, stream: Stream) -> Fit:
        is_other = found.key is not None and not is_same_key(found.key, stream.key, self._traits)
        if is_other and not self._tables.rewrites and stream.method is not Method.REPLACE:
            # Rows are only appended, and readers tell them apart by the table's own key.
            raise other_key(stream, found.key or (), self._traits, f"the table {stream.table} has the former")
        return changes(found.columns, stream, self._traits, _ALTERABLE, found.key)

    def _fitted(self, stream: Stream, table: TableName, found: ExistingTable | None) -> LakeMapping:
        if found is None:
            found = self._tables.create(stream, [*map(TableColumn.of, stream.columns)], stream.key)
        fit = self._fit(found, stream)
        if fit.add or fit.widen:
            found = self._tables.add_columns(table, _gained(fit))
        if fit.relax:
            found = self._tables.relax(table, fit.relax)
        targets, cleared = self._targets(found, stream)
        _refuse_unknown(found, stream, targets)
        is_merged = self._tables.rewrites and stream.waits_for_commit
        layout = self._tables.layout(stream, [*targets.values()])
        if is_merged:
            layout = self._staging(layout.schema)
        known = stream.key if found.key is None and not self._tables.rewrites else found.key
        lost = self._tables.lost_texts(stream, [*targets.values()])
        return LakeMapping(table, targets, found.columns, known, layout, is_merged, lost, cleared)

    def _targets(self, found: ExistingTable, stream: Stream) -> tuple[Mapping[str, TableColumn], tuple[str, ...]]:
        """The table's column for each column of the stream, and the columns that are cleared."""
        have, fit = {column.name: column for column in found.columns}, self._fit(found, stream)
        return {name: have.get(target.name, target) for name, target in fit.targets.items()}, fit.cleared

    def _replacing(self, stream: Stream, table: TableName, present: ExistingTable | None) -> LakeMapping:
        """The mapping into a new table, which replaces the present one at the end of the run."""
        loaded = stream
        if stream.contract != "evolve" and present is not None:
            loaded = as_replaced(stream, self._fit(present, stream).targets)
        columns = self._beside.get(stream.name, ())
        fit = changes(columns, loaded, self._traits, _ALTERABLE, None) if columns else None
        gained = _gained(fit) if fit else map(TableColumn.of, loaded.columns)
        by_name = {column.name: column for column in (*columns, *gained)}
        columns = self._beside[stream.name] = tuple(by_name.values())
        found = ExistingTable(columns, None, self._tables.schema_of(columns))
        targets, cleared = self._targets(found, loaded)
        is_merged = self._tables.rewrites
        own = [*targets.values()]
        layout = self._staging(self._tables.schema_of(own)) if is_merged else self._tables.layout(stream, own)
        lost = self._tables.lost_texts(stream, own)
        return LakeMapping(table, targets, columns, stream.key, layout, is_merged, lost, cleared)

    def _staging(self, schema: pa.Schema) -> Layout:
        store, folder = self._tables.staging(self._pipeline)
        return Layout(store, folder, pa.schema([*schema, pa.field(LINE, pa.int64())]))


def _refuse_unknown(found: ExistingTable, stream: Stream, targets: Mapping[str, TableColumn]) -> None:
    """Raise SchemaError for structs, lists and maps of the table that tailrace can't write."""
    for name, target in targets.items():
        if target.kind is None and pa.types.is_nested(found.schema.field(target.name).type):
            raise SchemaError(
                f"the table {stream.table} has {target.name!r} as {target.sql_type}, which tailrace doesn't fill; "
                "give the stream's column another name under `columns:`, or leave it out with `select: false`",
                stream=stream.name,
                column=name,
                have=target.sql_type,
            )


def _gained(fit: Fit) -> list[TableColumn]:
    """The columns that are added to a table, and its own columns whose structs gain fields."""
    return [*map(TableColumn.of, fit.add), *(widening.want for widening in fit.widen)]
