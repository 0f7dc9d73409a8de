"""Delta Lake tables on object stores or this machine: each checkpoint is one commit of each of its tables.

*Durable when* the checkpoint's entry is put into the pipeline's journal, after its files.
*Visible when* the table's commit is put, which carries the pipeline's transaction; tables follow one another.
*Load verb* Parquet files added as they are; to merge, files whose rows change are written anew.
*Source* https://github.com/delta-io/delta/blob/master/PROTOCOL.md and https://delta-io.github.io/delta-rs

Addresses are `delta+s3://bucket/path`, `delta+gs://bucket/path`, `delta:///path` and `delta:path`; a table is the
folder of its name there, within that of its schema if it has one. S3 needs no table of locks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet
from deltalake import CommitProperties, DeltaTable, Field, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from tailrace.destination import Destination
from tailrace.errors import DestinationError, SchemaError
from tailrace.lake.destination import LakeDestination
from tailrace.lake.entries import MAX_NAME_LENGTH, Change, Entry, Part, folder_of, sequence_of
from tailrace.lake.journal import FOLDER, ObjectJournal
from tailrace.lake.marks import found_in, marked_schema
from tailrace.lake.rewriting import brought
from tailrace.lake.settings import LakeSettings, lake_settings
from tailrace.lake.tables import ConflictError, Found, Journal, Layout, LiveFile, Store
from tailrace.model import Published, Stream, TableName, Traits
from tailrace.objects import Folder, is_passing
from tailrace.schema.evolve import TableColumn

from_url = lake_settings

TRAITS = Traits(
    name="Delta Lake",
    max_name_length=MAX_NAME_LENGTH,
    guarantee="exactly once: a table's commit carries the pipeline and its checkpoint",
)

_UNWRITABLE = {"deletionVectors", "columnMapping", "v2Checkpoint"}
_TRIES = 20
_PASSING = (
    "error sending request",
    "after",
    "timed out",
    "connection",
    "Generic S3",
    "Generic GCS",
    "Generic Microsoft",
)


class Settings(LakeSettings):
    """The settings of Delta Lake."""


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return LakeDestination(DeltaTables(settings), TRAITS, _may_pass)


class DeltaTables:
    """The Delta tables in a folder; see Tables."""

    rewrites = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = Folder(settings, settings.root)
        self._known: dict[TableName, DeltaTable] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return DeltaTables, (self._settings,)

    def journal(self, pipeline: str) -> Journal:
        """The pipeline's journal; see Tables."""
        self._known.clear()
        return ObjectJournal(self._root, pipeline)

    def named(self, table: TableName) -> TableName:
        """The table itself; see Tables."""
        return table

    def found(self, table: TableName) -> Found | None:
        """The table's columns, by its newest version; see Tables."""
        found = self._look(table)
        return None if found is None else _found(found)

    def create(self, stream: Stream, columns: Sequence[TableColumn], key: Sequence[str]) -> Found:
        """Make the table; see Tables."""
        names = {column.name for column in columns}
        partition_by = [name for name in self._settings.partitions(stream.name) if name in names]
        self._make(stream.table, self.schema_of(columns, key), partition_by)
        return _found(self._newest(stream.table))

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> Found:
        """Add columns, in a commit of their own; see Tables."""
        fields = self.schema_of(columns)
        for _ in range(_TRIES):
            found = self._newest(table)
            have = {name.lower() for name in _arrow(found).names}
            missing = [Field.from_arrow(field) for field in fields if field.name.lower() not in have]
            if not missing:
                break
            with _told(), suppress(CommitFailedError):  # another writer was quicker
                found.alter.add_columns(missing)
        return _found(found)

    def relax(self, table: TableName, columns: Sequence[str]) -> Found:
        """Refuse: there is no way to; see Tables."""
        raise SchemaError(
            f"the Delta table {table} has the column {columns[0]!r}, which is NOT NULL, and the stream may have null; "
            "make the table anew, or let the column be null",
            stream=table.name,
            column=columns[0],
        )

    def layout(self, stream: Stream, columns: Sequence[TableColumn]) -> Layout:
        """Parquet files in the table's folder; see Tables."""
        view = self._view(stream.table)
        names = {column.name for column in columns} | set(view.partition_by)
        schema = pa.schema([field for field in view.schema if field.name in names])
        return view.layout_of(schema)

    def schema_of(self, columns: Sequence[TableColumn], key: Sequence[str] = ()) -> pa.Schema:
        """Delta's types; a field says its kind, and its place in the key; see Tables."""
        return marked_schema(columns, key)

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

    def bring(self, entry: Entry, change: Change) -> tuple[Published, Sequence[Part]]:
        """Bring the table to the entry by one commit; see Tables."""

        def look() -> DeltaView:
            if change.replace and self._look(change.name) is None:
                self._make(change.name, self.schema_of(change.columns, change.key), ())
            return self.table(change.name)

        return brought(look, self._root, entry, change)

    def clean(self, journal: Journal, last: Entry | None, takeover: Entry, added: Sequence[str]) -> None:
        """Remove files of the pipeline that no commit can add any more; see Tables."""
        _, staging = self.staging(takeover.pipeline)
        self._root.clear(staging)
        if last is not None and last.final:
            return
        redone = {change.name for change in last.tables if added} if last else set()
        for table in journal.tables():
            folder = self._folder(table)
            for path in [*folder.names()]:
                sequence = sequence_of(path.rpartition("/")[2], takeover.pipeline)
                is_redone = table in redone and last is not None and sequence == last.sequence and path not in added
                if sequence is not None and (sequence >= takeover.sequence or is_redone):
                    folder.remove([path])

    def addresses(self, table: TableName) -> Sequence[str]:
        """As the newest version has them; see Tables."""
        found = self._look(table)
        return sorted(found.file_uris()) if found else []

    def check(self) -> Sequence[str]:
        """Where the tables are; see Tables."""
        self._root.put(f"{FOLDER}/check", b"")
        self._root.remove([f"{FOLDER}/check"])
        return [f"Delta Lake, {self._root.url}: tables may be created and written there."]

    def _folder(self, table: TableName) -> Folder:
        names = [folder_of(name) for name in (table.schema, table.name) if name]
        return self._root.within("/".join(names))

    def _view(self, table: TableName) -> DeltaView:
        """The table in the version that was looked at last."""
        return DeltaView(self._known[table], self._folder(table), self._settings.file_bytes)

    def _look(self, table: TableName) -> DeltaTable | None:
        """The table in its newest version, None if it isn't there."""
        with _told():
            try:
                if table in self._known:
                    self._known[table].update_incremental()
                else:
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
        with _told(), suppress(CommitFailedError):
            self._known[table] = DeltaTable.create(
                self._folder(table).url,
                schema=schema,
                mode="ignore",
                partition_by=[*partition_by] or None,
                storage_options=self._options(),
            )

    def _options(self) -> dict[str, str]:
        return self._settings.delta_options(self._root.url)


@dataclass(frozen=True, slots=True)
class DeltaView:
    """A LakeTable: one version of a Delta table."""

    version: DeltaTable
    folder: Folder
    max_bytes: int

    @property
    def schema(self) -> pa.Schema:
        """Its columns; see LakeTable."""
        return _arrow(self.version)

    @property
    def partition_by(self) -> tuple[str, ...]:
        """Its partition columns."""
        return tuple(self.version.metadata().partition_columns)

    def applied(self, pipeline: str) -> int:
        """By the pipeline's transactions; see LakeTable."""
        return int(self.version.transaction_version(_application(pipeline)) or 0)

    def files(self) -> Sequence[LiveFile]:
        """What the log adds and doesn't remove; see LakeTable."""
        with _told():
            actions = pa.table(self.version.get_add_actions()).to_pylist()
        return [LiveFile(action, int(action["num_records"] or 0), _bounds(action)) for action in actions]

    def read(self, file: LiveFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The file's rows, with its partition's values; see LakeTable."""
        action: Any = file.handle
        schema = self.schema
        wanted = pa.schema([field for field in schema if columns is None or field.name in columns])
        given = action.get("partition") or {}
        with self.folder.open(unquote(action["path"])) as source:
            parquet = pa.parquet.ParquetFile(source)
            names = [name for name in parquet.schema_arrow.names if name in wanted.names]
            for batch in parquet.iter_batches(columns=names):
                values = [
                    batch[field.name].cast(field.type)
                    if field.name in names
                    else pa.array([given.get(field.name)], field.type).take(pa.array([0] * batch.num_rows, pa.int32()))
                    for field in wanted
                ]
                yield pa.record_batch(values, schema=wanted)

    def layout(self) -> Layout:
        """As other Delta writers do it; see LakeTable."""
        return self.layout_of(self.schema)

    def layout_of(self, schema: pa.Schema) -> Layout:
        """How files with these of the columns are written."""
        return Layout(self.folder, "", schema, max_bytes=self.max_bytes, partition_by=self.partition_by)

    def commit(self, entry: Entry, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """One commit, which is refused if there is one of its version; see LakeTable."""
        now_ms = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [_add(part, now_ms) for part in adds]
        actions += [_remove(file.handle, now_ms) for file in removes]
        with _told(), _refused():
            self.version.create_write_transaction(
                actions, "append", self.version.schema(), commit_properties=_properties(entry)
            )

    def overwrite(self, entry: Entry, change: Change, rows: pa.RecordBatchReader) -> Sequence[Part]:
        """One commit by deltalake's own writer, whose files aren't told; see LakeTable."""
        schema = marked_schema(change.columns, change.key)
        partition_by = [name for name in self.partition_by if name in schema.names]
        with _told(), _refused():
            write_deltalake(
                self.version,
                pa.RecordBatchReader.from_batches(
                    schema, (pa.record_batch([*batch.columns], schema=schema) for batch in rows)
                ),
                mode="overwrite",
                schema_mode="overwrite",
                partition_by=partition_by,
                target_file_size=self.max_bytes,
                writer_properties=WriterProperties(compression="ZSTD"),
                commit_properties=_properties(entry),
            )
        return ()


def _add(part: Part, now_ms: int) -> AddAction:
    told = msgspec.json.encode(part.statistics).decode()
    return AddAction(part.path, part.size, part.partition, now_ms, True, told)  # noqa: FBT003 it changes data


def _found(version: DeltaTable) -> Found:
    """The columns of a table; raises DestinationError for one that can't be written."""
    features = {*(version.protocol().reader_features or ())} & _UNWRITABLE
    mapping = version.metadata().configuration.get("delta.columnMapping.mode", "none")
    if features or mapping != "none":
        what = ", ".join(sorted(features)) or f"column mapping by {mapping}"
        raise DestinationError(f"the Delta table {version.table_uri} has {what}, which tailrace doesn't write")
    return found_in(_arrow(version))


def _arrow(version: DeltaTable) -> pa.Schema:
    return pa.schema(version.schema().to_arrow())


def _application(pipeline: str) -> str:
    return f"tailrace:{pipeline}"


def _properties(entry: Entry) -> CommitProperties:
    """What a commit carries; it is tried once, since another's may need another commit of ours."""
    return CommitProperties(
        custom_metadata={"tailrace.pipeline": entry.pipeline, "tailrace.checkpoint": str(entry.number)},
        app_transactions=[Transaction(_application(entry.pipeline), entry.sequence)],
        max_commit_retries=0,
    )


def _remove(action: Any, now_ms: int) -> RemoveAction:
    partition = {name: _text(value) for name, value in (action.get("partition") or {}).items()}
    return RemoveAction(unquote(action["path"]), True, now_ms, action["size_bytes"], partition)  # noqa: FBT003 it changes data


def _text(value: object) -> str | None:
    """A partition's value as the protocol writes it."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix("+00:00")


def _bounds(action: Mapping[str, Any]) -> Mapping[str, tuple[object, object]]:
    least, greatest = action.get("min") or {}, action.get("max") or {}
    both = {name for name in least if least[name] is not None and greatest.get(name) is not None}
    return {name: (least[name], greatest[name]) for name in both}


@contextmanager
def _refused() -> Iterator[None]:
    """Raise a commit that came too late as ConflictError."""
    try:
        yield
    except CommitFailedError as error:
        raise ConflictError(f"Delta Lake: {error}") from error


@contextmanager
def _told() -> Iterator[None]:
    """Raise Delta's errors as ours, but those that say how it stands."""
    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (DeltaError, OSError) as error:
        raise DestinationError(f"Delta Lake: {str(error).partition(chr(10))[0]}") from error


def _may_pass(error: BaseException) -> bool:
    """Whether the store, or the way to it, was to blame."""
    is_stores = isinstance(error, DeltaError | OSError) and any(text in str(error) for text in _PASSING)
    return is_stores or isinstance(error, CommitFailedError) or is_passing(error)
