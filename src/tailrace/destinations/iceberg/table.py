"""One state of an Iceberg table: reads its files, and commits to it unless the table has changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from msgspec import Struct
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    match_metrics_mode,
    parquet_path_to_id_mapping,
    pyarrow_to_schema,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Operation, Snapshot
from pyiceberg.table.update import AssertRefSnapshotId, AssertTableUUID, SetPropertiesUpdate
from pyiceberg.table.update.snapshot import _OverwriteFiles
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import DateType, IntegerType, LongType

from tailrace.destinations.iceberg.catalog import TableChange, location_of, refused, translated_errors
from tailrace.destinations.iceberg.reading import read_rows
from tailrace.destinations.iceberg.structure import partition_columns, repartition, restructure
from tailrace.destinations.iceberg.types import (
    arrow_of,
    partition_value,
)
from tailrace.lake.entries import Change, Entry, Part, part_name
from tailrace.lake.filesystem import ArrowStore, Location
from tailrace.lake.parts import Parts
from tailrace.lake.tables import ConflictError, Layout, LiveFile
from tailrace.pipelines import is_unnamed
from tailrace.schema.keys import written_key
from tailrace.schema.names import digest

KEY = "tailrace.key"
"""The table property that holds the key's columns, as JSON."""

_MAINTAINED = "tailrace.maintenance"
_PIPELINE, _SEQUENCE = "tailrace.pipeline", "tailrace.sequence"
_READ_AT_ONCE = 16
_NO_METRICS = match_metrics_mode("none")
_EPOCH = date(1970, 1, 1)


class IcebergView(Struct, frozen=True):
    """A LakeTable: one state of an Iceberg table; `look` gives the present one.

    `partition_by` are the columns that overwrite() partitions the table by, if it has some of them.
    """

    table: Table
    look: Callable[[], Table]
    max_bytes: int
    partition_by: Sequence[str] = ()

    @property
    def schema(self) -> pa.Schema:
        """Its columns; see LakeTable."""
        return arrow_of(self.table.schema())

    def applied(self, pipeline: str) -> int:
        """By a property of the table, and by what snapshots carry; see LakeTable."""
        marks = [_sequence_of(snapshot) for snapshot in self.table.snapshots() if _is_of(snapshot, pipeline)]
        return max([int(self.table.properties.get(_mark(pipeline), 0)), *marks])

    def files(self) -> Sequence[LiveFile]:
        """The files of the table's snapshot; see LakeTable."""
        with translated_errors():
            tasks = [*self.table.scan().plan_files()]
        schema = self.table.schema()
        return [_live_file(task, schema) for task in tasks]

    def read(self, file: LiveFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The file's rows, some at a time; see LakeTable."""
        task: Any = file.handle
        schema = self.table.schema() if columns is None else self.table.schema().select(*columns)
        rows = 0
        with translated_errors():
            for batch in read_rows(self.table, task, schema):
                rows += batch.num_rows
                yield batch
        if not rows:
            wanted = arrow_of(schema)
            yield pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in wanted], schema=wanted)

    def layout(self) -> Layout:
        """Parquet files with the table's field ids, in its data folder; see LakeTable."""
        return self.layout_of(self.schema)

    def layout_of(self, schema: pa.Schema) -> Layout:
        """How files with these columns are written."""
        return self._layout_of(schema, partition_columns(self.table, self.table.metadata))

    def _layout_of(self, schema: pa.Schema, names: tuple[str, ...]) -> Layout:
        return Layout(self.store, "", schema, max_bytes=self.max_bytes, partition_by=names, drops_partitions=False)

    @property
    def store(self) -> ArrowStore:
        """Its data folder."""

        def location() -> Location:
            return location_of(self.look(), self._folder)

        return ArrowStore(location, location_of(self.table, self._folder))

    def left(self, pipeline: str, sequence: int, written: Collection[str]) -> Sequence[str]:
        """By the snapshot that carries the entry; see LakeTable."""
        if not written:
            return []
        added: set[str] = set()
        with translated_errors():
            for snapshot in self.table.snapshots():
                if _is_of(snapshot, pipeline) and _sequence_of(snapshot) == sequence:
                    manifests = snapshot.manifests(self.table.io)
                    own = [m for m in manifests if m.added_snapshot_id == snapshot.snapshot_id]
                    added |= {each.data_file.file_path for m in own for each in m.fetch_manifest_entry(self.table.io)}
        return [name for name in written if f"{self._folder}/{name}" not in added] if added else []

    def commit(self, entry: Entry, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """One snapshot, or only a property if no file changes; see LakeTable."""
        with translated_errors(), refused():
            files = self._data_files(adds, self.table.metadata)
            if not files and not removes and not is_unnamed(entry.pipeline):
                self._commit_mark(entry)
                return
            transaction = TableChange(self.table)
            _note(transaction, entry)
            self._change(transaction, carried(entry), files, removes)
            transaction.commit_transaction()

    def rearrange(self, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """One snapshot, which says that it changes no rows; see LakeTable."""
        with translated_errors(), refused():
            files = self._data_files(adds, self.table.metadata)
            transaction = TableChange(self.table)
            self._change(transaction, {_MAINTAINED: "true"}, files, removes)
            transaction.commit_transaction()

    def overwrite(self, entry: Entry, change: Change, rows: pa.RecordBatchReader) -> None:
        """One commit of new columns and one snapshot; see LakeTable."""
        with translated_errors():
            transaction = TableChange(self.table)
            restructure(transaction, change)
            repartition(transaction, self.partition_by)
            _note(transaction, entry, {} if change.key is None else {KEY: written_key(change.key)})
            metadata = transaction.table_metadata
        schema, token = arrow_of(metadata.schema()), secrets.token_hex(4)
        layout = self._layout_of(schema, partition_columns(self.table, metadata))
        parts = Parts(layout, lambda number: part_name(entry.pipeline, entry.sequence, f"{token}-{number}"))
        try:
            for batch in rows:
                parts.add(_with(batch, schema))
            adds = parts.seal()
        except BaseException:
            parts.discard()
            raise
        try:
            with translated_errors(), refused():
                self._change(transaction, carried(entry), self._data_files(adds, metadata), self.files())
                transaction.commit_transaction()
        except ConflictError:
            parts.discard()
            raise
        finally:
            parts.close()

    @property
    def _folder(self) -> str:
        return self.table.location_provider().data_path

    def _change(
        self,
        transaction: Transaction,
        properties: dict[str, str],
        adds: Sequence[DataFile],
        removes: Sequence[LiveFile],
    ) -> None:
        """Add a snapshot to the transaction, which is refused if the table has a newer one by then."""
        if adds and not removes:
            appending = transaction.update_snapshot(snapshot_properties=properties).merge_append()
            for file in adds:
                appending.append_data_file(file)
            appending.commit()
            return
        producer = overwriting(transaction, properties)
        for file in adds:
            producer.append_data_file(file)
        for live in removes:
            task: Any = live.handle
            producer.delete_data_file(task.file)
        producer.commit()

    def _commit_mark(self, entry: Entry) -> None:
        """Set the property, if the table still has the same snapshot."""
        current = self.table.metadata.current_snapshot_id
        self.table.catalog.commit_table(
            self.table,
            (
                AssertTableUUID(uuid=self.table.metadata.table_uuid),
                AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=current),
            ),
            (SetPropertiesUpdate(updates={_mark(entry.pipeline): str(entry.sequence)}),),
        )

    def _data_files(self, parts: Sequence[Part], metadata: TableMetadata) -> Sequence[DataFile]:
        with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
            return [*threads.map(partial(self._data_file, metadata), parts)]

    def _data_file(self, metadata: TableMetadata, part: Part) -> DataFile:
        """A part as a manifest lists it, in the table's columns and partitions after the commit."""
        location = f"{self._folder}/{part.path}"
        with self.table.io.new_input(location).open() as file:
            footer = pa.parquet.read_metadata(file)
        schema, values = metadata.schema(), []
        for field in metadata.spec().fields:
            name = schema.find_column_name(field.source_id) or ""
            is_null = not isinstance(field.transform, IdentityTransform)
            values.append(
                None if is_null else partition_value(part.partition.get(name), schema.find_type(field.source_id))
            )
        made = data_file(self.table, location, part.size, footer, Record(*values))
        made.spec_id = metadata.default_spec_id
        return made


def data_file(
    table: Table, location: str, size: int, footer: pyarrow.parquet.FileMetaData, partition: Record
) -> DataFile:
    """A Parquet file with field ids as a manifest lists it."""
    schema = pyarrow_to_schema(footer.schema.to_arrow_schema())
    paths = parquet_path_to_id_mapping(schema)
    plan = compute_statistics_plan(schema, table.properties)
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if not _has_bounds(column):
                plan[paths[column.path_in_schema]] = replace(plan[paths[column.path_in_schema]], mode=_NO_METRICS)
    statistics = data_file_statistics_from_parquet_metadata(footer, plan, paths)
    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=size,
        sort_order_id=None,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
    file.spec_id = table.metadata.default_spec_id
    return file


def _has_bounds(column: pyarrow.parquet.ColumnChunkMetaData) -> bool:
    """Whether pyiceberg can read a column's bounds; it would warn of missing ones, as of long texts."""
    try:
        return bool(column.is_stats_set) and (not column.statistics.has_min_max or column.statistics.max is not None)
    except OverflowError:  # dates and times of other writers that Python has not
        return False


def overwriting(transaction: Transaction, properties: Mapping[str, str]) -> _OverwriteFiles:
    """A snapshot that replaces files by others."""
    is_first = transaction.table_metadata.current_snapshot_id is None
    return _Overwriting(
        operation=Operation.APPEND if is_first else Operation.OVERWRITE,
        transaction=transaction,
        io=transaction._table.io,  # noqa: SLF001 as pyiceberg's own maker of snapshots
        snapshot_properties=dict(properties),
    )


class _Overwriting(_OverwriteFiles):
    """pyiceberg's own, without manifests that list only earlier removals, which it would keep for ever."""

    def _existing_manifests(self) -> list[ManifestFile]:
        return [m for m in super()._existing_manifests() if m.has_added_files() or m.has_existing_files()]


def carried(entry: Entry) -> dict[str, str]:
    """The properties by which a snapshot names its checkpoint."""
    return {
        _PIPELINE: entry.pipeline,
        "tailrace.checkpoint": str(entry.number),
        _SEQUENCE: str(entry.sequence),
    }


def _is_of(snapshot: Snapshot, pipeline: str) -> bool:
    return snapshot.summary is not None and snapshot.summary[_PIPELINE] == pipeline


def _sequence_of(snapshot: Snapshot) -> int:
    return int((snapshot.summary and snapshot.summary[_SEQUENCE]) or 0)


def _mark(pipeline: str) -> str:
    return f"tailrace.applied.{digest(pipeline)}"


def _note(transaction: Transaction, entry: Entry, properties: Mapping[str, str] | None = None) -> None:
    """Record the entry in the table's properties; that of a run without a pipeline only stands in its snapshot."""
    noted = dict(properties or {})
    if not is_unnamed(entry.pipeline):
        noted[_mark(entry.pipeline)] = str(entry.sequence)
    if noted:
        transaction.set_properties(noted)


def _with(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """The rows with all columns of the table."""
    columns = [
        batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _live_file(task: FileScanTask, schema: Schema) -> LiveFile:
    file = task.file
    partition = (file.spec_id, str(file.partition))
    return LiveFile(task, file.record_count, _bounds(file, schema), file.file_size_in_bytes, partition)


def _bounds(file: DataFile, schema: Schema) -> Mapping[str, tuple[object, object]]:
    """The bounds of integer and date columns, the only ones that are exact whoever wrote them."""
    found: dict[str, tuple[object, object]] = {}
    for field in schema.fields:
        low, high = ((bounds or {}).get(field.field_id) for bounds in (file.lower_bounds, file.upper_bounds))
        if isinstance(field.field_type, LongType | IntegerType | DateType) and low and high:
            ends = [int.from_bytes(end, "little", signed=True) for end in (low, high)]
            is_date = isinstance(field.field_type, DateType)
            with suppress(OverflowError):  # other writers have dates that Python has not
                found[field.name] = (_date(ends[0]), _date(ends[1])) if is_date else (ends[0], ends[1])
    return found


def _date(days: int) -> date:
    return _EPOCH + timedelta(days)
