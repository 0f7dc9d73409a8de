"""What the kit asks of a lake: snapshots of its tables, and the journals of pipelines."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import IO, BinaryIO, Protocol

import pyarrow as pa
from msgspec import Struct, field

from tailrace.errors import DestinationError
from tailrace.lake.entries import ESCAPE, Change, Entry, Part
from tailrace.model import Published, Stream, TableName
from tailrace.schema.evolve import TableColumn


class ConflictError(DestinationError):
    """Another writer has changed the table since the snapshot; nothing was done."""


class Store(Protocol):
    """A folder of files. Thread-safe; raises DestinationError."""

    def put_file(self, name: str, file: IO[bytes]) -> None:
        """Upload an open file from its position on, replacing a file of that name; durable on return."""

    def open(self, name: str) -> BinaryIO:
        """The file, open for reading and seeking."""

    def names(self, folder: str) -> Iterator[str]:
        """The paths of all files below the folder."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove the files; missing ones are no error."""


class Journal(Protocol):
    """The entries of one pipeline. Each is written once, by a run that has read the one before it. Not thread-safe."""

    def last(self) -> Entry | None:
        """The entry with the highest sequence."""

    def add(self, entry: Entry) -> bool:
        """Write the entry; False, with nothing done, if a different entry of its sequence exists."""

    def finish(self, entry: Entry) -> None:
        """Record that the entry is applied to every table."""

    def is_finished(self, entry: Entry) -> bool:
        """Whether that is recorded. If it isn't, the entry may still be applied."""

    def note(self, table: TableName) -> None:
        """Record that the pipeline loads into that table. Repeatable."""

    def tables(self) -> Sequence[TableName]:
        """The tables that are recorded."""

    def forget(self) -> None:
        """Remove everything, as no later run will have the pipeline's name."""


class Layout(Struct, frozen=True):
    """How to write rows into files: where, with which columns and partitions, and how large.

    `schema` has the columns in the file's order and types, with the fields' metadata. `partition_by` are columns whose
    values the rows of a file share, in folders `column=value`; `drops_partitions` leaves these columns out of files.
    `format` is parquet, csv or jsonl; `header` (original, lower or upper) is the spelling of names in CSV. `escape`
    stands before the codes of characters in the folders' names.
    """

    store: Store
    folder: str
    schema: pa.Schema
    format: str = "parquet"
    compression: str = "zstd"
    header: str = "original"
    max_bytes: int = 128 * 2**20
    partition_by: tuple[str, ...] = ()
    drops_partitions: bool = True
    escape: str = ESCAPE


class LiveFile(Struct, frozen=True):
    """A file of a table's rows; `handle` identifies it for the lake, `size` is its bytes.

    `bounds` maps some columns to their least and greatest values. Files of one partition have the same `partition`.
    """

    handle: object
    rows: int
    bounds: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    size: int = 0
    partition: Hashable = None


class ExistingTable(Struct, frozen=True):
    """A table that exists: its columns, and its key, None if unknown."""

    columns: tuple[TableColumn, ...]
    key: tuple[str, ...] | None
    schema: pa.Schema


class LakeTable(Protocol):
    """A snapshot of a table. A commit on it is refused if the table has changed since."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns by Arrow's types, as read() gives them."""

    def applied(self, pipeline: str) -> int:
        """The sequence of the pipeline's last entry that the table has applied; 0 for none."""

    def files(self) -> Sequence[LiveFile]:
        """Its files."""

    def read(self, file: LiveFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a file in the table's present columns, or some of them, without deleted rows."""

    def layout(self) -> Layout:
        """How to write new files of the table."""

    def left(self, pipeline: str, sequence: int, written: Collection[str]) -> Sequence[str]:
        """Which of the files written for an entry of the pipeline the table's commit of that entry didn't add.

        Empty if that commit can't be found any more.
        """

    def commit(self, entry: Entry, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """Add and remove files, and record that the entry is applied, in one commit.

        Raises ConflictError, with nothing done, if the table has changed since the snapshot.
        """

    def rearrange(self, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """Replace files by others with the same rows, in one commit; raises ConflictError as commit() does."""

    def overwrite(self, entry: Entry, change: Change, rows: pa.RecordBatchReader) -> None:
        """Replace the table's rows, columns and key, in one commit that also records the entry as applied.

        Raises ConflictError as commit() does.
        """


class Tables(Protocol):
    """The tables of one lake. Picklable before use, thread-safe; raises DestinationError."""

    @property
    def rewrites(self) -> bool:
        """Whether tables apply entries by commits of their own. Otherwise readers go by the journal alone."""

    def journal(self, pipeline: str) -> Journal:
        """The pipeline's journal, which may be empty."""

    def named(self, table: TableName) -> TableName:
        """The table's name with its schema."""

    def existing(self, table: TableName) -> ExistingTable | None:
        """The table of that name, None if there is none."""

    def accepting(self, stream: Stream) -> ExistingTable | None:
        """The stream's table as it is now, None if there is none.

        Raises SchemaError if checkpoints of the stream can't be applied to it. Called when a stream begins, and again
        before each of its checkpoints is decided, since a decided checkpoint can't be undone.
        """

    def create(self, stream: Stream, columns: Sequence[TableColumn], key: Sequence[str]) -> ExistingTable:
        """Create the stream's table with that key, which may be empty, if there is none; the table after that."""

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> ExistingTable:
        """Add nullable columns, and to the structs of existing columns the fields that they lack; the table after that.

        Nothing else of an existing column changes.
        """

    def relax(self, table: TableName, columns: Sequence[str]) -> ExistingTable:
        """Make columns nullable; raises SchemaError if that isn't possible."""

    def layout(self, stream: Stream, columns: Sequence[TableColumn]) -> Layout:
        """How to write files with these columns that are added to the stream's table as they are."""

    def schema_of(self, columns: Sequence[TableColumn]) -> pa.Schema:
        """The schema of files of a new table with these columns."""

    def lost_texts(self, stream: Stream, columns: Sequence[TableColumn]) -> Mapping[str, str]:
        """By partition column, the text that readers would take for null."""

    def staging(self, pipeline: str) -> tuple[Store, str]:
        """The store and the folder in which files of the pipeline wait to be merged."""

    def table(self, table: TableName) -> LakeTable:
        """A snapshot of the table; raises DestinationError if it doesn't exist."""

    def decided(self, change: Change) -> Change:
        """The change as an entry lists it, with the files that it removes."""

    def apply(self, entry: Entry, change: Change) -> Published:
        """Apply the entry to the change's table, unless it is applied already; what that did."""

    def clean(self, journal: Journal, takeover: Entry, *, is_settled: bool) -> None:
        """Remove files that earlier runs have left and that no entry and no table will ever refer to.

        The last decided entry is applied to every table. `is_settled` says that the run before ended well, and left no
        files in the tables' folders. A later run may be at work already: its files have higher sequences.
        """

    def maintain(self, tables: Collection[TableName], keep: timedelta) -> Iterator[str]:
        """Put small files together, remove what was replaced longer ago than `keep`, and shorten journals.

        Only tables that pipelines load into are maintained: the named ones, or all if none is named. Loads go on
        meanwhile, and are neither held up nor ended. One sentence for each thing done.
        """

    def addresses(self, table: TableName) -> Sequence[str]:
        """The addresses of the files that hold the table's rows now; none if there is no such table."""

    def check(self) -> Sequence[str]:
        """A sentence for each thing found when connecting."""
