"""A journal's entries: what a checkpoint does to the tables of a lake, as one document."""

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

    `partition` maps partition columns to their values as text; null is None. `statistics` of a Parquet file are in the
    form of Delta's log: rows, nulls, and the least and greatest values of columns. `sources` are the paths of the files
    that were put together into this one.
    """

    path: str
    rows: int
    size: int
    partition: dict[str, str | None] = {}
    statistics: dict[str, Any] = {}
    sources: tuple[str, ...] = ()


class Staged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Files of one revision of a stream, with each row's line, that are merged into the table.

    `targets` gives the column of the table that takes each column of the stream. `cleared` are columns that an update
    sets to null.
    """

    stream: Stream
    targets: dict[str, TableColumn]
    files: tuple[Part, ...] = ()
    cleared: tuple[str, ...] = ()


class Activate(msgspec.Struct, frozen=True):
    """A version that is activated after the records before `line`."""

    stream: Stream
    version: int
    line: int


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a checkpoint does to one table, and the stream that is loaded into it.

    `files` are added as they are; `staged` and `activate` are merged. With `replace`, the table has nothing else
    afterwards, and its columns are `columns`. `key` is the table's, None if unknown. `voids` are the paths of files
    that no longer belong to the table. `at` is when a change in a base was decided.
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
        """All its files, staged ones included."""
        return [*self.files, *(part for staged in self.staged for part in staged.files)]

    @property
    def rows(self) -> int:
        """The rows of all its files."""
        return sum(part.rows for part in self.parts)


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a pipeline's journal: a checkpoint that is decided, or a run that takes the pipeline over.

    `sequence` counts the entries from 1. `run` is the sequence of the entry by which the run that wrote it took over;
    `fence` is that run's own random text. `number`, `state` and `at` are those of the last checkpoint; `at` is None
    before the first. `since` of a takeover is the sequence of the first takeover in the unbroken row that ends with it.
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
        """Whether a run took the pipeline over by it."""
        return self.run == self.sequence

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody recovers it: a run without a pipeline has ended well with it."""
        return self.final and is_unnamed(self.pipeline)

    def after(self, checkpoint: Checkpoint, tables: tuple[Change, ...]) -> Entry:
        """The next entry of the same run, which decides the checkpoint."""
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
        """Whether it decides that checkpoint."""
        return self.number == checkpoint.number and self.at == checkpoint.at

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, for a run that recovers the pipeline."""
        if self.at is None or self.is_forgotten:
            return None
        state = None if self.state is None else self.state.encode()
        return Checkpoint(self.pipeline, self.number, state, self.at)


def encoded(entry: Entry) -> bytes:
    """The entry as JSON."""
    return msgspec.json.encode(entry)


def decoded(content: bytes) -> Entry:
    """The entry of that JSON; raises DestinationError if it isn't one."""
    try:
        return msgspec.json.decode(content, type=Entry)
    except msgspec.MsgspecError as error:
        raise DestinationError(f"an entry of the journal can't be read: {error}") from error


def plan(stream: Stream) -> Stream:
    """The stream as entries keep it, with only what a merge needs."""
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
    """A name as a folder of any object store: special characters are written as `~` and their code."""
    text = "".join(
        c if c.isalnum() or c in "_-=," or (c == "." and at) else f"{ESCAPE}{ord(c):x}" for at, c in enumerate(name)
    )
    return text if len(text.encode()) <= MAX_NAME_LENGTH else f"{text[:_MAX_CUT]}{ESCAPE}{digest(name)}"


ESCAPE = "~"

MAX_NAME_LENGTH = 200
"""Bytes of a folder's name; file systems have 255, and some of them add to it while they write."""

_MAX_CUT = 60
