"""A pipeline's journal in a catalog of Iceberg tables: a table of one row, which each entry replaces."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet
from msgspec import Struct
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile, ManifestEntry, ManifestFile
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import Table, TableProperties
from pyiceberg.table.snapshots import Operation, Snapshot
from pyiceberg.table.update.snapshot import ExpireSnapshots, _OverwriteFiles
from pyiceberg.typedef import Record

from tailrace.destinations.iceberg.catalog import (
    Identifier,
    OpenCatalog,
    TableChange,
    location_of,
    translated_errors,
    tried_once,
)
from tailrace.destinations.iceberg.table import carried, data_file
from tailrace.destinations.iceberg.types import arrow_of, iceberg_fields
from tailrace.errors import DestinationError
from tailrace.lake.entries import Entry, decoded, encoded, part_name, sequence_of
from tailrace.lake.filesystem import ArrowStore, Location
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import digest

JOURNAL = "_tailrace_journal_"
"""What the names of journals begin with."""

_COLUMNS = (
    TableColumn("entry", Kind.TEXT),
    TableColumn("sequence", Kind.INT),
    TableColumn("pipeline", Kind.TEXT),
)
_PROPERTIES = {
    TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED: "true",
    TableProperties.METADATA_PREVIOUS_VERSIONS_MAX: "3",
    TableProperties.COMMIT_NUM_RETRIES: "0",
    TableProperties.FORMAT_VERSION: "2",
    TableProperties.DEFAULT_WRITE_METRICS_MODE: "none",
}
_NOTED = "tailrace.table."
_FINISHED = "tailrace.finished"
_DATA = "data/"
_TRIES = 20


class _Seen(Struct, frozen=True):
    """A snapshot of the journal: its table, the last entry, and the file of that entry."""

    table: Table | None = None
    entry: Entry | None = None
    file: DataFile | None = None

    @property
    def sequence(self) -> int:
        """The last entry's sequence, 0 before the first."""
        return self.entry.sequence if self.entry else 0


class IcebergJournal:
    """A Journal in the table `_tailrace_journal_...`: its one row is the last entry, put by one commit."""

    def __init__(self, catalog: OpenCatalog, namespace: Sequence[str], pipeline: str, location: str | None) -> None:
        self.pipeline = pipeline
        self.identifier: Identifier = (*namespace, journal_name(pipeline))
        self._catalog = catalog
        self._location = location
        self._seen: _Seen | None = None

    def last(self) -> Entry | None:
        """The entry with the highest sequence; see Journal."""
        self._seen = self._looked()
        return self._seen.entry

    def add(self, entry: Entry) -> bool:
        """Replace the entry before it, if that is the last one; see Journal."""
        for _ in range(_TRIES):
            seen = self._now()
            if seen.sequence + 1 != entry.sequence:
                return seen.entry is not None and encoded(seen.entry) == encoded(entry)
            self._seen = None
            self._seen = self._put(entry, seen)
            if self._seen:
                return True
        raise DestinationError(f"the journal of the pipeline {self.pipeline!r} is written by too many runs at once")

    def finish(self, entry: Entry) -> None:
        """Record it in a property of the journal's table; see Journal."""
        self._set(_FINISHED, str(entry.sequence))

    def is_finished(self, entry: Entry) -> bool:
        """Whether that property holds the entry's sequence; see Journal."""
        return self.table().properties.get(_FINISHED) == str(entry.sequence)

    def note(self, table: TableName) -> None:
        """Record a table in a property of the journal's table; see Journal."""
        self._set(f"{_NOTED}{digest(str(table))}", msgspec.json.encode(table).decode())

    def tables(self) -> Sequence[TableName]:
        """The recorded tables; see Journal."""
        return noted_tables(self.table())

    def forget(self) -> None:
        """Drop the table, and remove its files; see Journal."""
        found, self._seen = self._catalog.look(self.identifier), None
        if found:
            location = location_of(found, found.location())
            self._catalog.drop(self.identifier)
            ArrowStore(lambda: location).clear()

    def table(self) -> Table:
        """The journal's table, which exists once the journal has an entry."""
        return self._now().table or self._found()

    def location(self) -> Location:
        """The folder of the journal's table, with the catalog's current keys. Thread-safe."""
        found = self._found()
        return location_of(found, found.location())

    def sweep(self, store: ArrowStore) -> None:
        """Remove files of entries that weren't put and whose sequence is taken."""
        last = self._now().sequence
        store.remove([n for n in store.names(_DATA) if (sequence_of(n, self.pipeline) or 0) < last - 1])

    def _set(self, name: str, value: str) -> None:
        """Set a property of the table, again if another commit was quicker."""
        for _ in range(_TRIES):
            found = self.table()
            if found.properties.get(name) == value:
                return
            self._seen = None
            with translated_errors(), suppress(CommitFailedException):
                TableChange(found).set_properties({name: value}).commit_transaction()

    def _found(self) -> Table:
        found = self._catalog.look(self.identifier)
        if found is None:
            raise DestinationError(f"the journal of the pipeline {self.pipeline!r} doesn't exist; was it removed?")
        return found

    def _now(self) -> _Seen:
        """The journal as it was read last."""
        if self._seen is None:
            self._seen = self._looked()
        return self._seen

    def _looked(self) -> _Seen:
        """Read the journal, again if its file is removed meanwhile, as happens two entries later."""
        for tries in range(_TRIES):
            found = self._catalog.look(self.identifier)
            if found is None or found.current_snapshot() is None:
                return _Seen(found)
            with translated_errors():
                try:
                    return self._read(found)
                except FileNotFoundError:
                    if tries == _TRIES - 1:
                        raise
        raise AssertionError("unreachable")

    def _read(self, found: Table) -> _Seen:
        files = [task.file for task in found.scan().plan_files()]
        if len(files) != 1:
            raise DestinationError(f"the journal {'.'.join(self.identifier)} has {len(files)} files, and not one")
        with found.io.new_input(files[0].file_path).open() as source:
            row: dict[str, Any] = pa.parquet.ParquetFile(source).read().to_pylist()[0]
        entry = decoded(row["entry"].encode())
        if entry.pipeline != self.pipeline:
            raise DestinationError(
                f"the journal {'.'.join(self.identifier)} is that of the pipeline {entry.pipeline!r}; "
                f"give {self.pipeline!r} another name"
            )
        return _Seen(found, entry, files[0])

    def _put(self, entry: Entry, seen: _Seen) -> _Seen | None:
        """Commit the entry after the one that was read; None, with nothing done, if that one isn't the last."""
        table = seen.table or self._made()
        if seen.table is None and table.current_snapshot():  # another run created it first
            return None
        with translated_errors():
            file = self._written(entry, table)
            try:
                left = self._committed(entry, table, seen, file)
            except (CommitFailedException, FileNotFoundError):  # what was read is outdated, and its files may be gone
                with suppress(OSError):
                    table.io.delete(file.file_path)
                return None
            for path in left:
                with suppress(OSError):
                    table.io.delete(path)
        return _Seen(table, entry, file)

    def _committed(self, entry: Entry, table: Table, seen: _Seen, file: DataFile) -> Sequence[str]:
        """Commit the entry; the files that nothing needs after that."""
        before = table.current_snapshot()
        expired = [snapshot for snapshot in table.snapshots() if snapshot != before]
        left = [*_files_of(table, expired)]
        transaction = TableChange(tried_once(table))
        producer = _Only(
            operation=Operation.OVERWRITE if before else Operation.APPEND,
            transaction=transaction,
            io=table.io,
            snapshot_properties=carried(entry),
        )
        if seen.file:
            producer.delete_data_file(seen.file)
        producer.append_data_file(file).commit()
        ExpireSnapshots(transaction).by_ids([snapshot.snapshot_id for snapshot in expired]).commit()
        transaction.commit_transaction()
        return left

    def _written(self, entry: Entry, table: Table) -> DataFile:
        schema = arrow_of(table.schema())
        row = {"entry": encoded(entry).decode(), "sequence": entry.sequence, "pipeline": entry.pipeline}
        content = io.BytesIO()
        pa.parquet.write_table(
            pa.Table.from_pylist([row], schema=schema),
            content,
            compression="zstd",
            store_schema=False,
        )
        name = part_name(self.pipeline, entry.sequence, secrets.token_hex(4))
        location = f"{table.location()}/{_DATA}{name}.parquet"
        with table.io.new_output(location).create() as target:
            target.write(content.getvalue())
        return data_file(table, location, content.tell(), pa.parquet.read_metadata(content), Record())

    def _made(self) -> Table:
        schema = Schema(*iceberg_fields(_COLUMNS))
        spec = UNPARTITIONED_PARTITION_SPEC
        made = self._catalog.create(self.identifier, schema, spec, _PROPERTIES, self._location)
        if made is None:
            raise DestinationError(f"the journal {'.'.join(self.identifier)} was created, and can't be found")
        return made


class _Only(_OverwriteFiles):
    """A snapshot with the added files and none of the snapshot before."""

    def _existing_manifests(self) -> list[ManifestFile]:
        return []

    def _deleted_entries(self) -> list[ManifestEntry]:
        return []


def journal_name(pipeline: str) -> str:
    """The name of a pipeline's journal among the tables of its namespace."""
    return f"{JOURNAL}{digest(pipeline)}"


def noted_tables(journal: Table) -> list[TableName]:
    """The tables that the pipeline of a journal loads into."""
    noted = journal.properties.items()
    return [msgspec.json.decode(text, type=TableName) for name, text in noted if name.startswith(_NOTED)]


def _files_of(table: Table, snapshots: Sequence[Snapshot]) -> Iterator[str]:
    """The existing files of snapshots other than the present one."""
    present = table.current_snapshot()
    kept = {manifest.manifest_path for manifest in present.manifests(table.io)} if present else set()
    for snapshot in snapshots:
        yield snapshot.manifest_list
        with suppress(FileNotFoundError):
            for manifest in snapshot.manifests(table.io):
                if manifest.manifest_path not in kept:
                    for entry in manifest.fetch_manifest_entry(table.io):
                        yield entry.data_file.file_path
                    yield manifest.manifest_path
