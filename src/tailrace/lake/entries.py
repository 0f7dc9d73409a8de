"""What a checkpoint does to the tables of a lake, as one document: what a commit decides, and what is done anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from tailrace.errors import DestinationError
from tailrace.model import Checkpoint, Stream, TableName
from tailrace.pipelines import is_unnamed, unnamed
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import digest

MAINTENANCE = unnamed("maintenance")
"""The pipeline whose files and entries are those of maintenance; no run has that name."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of rows: its path in the table's (or the lake's) folder, its rows and bytes, and its partition.

    `partition` maps partition columns to their values as text; null is None. `statistics` is what Delta's log says of
    a file of Parquet: rows, nulls, and the least and greatest values of columns. `sources` are the paths of the files
    that its rows were in before they were put together.
    """

    path: str
    rows: int
    size: int
    partition: dict[str, str | None] = {}
    statistics: dict[str, Any] = {}
    sources: tuple[str, ...] = ()


class Staged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Files of one revision of a stream, with the line of each row, which the commit merges into the table.

    `targets` says which of the table's columns takes each of the stream's; `cleared` have no value in rows that get
    new ones.
    """

    stream: Stream
    targets: dict[str, TableColumn]
    files: tuple[Part, ...] = ()
    cleared: tuple[str, ...] = ()


class Activate(msgspec.Struct, frozen=True):
    """A version that is activated once the records before `line` are in."""

    stream: Stream
    version: int
    line: int


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of one table, and the stream that is loaded into it.

    `files` are rows to add as they are; `staged` and `activate` are to be merged. `replace`: nothing else is left in
    the table, whose columns are then `columns`. `key` is the table's, None where it isn't known. `voids` are the paths
    of files that are no longer the table's. `at` is when it was decided, where its entry stands for several.
    """

    stream: str
    table: str
    schema: str | None = None
    columns: tuple[TableColumn, ...] = ()
    key: tuple[str, ...] | None = None
    files: tuple[Part, ...] = ()
    staged: tuple[Staged, ...] = ()
    activate: tuple[Activate, ...] = ()
    replace: bool = False
    voids: tuple[str, ...] = ()
    at: datetime | None = None

    @property
    def name(self) -> TableName:
        """The table."""
        return TableName(self.table, self.schema)

    @property
    def parts(self) -> list[Part]:
        """All its files, those that are to be merged too."""
        return [*self.files, *(part for staged in self.staged for part in staged.files)]

    @property
    def rows(self) -> int:
        """The rows of all its files."""
        return sum(part.rows for part in self.parts)


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a pipeline's journal: a checkpoint that is decided, or a run that takes the pipeline over.

    `sequence` counts the entries from 1. `run` is the sequence at which the run that wrote it took over; `fence` is
    that run's own text. `number`, `state` and `at` are of the last checkpoint, `at` is None before the first. `since`,
    which a takeover has, is the sequence of the first of those that stand one behind the other at the journal's end.
    """

    pipeline: str
    sequence: int
    run: int
    fence: str
    number: int = 0
    state: str | None = None
    at: datetime | None = None
    final: bool = False
    tables: tuple[Change, ...] = ()
    since: int = 0

    @property
    def is_takeover(self) -> bool:
        """Whether a run takes the pipeline over by it."""
        return self.run == self.sequence

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody recovers it: a run without a pipeline has ended well with it."""
        return self.final and is_unnamed(self.pipeline)

    def after(self, checkpoint: Checkpoint, tables: tuple[Change, ...]) -> Entry:
        """The entry behind this one, of the same run, that decides the checkpoint."""
        state = None if checkpoint.state is None else checkpoint.state.decode()
        return Entry(
            self.pipeline,
            self.sequence + 1,
            self.run,
            self.fence,
            checkpoint.number,
            state,
            checkpoint.at,
            checkpoint.final,
            tables,
        )

    def decides(self, checkpoint: Checkpoint) -> bool:
        """Whether it is the entry of that checkpoint."""
        return self.number == checkpoint.number and self.at == checkpoint.at

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, as a run that recovers it is told."""
        if self.at is None or self.is_forgotten:
            return None
        state = None if self.state is None else self.state.encode()
        return Checkpoint(self.pipeline, self.number, state, self.at)


def encoded(entry: Entry) -> bytes:
    """The entry as JSON."""
    return msgspec.json.encode(entry)


def decoded(content: bytes) -> Entry:
    """The entry that is written there; raises DestinationError where none is."""
    try:
        return msgspec.json.decode(content, type=Entry)
    except msgspec.MsgspecError as error:
        raise DestinationError(f"an entry of the journal can't be read: {error}") from error


def plan(stream: Stream) -> Stream:
    """The stream as entries keep it: what merging its rows needs."""
    return replace(stream, json_schema=b"{}")


def part_name(pipeline: str, sequence: int, number: int | str) -> str:
    """The name, without its ending, of a file that is written for that entry of the pipeline's journal."""
    return f"{digest(pipeline)}-{sequence:010}-{number:05}"


def sequence_of(path: str, pipeline: str) -> int | None:
    """The entry that the file at a path was written for; None where it isn't the pipeline's."""
    name = path.rpartition("/")[2]
    start = f"{digest(pipeline)}-"
    digits = name.removeprefix(start)[:10] if name.startswith(start) else ""
    return int(digits) if digits.isdecimal() and digits.isascii() else None


def folder_of(name: str) -> str:
    """A name as a folder of any object store: what may mean something there is written as `~` and its code."""
    text = "".join(
        c if c.isalnum() or c in "_-=," or (c == "." and at) else f"{ESCAPE}{ord(c):x}" for at, c in enumerate(name)
    )
    return text if len(text.encode()) <= MAX_NAME_LENGTH else f"{text[:_MAX_CUT]}{ESCAPE}{digest(name)}"


ESCAPE = "~"

MAX_NAME_LENGTH = 200
"""Bytes of a folder's name; file systems have 255, and some of them add to it while they write."""

_MAX_CUT = 60
