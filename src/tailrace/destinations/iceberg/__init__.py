"""Iceberg tables of a catalog: each checkpoint is one snapshot of each of its tables.

*Durable when* the checkpoint's entry is committed to the pipeline's journal, a table of the catalog, after its files.
*Visible when* the table's commit is made, which records the pipeline's entry; one table after the other.
*Load verb* Parquet files added as they are; a merge rewrites the files whose rows change.
*Source* https://iceberg.apache.org/spec and https://py.iceberg.apache.org

Addresses are `iceberg+sqlite:////path/catalog.db?warehouse=s3://bucket/path`, `iceberg+postgresql+psycopg2://...` (any
catalog that SQLAlchemy reaches) and `iceberg+https://host/path?warehouse=name` (a REST catalog); a table stands in the
namespace of its schema, or in `namespace`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pyarrow as pa
from msgspec import structs
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, TableProperties
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import NestedField

from tailrace.destination import Destination
from tailrace.destinations.iceberg.catalog import Identifier, location_of, may_pass, translated_errors
from tailrace.destinations.iceberg.journal import JOURNAL, IcebergJournal, journal_name, noted_tables
from tailrace.destinations.iceberg.maintaining import maintained
from tailrace.destinations.iceberg.settings import Settings, catalog_settings
from tailrace.destinations.iceberg.structure import partition_columns, partition_names
from tailrace.destinations.iceberg.table import KEY, IcebergView
from tailrace.destinations.iceberg.table_checks import FORMAT_VERSION, problem_of, refuse_unfit
from tailrace.destinations.iceberg.types import (
    ICEBERG_TYPES,
    PARTITIONABLE,
    arrow_of,
    column_of,
    iceberg_fields,
    is_writable,
    missing_in,
    type_of,
)
from tailrace.errors import ConfigError, DestinationError, SchemaError
from tailrace.lake.cleaning import remove_staged, remove_unused
from tailrace.lake.destination import LakeDestination
from tailrace.lake.entries import MAX_NAME_LENGTH, Change, Entry, folder_of
from tailrace.lake.filesystem import ArrowStore
from tailrace.lake.rewriting import apply_change
from tailrace.lake.settings import partitions_of
from tailrace.lake.tables import ExistingTable, Journal, Layout, Store
from tailrace.model import Kind, Published, Stream, TableName, Traits
from tailrace.schema.evolve import TableColumn
from tailrace.schema.keys import by, read_key, written_key

from_url = catalog_settings
SETTINGS = Settings


def _rekeyed(stream: Stream, _: tuple[str, ...], __: str | None) -> str:
    """How to give a table the stream's key: by a property, which any engine sets."""
    key = written_key(stream.key).replace("'", "''")
    return by(f"ALTER TABLE {stream.table} SET TBLPROPERTIES ('{KEY}' = '{key}')", stream)


TRAITS = Traits(
    name="Iceberg",
    max_name_length=MAX_NAME_LENGTH,
    keeps_nested=True,
    own_tables="metadata",
    own_schemas=r"(.*\.)?(metadata|\s*)(\..*)?",
    guarantee="exactly once: a table's commit notes the pipeline's checkpoint",
    reserved=frozenset({"_file", "_pos", "_deleted", "_spec_id", "_partition", "_change_type", "_change_ordinal"}),
    rekey=_rekeyed,
)

TYPES: Mapping[Kind, str] = {
    **{kind: str(found) for kind, found in ICEBERG_TYPES.items()},
    Kind.DECIMAL: "decimal({precision},{scale})",
}
"""Iceberg's type of each kind; of JSON and UUID, which are strings, the field's `doc` says so."""

_STAGING = "staging"
_TRIES = 20
_PROPERTIES = {
    TableProperties.FORMAT_VERSION: str(FORMAT_VERSION),
    TableProperties.MANIFEST_MERGE_ENABLED: "true",
    TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED: "true",
}
"""Properties of new tables, which get many commits."""


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return IcebergDestination(IcebergTables(settings), TRAITS, may_pass)


class IcebergDestination(LakeDestination):
    """A LakeDestination on a catalog, whose connections it closes."""

    def close(self) -> None:
        """Discard what isn't committed, and close connections; repeatable."""
        super().close()
        if isinstance(self._tables, IcebergTables):
            self._tables.close()


class IcebergTables:
    """The tables of a catalog; see Tables."""

    rewrites = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalog = settings.opened()
        self._namespace = tuple(settings.namespace.split("."))
        self._stores: dict[str, ArrowStore] = {}
        self._known: dict[Identifier, Table] = {}
        self._left: dict[TableName, list[str]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return IcebergTables, (self._settings,)

    def close(self) -> None:
        """Close connections; repeatable."""
        self._catalog.close()

    def journal(self, pipeline: str) -> Journal:
        """The pipeline's journal, in the default namespace; see Tables."""
        self._known.clear()
        location = self._location((*self._namespace, journal_name(pipeline)))
        journal = IcebergJournal(self._catalog, self._namespace, pipeline, location)
        self._stores[pipeline] = ArrowStore(journal.location)
        return journal

    def named(self, table: TableName) -> TableName:
        """The table in its namespace; see Tables."""
        return table if table.schema else TableName(table.name, self._settings.namespace)

    def existing(self, table: TableName) -> ExistingTable | None:
        """The table's columns, and the key that it was made with; see Tables."""
        found = self._look(table)
        return None if found is None else _existing(found)

    def accepting(self, stream: Stream) -> ExistingTable | None:
        """The table as it is now; see Tables."""
        table = self.named(stream.table)
        found = self._look(table)
        if found is None:
            if self._catalog.has_view(self._identifier(table)):
                raise SchemaError(
                    f"the Iceberg catalog has a view {table}, and rows go into tables; drop it (`DROP VIEW {table}`), "
                    "give the stream another `table`, or leave it out with `select: false` under `streams:`",
                    stream=stream.name,
                    have="a view",
                )
            return None
        columns = Schema(*iceberg_fields([*map(TableColumn.of, stream.columns)]))
        refuse_unfit(found, stream, partition_names(self._partitions(stream.name), columns))
        return _existing(found)

    def create(self, stream: Stream, columns: Sequence[TableColumn], key: Sequence[str]) -> ExistingTable:
        """Make the table; see Tables."""
        wanted = self._partitions(stream.name)
        unfit = [c.name for c in columns if c.name in wanted and not isinstance(type_of(c), PARTITIONABLE)]
        if unfit:
            raise ConfigError(
                f"the column {unfit[0]!r} of the stream {stream.name!r} is of a kind that tables aren't partitioned by",
                key="partition_keys",
                hint="partition by columns of few values, as a date",
            )
        return _existing(self._create(stream.table, columns, key, wanted))

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> ExistingTable:
        """Add columns, and fields of structs, in a commit of their own; see Tables."""
        for _ in range(_TRIES):
            found = self._newest(table)
            missing = [*_missing(found.schema(), columns)]
            if not missing:
                break
            with translated_errors(), suppress(CommitFailedException), found.update_schema() as update:
                for path, field in missing:
                    update.add_column(path, field.field_type, field.doc)
        return _existing(found)

    def relax(self, table: TableName, columns: Sequence[str]) -> ExistingTable:
        """Make columns optional, in a commit of their own; see Tables."""
        for _ in range(_TRIES):
            found = self._newest(table)
            required = [name for name in columns if found.schema().find_field(name).required]
            if not required:
                break
            with translated_errors(), suppress(CommitFailedException), found.update_schema() as update:
                for name in required:
                    update.make_column_optional((name,))
        return _existing(found)

    def layout(self, stream: Stream, columns: Sequence[TableColumn]) -> Layout:
        """Parquet files in the table's data folder; see Tables."""
        view = self._view(stream.table, self._known[self._identifier(stream.table)])
        targets = {column.name for column in columns}
        _refuse_unfit(view.table, stream, targets)
        names = targets | set(partition_columns(view.table, view.table.metadata))
        return view.layout_of(pa.schema([field for field in view.schema if field.name in names]))

    def schema_of(self, columns: Sequence[TableColumn]) -> pa.Schema:
        """Iceberg's types; see Tables."""
        return arrow_of(Schema(*iceberg_fields(columns)))

    def lost_texts(self, stream: Stream, columns: Sequence[TableColumn]) -> Mapping[str, str]:  # noqa: ARG002 as Tables
        """None, since partitions have typed values, and files keep the columns too; see Tables."""
        return {}

    def staging(self, pipeline: str) -> tuple[Store, str]:
        """A folder of the journal's table, reached with that table's keys; see Tables."""
        return self._stores[pipeline], _STAGING

    def table(self, table: TableName) -> IcebergView:
        """The table as it is now; see Tables."""
        return self._view(table, self._newest(table))

    def decided(self, change: Change) -> Change:
        """The change itself; see Tables."""
        return change

    def apply(self, entry: Entry, change: Change) -> Published:
        """Apply the entry by one commit; see Tables."""
        wanted = self._partitions(change.stream) if change.replace else ()

        def look() -> IcebergView:
            if change.replace and self._look(change.name) is None:
                self._create(change.name, change.columns, change.key, wanted)
            return structs.replace(self.table(change.name), partition_by=wanted)

        waiting, _ = self.staging(entry.pipeline)
        left = self._left.setdefault(change.name, [])
        return apply_change(look, waiting, entry, change, left)

    def clean(self, journal: Journal, takeover: Entry, *, is_settled: bool) -> None:
        """Remove files of the pipeline that no commit can add any more; see Tables."""
        remove_staged(*self.staging(takeover.pipeline), takeover)
        if isinstance(journal, IcebergJournal):
            journal.sweep(self._stores[takeover.pipeline])
        for table in () if is_settled else journal.tables():
            if found := self._look(table):
                look = partial(self._view, table, found)
                remove_unused(look().store, takeover, look)

    def maintain(self, tables: Collection[TableName], keep: timedelta) -> Iterator[str]:
        """Maintain the tables; journals are always short; see Tables."""
        noted = {table for name in self._catalog.names(self._namespace, JOURNAL) for table in self._noted_by(name)}
        for table in tables or sorted(noted, key=str):
            found = self._look(table) if table in noted else None
            if found is None:
                yield f"{table}: no pipeline loads into it."
            elif has := problem_of(found):
                yield f"{table}: left as it is, since it has {has}."
            else:
                for done in maintained(partial(self.table, table), keep):
                    yield f"{table}: {done}."

    def _noted_by(self, journal: Identifier) -> Sequence[TableName]:
        found = self._catalog.look(journal)
        return noted_tables(found) if found else ()

    def addresses(self, table: TableName) -> Sequence[str]:
        """The files of the table's snapshot; files of deletes aren't among them; see Tables."""
        found = self._look(table)
        if found is None:
            return []
        with translated_errors():
            return sorted(task.file.file_path for task in found.scan().plan_files())

    def check(self) -> Sequence[str]:
        """Where tables are created, by creating one; see Tables."""
        table = TableName(f"_tailrace_check_{secrets.token_hex(4)}")
        made = self._create(table, [TableColumn("id", Kind.INT)], (), ())
        location, where = location_of(made, made.location()), made.location().rpartition("/")[0]
        self._catalog.drop(self._identifier(table))
        ArrowStore(lambda: location).clear()
        return [f"Iceberg, {where}: tables may be created and written there, in {self._settings.namespace}."]

    def _create(
        self, table: TableName, columns: Sequence[TableColumn], key: Sequence[str] | None, partition_by: Sequence[str]
    ) -> Table:
        schema = Schema(*iceberg_fields(columns))
        ids = {field.name: field.field_id for field in schema.fields if isinstance(field.field_type, PARTITIONABLE)}
        parts = [
            PartitionField(ids[name], 1000 + position, IdentityTransform(), name)
            for position, name in enumerate(name for name in partition_by if name in ids)
        ]
        identifier = self._identifier(table)
        properties = _PROPERTIES | ({} if key is None else {KEY: written_key(key)})
        made = self._catalog.create(identifier, schema, PartitionSpec(*parts), properties, self._location(identifier))
        if made is None:
            raise DestinationError(
                f"the Iceberg table {table} can't be created: the catalog says that it exists, but has no such table, "
                "as with a view of that name; give the stream another table under `table:`, or drop what has the name"
            )
        self._known[identifier] = made
        return made

    def _partitions(self, stream: str) -> Sequence[str]:
        return partitions_of(self._settings.partition_keys, stream)

    def _location(self, identifier: Identifier) -> str | None:
        """Where to put a new table whose name has special characters; None to let the catalog choose."""
        folder = self._settings.folder
        return folder and "/".join([folder, *map(folder_of, identifier)])

    def _identifier(self, table: TableName) -> Identifier:
        namespace = tuple(table.schema.split(".")) if table.schema else self._namespace
        return (*namespace, table.name)

    def _view(self, table: TableName, found: Table) -> IcebergView:
        return IcebergView(found, partial(self._newest, table), self._settings.file_bytes)

    def _look(self, table: TableName) -> Table | None:
        found = self._catalog.look(self._identifier(table))
        if found:
            self._known[self._identifier(table)] = found
        return found

    def _newest(self, table: TableName) -> Table:
        found = self._look(table)
        if found is None:
            raise DestinationError(f"the Iceberg table {table} isn't there; another program may have removed it")
        return found


def _existing(found: Table) -> ExistingTable:
    """The columns of a table."""
    columns = tuple(column_of(field) for field in found.schema().fields)
    return ExistingTable(columns, read_key(found.properties.get(KEY)), arrow_of(found.schema()))


def _refuse_unfit(table: Table, stream: Stream, targets: Collection[str]) -> None:
    """Raise SchemaError for a column that tailrace can't write."""
    for field in table.schema().fields:
        if field.name in targets and not is_writable(field):
            raise SchemaError(
                f"the Iceberg table {stream.table} has {field.name!r} as {field.field_type}, which tailrace doesn't "
                "write; give the table another column, or the stream's another name under `columns:`",
                stream=stream.name,
                column=field.name,
                have=str(field.field_type),
            )


def _missing(schema: Schema, columns: Sequence[TableColumn]) -> Iterator[tuple[tuple[str, ...], NestedField]]:
    """The columns that a table lacks, and the fields that its structs do, by their paths."""
    have = {field.name.lower(): field for field in schema.fields}
    for column, field in zip(columns, iceberg_fields(columns), strict=True):
        if field.name.lower() in have:
            yield from missing_in(have[field.name.lower()], column)
        else:
            yield (field.name,), field
