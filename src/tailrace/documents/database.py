"""What the kit asks of a document database: collections, documents by their ids, and tailrace's own records there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol

import msgspec
import pyarrow as pa
from msgspec import Struct, field

from tailrace.model import Stream, TableName
from tailrace.schema.evolve import TableColumn

Id = Any
"""What names a document within its collection, in the database's own form."""

Fields = dict[str, Any]
"""A document's fields by name, in the database's own form."""

VERSIONS = 2**20
"""How many versions a commit has for itself: each of its steps, and each document that it undoes, takes a next one."""


class Description(Struct, frozen=True):
    """A collection: its columns, and its key, None where nobody has said what that is."""

    columns: tuple[TableColumn, ...]
    key: tuple[str, ...] | None


class Stored(Struct, frozen=True):
    """A document as its collection has it. `version` is the one that it was written with, 0 for others' documents."""

    id: Id
    version: int
    fields: Fields


class Action(Enum):
    """What is done with the document of an id."""

    SET = auto()
    """Its fields get new values, and it keeps those that aren't named; it is made where there is none."""
    PUT = auto()
    """It has these fields and no others."""
    CREATE = auto()
    """It is made, unless there is one."""
    ADD = auto()
    """It is made, under an id that no other document has."""
    DELETE = auto()


class Write(Struct, frozen=True):
    """One document to write, for the row in that input line.

    `kept` are fields that SET gives a new document alone. `before` is the document as it was read before, if it was.
    """

    action: Action
    id: Id
    line: int
    fields: Fields = field(default_factory=dict)
    kept: Fields = field(default_factory=dict)
    before: Stored | None = None


class Outcome(Enum):
    """What became of a write that the database didn't refuse."""

    DONE = auto()
    EXISTS = auto()
    """CREATE has met a document."""
    NEWER = auto()
    """The document has a later version than this write: that of another run, which is to stay."""


class Mark(Struct, frozen=True):
    """What documents say of where they come from: pipeline, checkpoint, and the version of what is written."""

    pipeline: str
    checkpoint: int
    version: int


class Swap(msgspec.Struct, frozen=True):
    """A collection that was built beside another one, whose place it is to take."""

    beside: str
    name: str


class Pipeline(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a database remembers of a pipeline.

    `fence` is the random text of the run that owns it, `owner` of the run that committed checkpoint `number`, at `at`.
    `beside` are collections that runs have built, and `swaps` those of them that are still to take others' places.
    """

    name: str
    fence: str
    number: int = 0
    owner: str = ""
    state: str | None = None
    at: datetime | None = None
    beside: tuple[str, ...] = ()
    swaps: tuple[Swap, ...] = ()


class Undo(Struct, frozen=True):
    """Documents as they were before a run wrote them for a checkpoint that isn't committed.

    `order` counts a run's records; `version` is the first of the commit's VERSIONS. `content` is `packed` documents.
    `deletes` says that the run deletes them.
    """

    pipeline: str
    fence: str
    number: int
    order: int
    collection: str
    version: int
    content: bytes
    deletes: bool


Before = tuple[Id, Stored | None]
"""An id, and the document that it had, if it had one."""


class DocumentDatabase(Protocol):
    """A document database. Picklable before use; it connects when it is first asked for something. Thread-safe.

    Methods raise DestinationError for what fails; `is_transient` says whether that may pass. A call that is repeated
    since its answer was lost does no harm.
    """

    @property
    def rows_at_once(self) -> int:
        """How many documents are written with one call."""

    @property
    def connections(self) -> int:
        """How many calls are made at once."""

    def open(self) -> None:
        """Make what tailrace keeps its own records in."""

    def pipeline(self, name: str) -> tuple[Pipeline, Any] | None:
        """What is remembered of a pipeline, and what names that very record."""

    def put_pipeline(self, pipeline: Pipeline, replaced: Any | None) -> bool:
        """Remember the pipeline durably, in place of that very record or, for None, if there is none; or False."""

    def drop_pipeline(self, name: str) -> None:
        """Forget the pipeline."""

    def add_undo(self, undo: Undo) -> None:
        """Keep a record durably."""

    def undos(self, pipeline: str) -> Iterator[Undo]:
        """The pipeline's records, those of one run with the last one first."""

    def drop_undos(self, pipeline: str, fence: str) -> None:
        """Forget the records of that run of the pipeline."""

    def packed(self, documents: Sequence[Before]) -> bytes:
        """Documents as bytes."""

    def unpacked(self, content: bytes) -> list[Before]:
        """The documents of `packed`."""

    def named(self, table: TableName) -> str:
        """The collection of a table."""

    def beside(self, collection: str, fence: str) -> str:
        """The name of a collection that a run builds to take another one's place."""

    def accept(self, stream: Stream, collection: str) -> None:
        """Raise SchemaError where the collection can't have what the stream asks for; called before anything else."""

    def describe(self, collection: str) -> Description | None:
        """The collection; None where there is none."""

    def create(self, collection: str, stream: Stream, description: Description, like: str | None = None) -> None:
        """Make the collection for the stream; `like` is one whose settings it gets, if that is there."""

    def alter(self, collection: str, description: Description) -> None:
        """Let the collection have the columns, which are at least those that it has."""

    def drop(self, collection: str) -> None:
        """Drop the collection, if there is one."""

    def swap(self, swap: Swap) -> None:
        """Let the collection beside take the other one's place; nothing where it has done so already."""

    def is_empty(self, collection: str) -> bool:
        """Whether there are no documents."""

    def count(self, collection: str) -> int:
        """The number of documents."""

    def claim(self, collection: str) -> int:
        """The first of VERSIONS that are a commit's alone, above all that were claimed for the collection before."""

    def documents(
        self, rows: pa.Table, columns: Mapping[str, TableColumn], key: Sequence[str] = ()
    ) -> list[Fields | str]:
        """A document for each row, by the names of `rows`; or why the database can't have one, of that key."""

    def id_of(self, fields: Fields, key: Sequence[str]) -> Id:
        """The id of a document that is told apart by these fields, each for itself."""

    def new_id(self, origin: str, line: int) -> Id:
        """The id of a document without a key: another one for each line of each origin, and the same each time."""

    def read(self, collection: str, ids: Sequence[Id]) -> list[Stored | None]:
        """The documents of these ids, in their order, as they are now."""

    def older(self, collection: str, field: str, version: int, unmarked: str | None) -> Iterator[list[Stored]]:
        """Documents whose field is below the version and, if one is named, whose other field is null or missing."""

    def write(self, collection: str, writes: Sequence[Write], mark: Mark) -> list[Outcome | str]:
        """Write documents of different ids, in any order; what became of each, or why it is refused.

        A document of a later version than the mark's stays as it is.
        """

    def restore(self, collection: str, documents: Sequence[Before], version: int, *, deletes: bool) -> None:
        """Give back what these were before, as far as they are of the VERSIONS that begin with that one.

        One that is gone is given back where the run `deletes`; otherwise somebody else has deleted it.
        """

    def refresh(self, collections: Sequence[str]) -> None:
        """Let readers see what was written."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether the driver's error may pass."""

    def check(self) -> Sequence[str]:
        """One sentence for each thing found when connecting."""

    def close(self) -> None:
        """Close the connections; repeatable."""
