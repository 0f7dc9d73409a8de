"""One version of a Delta table: its contents, how its files are read, and the commit that changes it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from msgspec import Struct

from tailrace import compute as pc
from tailrace.destinations.delta.bounds import bounds
from tailrace.destinations.delta.errors import RefusedError, is_stores, translated_errors
from tailrace.errors import DestinationError
from tailrace.lake.entries import Change, Entry, Part, part_name
from tailrace.lake.marks import found_in, marked_schema
from tailrace.lake.partitions import NULL_FOLDER
from tailrace.lake.parts import Parts
from tailrace.lake.reading import batches_of
from tailrace.lake.tables import ConflictError, ExistingTable, Layout, LiveFile
from tailrace.objects import Folder
from tailrace.objects.answers import explained

_HANDLE = frozenset({"path", "size_bytes", "num_records", "partition"})
"""What is kept of the log's add action of a file, to read and to remove it."""

_ESCAPE = "$"
"""In paths of files: deltalake's Z-ORDER doesn't find those that have a tilde."""


class DeltaView(Struct, frozen=True):
    """A LakeTable: one version of a Delta table. `wanted` are the partition columns that overwrite() gives it."""

    version: DeltaTable
    folder: Folder
    max_bytes: int
    wanted: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Its columns, all nullable in files, as Delta's writers have them; see LakeTable."""
        return nullable(arrow_of(self.version))

    @property
    def partition_by(self) -> tuple[str, ...]:
        """Its partition columns."""
        return tuple(self.version.metadata().partition_columns)

    def applied(self, pipeline: str) -> int:
        """By the pipeline's transactions; see LakeTable."""
        return int(self.version.transaction_version(_application(pipeline)) or 0)

    def files(self) -> Sequence[LiveFile]:
        """What the log adds and doesn't remove; see LakeTable."""
        with translated_errors():
            actions = pa.table(self.version.get_add_actions())
        handles = actions.select([name for name in actions.column_names if name in _HANDLE]).to_pylist()
        limits = bounds(actions, self.schema)
        return [
            LiveFile(handle, int(handle["num_records"] or 0), limit, handle["size_bytes"], str(handle.get("partition")))
            for handle, limit in zip(handles, limits, strict=True)
        ]

    def paths(self) -> set[str]:
        """The paths of its files in the table's folder."""
        with translated_errors():
            return {unquote(path) for path in pa.table(self.version.get_add_actions())["path"].to_pylist()}

    def left(self, pipeline: str, sequence: int, written: Collection[str]) -> Sequence[str]:
        """By the log's commit that carries the entry's transaction; see LakeTable."""
        if not written:
            return []
        carried = (_application(pipeline), sequence)
        commits = [name for name in self.folder.names("_delta_log") if name.endswith(".json")]
        for name in sorted(commits, reverse=True):
            actions = [msgspec.json.decode(line) for line in self.folder.get(name).splitlines()]
            if carried in [(a["txn"]["appId"], a["txn"]["version"]) for a in actions if "txn" in a]:
                added = {unquote(action["add"]["path"]) for action in actions if "add" in action}
                return [path for path in written if path not in added]
        return []

    def read(self, file: LiveFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The file's rows, with its partition's values; see LakeTable."""
        action: Any = file.handle
        schema = self.schema
        wanted = pa.schema([field for field in schema if columns is None or field.name in columns])
        given = action.get("partition") or {}
        with self.folder.open(unquote(action["path"])) as source:
            parquet = pa.parquet.ParquetFile(source)
            names = [name for name in parquet.schema_arrow.names if name in wanted.names]
            for batch in batches_of(parquet, names):
                values = [
                    batch[field.name].cast(field.type)
                    if field.name in names
                    else pa.array([given.get(field.name)], field.type).take(pa.array([0] * batch.num_rows, pa.int32()))
                    for field in wanted
                ]
                yield pa.record_batch(values, schema=wanted)

    def layout(self) -> Layout:
        """As other Delta writers lay files out; see LakeTable."""
        return self.layout_of(self.schema)

    def layout_of(self, schema: pa.Schema) -> Layout:
        """How files with these columns are written."""
        return Layout(self.folder, "", schema, max_bytes=self.max_bytes, partition_by=self.partition_by, escape=_ESCAPE)

    def commit(self, entry: Entry, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """One commit, which is refused if there is one of its version; see LakeTable."""
        now_ms = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [_add(part, now_ms) for part in adds]
        actions += [_remove(file.handle, now_ms) for file in removes]
        self._write(entry, actions, "append", self.version.schema())

    def rearrange(self, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """One commit whose actions say that no data changes, so that change streams skip it; see LakeTable."""
        now_ms = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [_add(part, now_ms, changes_data=False) for part in adds]
        actions += [_remove(file.handle, now_ms, changes_data=False) for file in removes]
        with translated_errors(), self._refused():
            self.version.create_write_transaction(
                actions, "append", self.version.schema(), commit_properties=CommitProperties(max_commit_retries=0)
            )
        self._sync()

    def overwrite(self, entry: Entry, change: Change, rows: pa.RecordBatchReader) -> None:
        """One commit of new files, or of deltalake's own writer where partitions or features change; see LakeTable."""
        schema = marked_schema(change.columns, change.key)
        partition_by = tuple(name for name in self.wanted or self.partition_by if name in schema.names)
        batches = (pa.record_batch([*batch.columns], schema=schema) for batch in rows)
        if partition_by != self.partition_by or (_has_local_times(schema) and not self._takes_local_times()):
            kept = _kept(batches, partition_by)
            self._overwrite_by_deltalake(entry, pa.RecordBatchReader.from_batches(schema, kept), partition_by)
            return
        name = f"{secrets.token_hex(4)}-"
        parts = Parts(
            self.layout_of(schema), lambda number: part_name(entry.pipeline, entry.sequence, f"{name}{number}")
        )
        try:
            for batch in batches:
                parts.add(pa.table(batch))
            written = parts.seal()
        except BaseException:
            parts.discard()
            raise
        try:
            now_ms = int(time.time() * 1000)
            self._write(entry, [_add(part, now_ms) for part in written], "overwrite", Schema.from_arrow(schema))
        except ConflictError:
            parts.discard()
            raise
        finally:
            parts.close()

    def _write(self, entry: Entry, actions: Sequence[AddAction | RemoveAction], mode: Any, schema: Schema) -> None:
        with translated_errors(), self._refused():
            self.version.create_write_transaction([*actions], mode, schema, commit_properties=_properties(entry))
        self._sync()

    def _overwrite_by_deltalake(self, entry: Entry, rows: pa.RecordBatchReader, partition_by: tuple[str, ...]) -> None:
        with translated_errors(), self._refused():
            write_deltalake(
                self.version,
                rows,
                mode="overwrite",
                schema_mode="overwrite",
                partition_by=[*partition_by],
                target_file_size=self.max_bytes,
                writer_properties=WriterProperties(compression="ZSTD"),
                commit_properties=_properties(entry),
            )
        self.folder.sync(*self.paths())
        self._sync()

    def _takes_local_times(self) -> bool:
        """Whether the table has the feature that times without offset need."""
        return "timestampNtz" in (self.version.protocol().writer_features or ())

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Raise a commit that came too late as ConflictError, and one refused for good as DestinationError."""
        before = self.version.version()
        try:
            yield
        except CommitFailedError as error:
            self.version.update_incremental()
            if self.version.version() != before:
                raise ConflictError(f"Delta Lake: {explained(error)}") from error
            if is_stores(error):
                raise DestinationError(f"Delta Lake: {explained(error)}") from error
            refused = RefusedError(explained(error))
            refused.__cause__ = error
            raise DestinationError(f"Delta Lake refuses the commit: {explained(error)}") from refused

    def _sync(self) -> None:
        """Sync the commit to the disk; see Folder."""
        self.folder.sync(f"_delta_log/{self.version.version():020}.json")


def _add(part: Part, now_ms: int, *, changes_data: bool = True) -> AddAction:
    told = msgspec.json.encode(part.statistics).decode()
    return AddAction(part.path, part.size, part.partition, now_ms, changes_data, told)


def existing_table(version: DeltaTable) -> ExistingTable:
    """The columns of a table."""
    return found_in(arrow_of(version))


def arrow_of(version: DeltaTable) -> pa.Schema:
    """The columns of a table in Arrow's types, with their marks."""
    return pa.schema(version.schema().to_arrow())


def _kept(batches: Iterable[pa.RecordBatch], partition_by: Collection[str]) -> Iterator[pa.RecordBatch]:
    """The rows; raises DestinationError for the text that deltalake's writer would turn into null."""
    for batch in batches:
        for name in partition_by:
            if pa.types.is_string(batch[name].type) and pc.any(pc.equal(batch[name], NULL_FOLDER)).as_py():
                raise DestinationError(
                    f"the column {name!r} has the text {NULL_FOLDER!r}, which stands for null in partitions: leave "
                    "such rows out, or remove the table, so that it is made with its partitions"
                )
        yield batch


def _has_local_times(schema: pa.Schema) -> bool:
    """Whether there are times without offset, or structs and lists, which may have some."""
    return any(pa.types.is_nested(one.type) or (pa.types.is_timestamp(one.type) and not one.type.tz) for one in schema)


def nullable(schema: pa.Schema) -> pa.Schema:
    """The columns without NOT NULL, nor any within structs, lists and maps."""
    return pa.schema([_nullable(field) for field in schema])


def _nullable(field: pa.Field) -> pa.Field:
    arrow = field.type
    if pa.types.is_struct(arrow):
        arrow = pa.struct([_nullable(inner) for inner in arrow])
    elif pa.types.is_large_list(arrow):
        arrow = pa.large_list(_nullable(arrow.value_field))
    elif pa.types.is_list(arrow):
        arrow = pa.list_(_nullable(arrow.value_field))
    elif pa.types.is_map(arrow):
        keys = _nullable(arrow.key_field).with_nullable(nullable=False)
        arrow = pa.map_(keys, _nullable(arrow.item_field))
    return field.with_type(arrow).with_nullable(nullable=True)


def _application(pipeline: str) -> str:
    return f"tailrace:{pipeline}"


def _properties(entry: Entry) -> CommitProperties:
    """What a commit carries. deltalake tries it once, since after another writer's commit ours may have to differ."""
    return CommitProperties(
        custom_metadata={"tailrace.pipeline": entry.pipeline, "tailrace.checkpoint": str(entry.number)},
        app_transactions=[Transaction(_application(entry.pipeline), entry.sequence)],
        max_commit_retries=0,
    )


def _remove(action: Any, now_ms: int, *, changes_data: bool = True) -> RemoveAction:
    partition = {name: _text(value) for name, value in (action.get("partition") or {}).items()}
    return RemoveAction(unquote(action["path"]), changes_data, now_ms, action["size_bytes"], partition)


def _text(value: object) -> str | None:
    """A partition's value as the protocol writes it."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix("+00:00")
