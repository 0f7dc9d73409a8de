"""Delta Lake tables on object stores or this machine: each checkpoint is one commit of each of its tables.

*Durable when* the checkpoint's entry is put into the pipeline's journal, after its files.
*Visible when* the table's commit is put, which carries the pipeline's transaction; one table after the other.
*Load verb* Parquet files added as they are; a merge rewrites the files whose rows change.
*Source* https://github.com/delta-io/delta/blob/master/PROTOCOL.md and https://delta-io.github.io/delta-rs

Addresses are `delta+s3://bucket/path`, `delta+gs://bucket/path`, `delta:///path` and `delta:path`; a table is the
folder of its name there, within that of its schema if it has one. S3 needs no table of locks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
from deltalake import DeltaTable, Field
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tailrace.destination import Destination
from tailrace.destinations.delta.errors import have_ended, may_pass, translated_errors
from tailrace.destinations.delta.maintaining import maintained
from tailrace.destinations.delta.protocol import Problem, Work, problem_of, unopened
from tailrace.destinations.delta.table import DeltaView, arrow_of, existing_table
from tailrace.errors import DestinationError, SchemaError
from tailrace.lake.cleaning import remove_staged, remove_unused
from tailrace.lake.destination import LakeDestination
from tailrace.lake.entries import MAX_NAME_LENGTH, Change, Entry, folder_of
from tailrace.lake.journal import FOLDER, ObjectJournal, journals_of, shortened
from tailrace.lake.marks import KEY, NO_KEY, lacking, marked_schema
from tailrace.lake.partitions import partition_names
from tailrace.lake.rewriting import apply_change, removes
from tailrace.lake.settings import LakeSettings, lake_settings
from tailrace.lake.tables import ExistingTable, Journal, Layout, Store
from tailrace.model import Kind, Method, Published, Stream, TableName, Traits
from tailrace.objects import Folder
from tailrace.schema.evolve import TableColumn
from tailrace.schema.keys import anew, by

from_url = lake_settings

_OWN = "_(delta_log|delta_index|change_data|commits|sidecars|symlink_format_manifest)"
"""Folders inside a table's own, whose names no table and no schema can have."""


def _rekeyed(stream: Stream, have: tuple[str, ...], _: str | None) -> str:
    """How to give a table the stream's key: by the metadata of its fields."""
    positions = dict.fromkeys(have or (), NO_KEY) | {name: str(n) for n, name in enumerate(stream.key)}
    calls = [f".set_column_metadata({name!r}, {{{KEY!r}: {position!r}}})" for name, position in positions.items()]
    return by("; ".join(f"DeltaTable(...).alter{call}" for call in calls), stream) + f", or {anew(stream)}"


TRAITS = Traits(
    name="Delta Lake",
    max_name_length=MAX_NAME_LENGTH,
    guarantee="exactly once: a table's commit carries the pipeline and its checkpoint",
    keeps_nested=True,
    own_tables=_OWN,
    own_schemas=_OWN,
    rekey=_rekeyed,
)

TYPES: Mapping[Kind, str] = {
    Kind.BOOL: "boolean",
    Kind.INT: "long",
    Kind.FLOAT: "double",
    Kind.DECIMAL: "decimal({precision},{scale})",
    **dict.fromkeys((Kind.TEXT, Kind.JSON), "string"),
    Kind.BINARY: "binary",
    Kind.DATE: "date",
    Kind.TIME: "string",
    Kind.TIMESTAMP: "timestamp_ntz",
    Kind.TIMESTAMPTZ: "timestamp",
    Kind.UUID: "string",
}
"""Delta's type of each kind, as `lake.marks` has them in Arrow's types."""

_TRIES = 20
_SURE = timedelta(hours=1)
"""How long files that no commit has added yet surely exist."""


_PROPERTIES = {"delta.checkpointInterval": "10"}
"""Properties of new tables. The log gets a checkpoint after so many commits, so that few are read to open a table."""


SETTINGS = LakeSettings


def build(settings: LakeSettings) -> Destination:
    """The destination of these settings."""
    return LakeDestination(DeltaTables(settings), TRAITS, may_pass)


class DeltaTables:
    """The Delta tables in a folder; see Tables."""

    rewrites = True

    def __init__(self, settings: LakeSettings) -> None:
        self._settings = settings
        self._root = Folder(settings, settings.root)
        self._known: dict[TableName, DeltaTable] = {}
        self._left: dict[TableName, list[str]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return DeltaTables, (self._settings,)

    def journal(self, pipeline: str) -> Journal:
        """The pipeline's journal; see Tables."""
        self._known.clear()
        return ObjectJournal(self._root, pipeline)

    def named(self, table: TableName) -> TableName:
        """The table itself; see Tables."""
        return table

    def existing(self, table: TableName) -> ExistingTable | None:
        """The table's columns, by its newest version; see Tables."""
        found = self._look(table)
        return None if found is None else existing_table(found)

    def accepting(self, stream: Stream) -> ExistingTable | None:
        """As existing() has it; see Tables."""
        try:
            found = self._look(stream.table)
        except DestinationError as error:
            if problem := unopened(error.__cause__):
                raise _refused(stream, problem) from error
            raise
        if found is None:
            return None
        if problem := problem_of(found, _work_of(stream)):
            raise _refused(stream, problem)
        return existing_table(found)

    def create(self, stream: Stream, columns: Sequence[TableColumn], key: Sequence[str]) -> ExistingTable:
        """Make the table; see Tables."""
        partition_by = partition_names(self._settings.partitions(stream.name), columns)
        self._make(stream.table, self.schema_of(columns, key), partition_by)
        return existing_table(self._newest(stream.table))

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> ExistingTable:
        """Add columns, and fields of structs, in a commit of their own; see Tables."""
        fields = self.schema_of(columns)
        for _ in range(_TRIES):
            found = self._newest(table)
            have = {field.name.lower(): field.type for field in arrow_of(found)}
            lacked = [lacking(have.get(field.name.lower()), field) for field in fields]
            missing = [Field.from_arrow(field) for field in lacked if field]
            if not missing:
                break
            with translated_errors(), suppress(CommitFailedError):  # another writer was quicker
                found.alter.add_columns(missing)
        return existing_table(found)

    def relax(self, table: TableName, columns: Sequence[str]) -> ExistingTable:
        """Refuse, since deltalake has no way to; see Tables."""
        raise SchemaError(
            f"the Delta table {table} has the column {columns[0]!r}, which is NOT NULL, and the stream may have null; "
            f"let it be null (`ALTER TABLE ... ALTER COLUMN {columns[0]} DROP NOT NULL`), make the table anew, or "
            "leave the stream out with `select: false` under `streams:`",
            stream=table.name,
            column=columns[0],
        )

    def layout(self, stream: Stream, columns: Sequence[TableColumn]) -> Layout:
        """Parquet files in the table's folder; see Tables."""
        view = self._view(stream.table)
        names = {column.name for column in columns} | set(view.partition_by)
        schema = pa.schema([field for field in view.schema if field.name in names])
        return view.layout_of(schema)

    def schema_of(self, columns: Sequence[TableColumn], key: Sequence[str] | None = None) -> pa.Schema:
        """Delta's types; a field says its kind, and its position in the key; see Tables."""
        return marked_schema(columns, key)

    def lost_texts(self, stream: Stream, columns: Sequence[TableColumn]) -> Mapping[str, str]:
        """The empty text, which the protocol reads as null; see Tables."""
        found = self._look(stream.table)
        have = found.metadata().partition_columns if found else ()
        wanted = self._settings.partitions(stream.name)
        is_kept = found and (stream.method is not Method.REPLACE or not wanted)
        return dict.fromkeys(partition_names(have if is_kept else wanted, columns), "")

    def staging(self, pipeline: str) -> tuple[Store, str]:
        """A folder beside the journal; see Tables."""
        return self._root, f"{FOLDER}/{folder_of(pipeline)}/staging"

    def table(self, table: TableName) -> DeltaView:
        """The table in its newest version; see Tables."""
        self._newest(table)
        return self._view(table)

    def decided(self, change: Change) -> Change:
        """The change itself; see Tables."""
        return change

    def apply(self, entry: Entry, change: Change) -> Published:
        """Apply the entry by one commit; see Tables."""
        wanted = partition_names(self._settings.partitions(change.stream), change.columns) if change.replace else ()
        streams = [*(staged.stream for staged in change.staged), *(activate.stream for activate in change.activate)]
        works = [_work_of(stream) for stream in streams]
        work = Work(any(each.merges for each in works), change.replace or any(each.removes for each in works))

        def look() -> DeltaView:
            if change.replace and self._look(change.name) is None:
                self._make(change.name, self.schema_of(change.columns, change.key), wanted)
            found, view = self._newest(change.name), self._view(change.name, wanted)
            if view.applied(entry.pipeline) < entry.sequence and (problem := problem_of(found, work)):
                raise DestinationError(f"the Delta table {change.name} has {problem.has}; {problem.way}")
            return view

        self._refuse_lost(entry, change)
        left = self._left.setdefault(change.name, [])
        try:
            return apply_change(look, self._root, entry, change, left)
        except DestinationError as error:
            if not have_ended(error):
                raise
            self._known.pop(change.name, None)  # opened again, with new keys
            return apply_change(look, self._root, entry, change, left)

    def clean(self, journal: Journal, takeover: Entry, *, is_settled: bool) -> None:
        """Remove files of the pipeline that no commit can add any more; see Tables."""
        remove_staged(*self.staging(takeover.pipeline), takeover)
        for table in () if is_settled else journal.tables():
            try:
                remove_unused(self._folder(table), takeover, partial(self._looked, table))
            except DestinationError as error:
                if not unopened(error.__cause__):  # files of a table that can't be opened any more stay
                    raise

    def maintain(self, tables: Collection[TableName], keep: timedelta) -> Iterator[str]:
        """Maintain the tables, then the journals; see Tables."""
        journals = journals_of(self._root)
        noted = dict.fromkeys(table for journal in journals for table in journal.tables())
        for table in tables or noted:
            found = self._look(table) if table in noted else None
            if found is None:
                yield f"{table}: no pipeline loads into it."
            elif problem := problem_of(found, Work(merges=True, removes=False)):
                yield f"{table}: left as it is, since it has {problem.has}."
            else:
                for done in maintained(partial(self.table, table), keep):
                    yield f"{table}: {done}."
        yield from filter(None, map(shortened, journals))

    def addresses(self, table: TableName) -> Sequence[str]:
        """As the newest version has them; see Tables."""
        found = self._look(table)
        return sorted(found.file_uris()) if found else []

    def check(self) -> Sequence[str]:
        """Where the tables are; see Tables."""
        self._root.put(f"{FOLDER}/check", b"")
        self._root.remove([f"{FOLDER}/check"])
        return [f"Delta Lake, {self._root.url}: tables may be created and written there."]

    def _refuse_lost(self, entry: Entry, change: Change) -> None:
        """Raise if files that waited long to be added were removed meanwhile, as by VACUUM."""
        if not change.files or entry.at is None or datetime.now(UTC) - entry.at < _SURE:
            return
        there = {*self._folder(change.name).names()}
        lost = [part.path for part in change.files if part.path not in there]
        found = self._looked(change.name) if lost else None
        if found and found.applied(entry.pipeline) < entry.sequence:
            raise DestinationError(
                f"{len(lost)} files of the Delta table {change.name}, which were to be added since "
                f"{entry.at:%Y-%m-%d %H:%M}, are missing, such as {lost[0]}: VACUUM or another program has removed them"
            )

    def _folder(self, table: TableName) -> Folder:
        names = [folder_of(name) for name in (table.schema, table.name) if name]
        return self._root.within("/".join(names))

    def _view(self, table: TableName, wanted: Sequence[str] = ()) -> DeltaView:
        """The table in the version read last; `wanted` are its partition columns if it is replaced."""
        return DeltaView(self._known[table], self._folder(table), self._settings.file_bytes, tuple(wanted))

    def _looked(self, table: TableName) -> DeltaView | None:
        """A view of the table's newest version, None if there is no table."""
        return self._view(table) if self._look(table) else None

    def _look(self, table: TableName) -> DeltaTable | None:
        """The table's newest version, None if there is no table."""
        known = self._known.pop(table, None)
        with translated_errors():
            try:
                if known is not None:
                    with suppress(DeltaError, OSError):  # expired keys or a recreated table: open it again
                        known.update_incremental()
                        self._known[table] = known
                if table not in self._known:
                    self._known[table] = DeltaTable(self._folder(table).url, storage_options=self._options())
            except TableNotFoundError:
                return None
        return self._known[table]

    def _newest(self, table: TableName) -> DeltaTable:
        found = self._look(table)
        if found is None:
            raise DestinationError(f"the Delta table {table} isn't there; another program may have removed it")
        return found

    def _make(self, table: TableName, schema: pa.Schema, partition_by: Sequence[str]) -> None:
        """Make a table, unless another writer was quicker."""
        with translated_errors(), suppress(CommitFailedError):
            self._known[table] = DeltaTable.create(
                self._folder(table).url,
                schema=schema,
                mode="ignore",
                partition_by=[*partition_by] or None,
                configuration=_PROPERTIES,
                storage_options=self._options(),
            )

    def _options(self) -> dict[str, str]:
        return self._settings.delta_options(self._root.url)


def _work_of(stream: Stream) -> Work:
    """What checkpoints of the stream do to its table."""
    return Work(stream.method is not Method.REPLACE and stream.waits_for_commit, removes(stream))


def _refused(stream: Stream, problem: Problem) -> SchemaError:
    append = "set `method: append`, or " if problem.appends and stream.method is not Method.APPEND else ""
    return SchemaError(
        f"the Delta table {stream.table} has {problem.has}; {append}{problem.way}, or leave the stream out with "
        "`select: false` under `streams:`",
        stream=stream.name,
        column=problem.column,
        have=problem.has,
    )
