"""What the kit asks of a lake: its tables, each as it was when it was looked at, and the journal of a pipeline."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, BinaryIO, Protocol

import pyarrow as pa

from tailrace.errors import DestinationError
from tailrace.lake.entries import ESCAPE, Change, Entry, Part
from tailrace.model import Published, Stream, TableName
from tailrace.schema.evolve import TableColumn


class ConflictError(DestinationError):
    """Another writer has changed the table since it was looked at; nothing was done."""


class Store(Protocol):
    """A folder of files. Thread-safe; raises DestinationError."""

    def put_file(self, name: str, file: IO[bytes]) -> None:
        """Upload what an open file has from where it stands, in the place of one of that name; durable on return."""

    def open(self, name: str) -> BinaryIO:
        """The file, to be read and sought in."""

    def names(self, folder: str) -> Iterator[str]:
        """The names, with their folders, of all files in the folder and those within it."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove the files; those that aren't there are no error."""


class Journal(Protocol):
    """The entries of one pipeline, each written once: who writes the next one knows the last. Not thread-safe."""

    def last(self) -> Entry | None:
        """The entry with the highest sequence."""

    def add(self, entry: Entry) -> bool:
        """Write the entry; False, with nothing done, where there is one of its sequence that isn't the same."""

    def finish(self, entry: Entry) -> None:
        """Note that every table was brought to the entry."""

    def is_finished(self, entry: Entry) -> bool:
        """Whether that was noted; if it wasn't, it may be so all the same."""

    def note(self, table: TableName) -> None:
        """Remember that the pipeline loads into that table. Repeatable."""

    def tables(self) -> Sequence[TableName]:
        """The tables that were noted."""

    def forget(self) -> None:
        """Remove everything: no later run has the pipeline's name."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows become files: where, with which columns, how large, and told apart by which.

    `schema` has the columns in the order and types of the file, with the field metadata that it is to carry.
    `partition_by` are columns whose values the rows of a file share, in folders `column=value`; `drops_partitions`
    leaves these columns out of the files. `format` is parquet, csv or jsonl; `header` (original, lower or upper) is how
    CSV writes names. `escape` stands before the codes of characters in the folders' names.
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


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file of rows that a table has; `handle` is the lake's own name for it, `size` its bytes.

    `bounds` maps some columns to the least and greatest of their values in it. Files of one `partition` share it.
    """

    handle: object
    rows: int
    bounds: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    size: int = 0
    partition: Hashable = None


@dataclass(frozen=True, slots=True)
class ExistingTable:
    """A table that exists: its columns, and its key, None where that isn't known."""

    columns: tuple[TableColumn, ...]
    key: tuple[str, ...] | None
    schema: pa.Schema


class LakeTable(Protocol):
    """A table as it was at one moment. What it commits is refused if the table has changed since."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns by Arrow's types, as read() gives them."""

    def applied(self, pipeline: str) -> int:
        """The sequence of the last entry of the pipeline's journal that the table was brought to; 0 for none."""

    def files(self) -> Sequence[LiveFile]:
        """Its files."""

    def read(self, file: LiveFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a file by the table's present columns, or some of them; rows deleted otherwise are left out."""

    def layout(self) -> Layout:
        """How new files of the table are to be written."""

    def left(self, pipeline: str, sequence: int, written: Collection[str]) -> Sequence[str]:
        """Those of the files written for an entry of the pipeline's that the table's commit of it didn't add.

        Nothing where that commit can't be found any more.
        """

    def commit(self, entry: Entry, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """Add and remove files, and note that the table was brought to that entry, in one commit.

        Raises ConflictError, with nothing done, when the table isn't the one that was looked at.
        """

    def rearrange(self, adds: Sequence[Part], removes: Sequence[LiveFile]) -> None:
        """Have the same rows in other files, in one commit that says so; raises ConflictError as commit() does."""

    def overwrite(self, entry: Entry, change: Change, rows: pa.RecordBatchReader) -> None:
        """Leave nothing but these rows, under the change's columns and key, in one commit that notes the entry too.

        Raises ConflictError as commit() does.
        """


class Tables(Protocol):
    """The tables of one lake. Picklable before use, thread-safe; raises DestinationError."""

    @property
    def rewrites(self) -> bool:
        """Whether tables are brought to entries by commits of their own; otherwise the journal says what they have."""

    def journal(self, pipeline: str) -> Journal:
        """The pipeline's journal, which may have no entry yet."""

    def named(self, table: TableName) -> TableName:
        """The table in the schema that it stands in."""

    def existing(self, table: TableName) -> ExistingTable | None:
        """What is there under that name, None if nothing."""

    def accepting(self, stream: Stream) -> ExistingTable | None:
        """The stream's table as it is now, None if it isn't there.

        Raises SchemaError where it can't take what checkpoints of the stream do to it. It is asked when a stream
        begins, and again before a checkpoint of it is decided, after which there is no way back.
        """

    def create(self, stream: Stream, columns: Sequence[TableColumn], key: Sequence[str]) -> ExistingTable:
        """Make the stream's table with that key, be it empty, unless it was made already; what is there then."""

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> ExistingTable:
        """Add columns that take null, and to those that are there the fields that their structs lack.

        What the table is then; of a column that is there all else is as it was.
        """

    def relax(self, table: TableName, columns: Sequence[str]) -> ExistingTable:
        """Let columns take null that don't; raises SchemaError where that can't be had."""

    def layout(self, stream: Stream, columns: Sequence[TableColumn]) -> Layout:
        """How files with these columns of the stream's table are to be written that are to be added as they are."""

    def schema_of(self, columns: Sequence[TableColumn]) -> pa.Schema:
        """Columns as files of a new table have them."""

    def lost_texts(self, stream: Stream, columns: Sequence[TableColumn]) -> Mapping[str, str]:
        """By partition column, the text that would come back from it as null."""

    def staging(self, pipeline: str) -> tuple[Store, str]:
        """The folder in which files of the pipeline wait to be merged, and the store that it is in."""

    def table(self, table: TableName) -> LakeTable:
        """The table as it is now; raises DestinationError when it isn't there."""

    def decided(self, change: Change) -> Change:
        """The change as an entry is to have it, with what is to go."""

    def apply(self, entry: Entry, change: Change) -> Published:
        """Bring the change's table to the entry, unless it is there; what that did."""

    def clean(self, journal: Journal, takeover: Entry, *, is_settled: bool) -> None:
        """Remove what runs before this one have left: files that no entry, and no table, will ever refer to.

        Every table has been brought to the last decided entry. Where that `is_settled`, the run before ended well, and
        has left no files of tables. A run that comes after this one may be at work already: its files have higher
        sequences.
        """

    def maintain(self, tables: Collection[TableName], keep: timedelta) -> Iterator[str]:
        """Put small files together, remove what was replaced longer ago than `keep`, and shorten journals.

        That is for those of the tables that pipelines load into, or all of them where none are named. It goes on beside
        loads, which it never holds up or ends. One sentence for each thing done.
        """

    def addresses(self, table: TableName) -> Sequence[str]:
        """The addresses of the files that have the table's rows now; none where it isn't there."""

    def check(self) -> Sequence[str]:
        """A sentence for each thing found when connecting."""
