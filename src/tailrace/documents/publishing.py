"""What a checkpoint does to collections: rows become documents in the order of lines, with activations in between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc
from tailrace.documents.database import Action, DocumentDatabase, Fields, Stored, Write
from tailrace.documents.mappings import DocumentMapping
from tailrace.documents.winners import GONE, Lines, Winners, first_winners, last_winners
from tailrace.documents.writing import Attempt, Place, Writer
from tailrace.model import LINE, Activation, Fill, Kind, Method, Published, Stream
from tailrace.schema.cast import cast_rows
from tailrace.schema.steps import Segment, TableSteps

_BYTES_AT_ONCE = 8 << 20
"""Of rows that are written with one call, about."""


class Waiting(Struct, frozen=True):
    """The rows of one revision of a stream that wait, and where they go. `read` gives them a batch at a time."""

    stream: Stream
    mapping: DocumentMapping
    read: Callable[[], Iterator[pa.Table]]


class Publisher:
    """Takes the steps of a checkpoint's tables. `origin` is what new ids are made from."""

    def __init__(self, database: DocumentDatabase, writer: Writer, attempt: Attempt, origin: str) -> None:
        self._database = database
        self._writer = writer
        self._attempt = attempt
        self._origin = origin
        self._filled = set[str]()

    def publish(
        self, steps: TableSteps[Waiting], at: datetime, mapping_of: Callable[[Stream], DocumentMapping]
    ) -> Published:
        """Take all steps of a table."""
        done = Published()
        for step in steps:
            if isinstance(step, Segment):
                done += self._merged(step.staged, step.first, step.end)
            else:
                done += self._activated(step, mapping_of(step.stream), at)
        return done

    def _merged(self, waiting: Waiting, first: int, end: int) -> Published:
        """Write the rows from line `first` to before line `end`."""
        stream, mapping = waiting.stream, waiting.mapping
        if not stream.is_merged:
            place = Place(mapping.collection, reads=False, is_undone=not mapping.is_beside)
            return self._writer.write(self._attempt, place, self._appended(waiting, first, end))
        select = first_winners if stream.method is Method.INSERT_IGNORE else last_winners
        winners = select(self._keyed(waiting, first, end))
        done = self._won(waiting, winners, first, end)
        superseded, removals = winners.superseded, winners.removals
        while lost := winners.among(self._attempt.refused):
            removals -= sum(line in winners.removes for line in lost)
            winners = select(self._left(waiting, lost, first, end))
            done += self._won(waiting, winners, first, end)
            superseded -= len(winners.writes)
            if select is last_winners:  # the others count each row that asks for deletion
                superseded -= winners.removals
                removals += winners.removals
        if select is first_winners:
            return done + Published(ignored=superseded, removals=removals)
        return done + Published(deduplicated=superseded, removals=removals)

    def _won(self, waiting: Waiting, winners: Winners, first: int, end: int) -> Published:
        """Write the winners."""
        if not winners.rows:
            return Published()
        mapping = waiting.mapping
        place = Place(mapping.collection, reads=self._may_have(mapping.collection), is_undone=not mapping.is_beside)
        self._filled.add(mapping.collection)
        return self._writer.write(self._attempt, place, self._merging(waiting, winners, first, end))

    def _left(self, waiting: Waiting, lost: Collection[int], first: int, end: int) -> Iterator[pa.Table]:
        """The rows whose keys those of refused lines have, and that aren't refused."""
        keys = {key for table in self._keyed(waiting, first, end) for key, line in _pairs(table) if line in lost}
        for table in self._keyed(waiting, first, end):
            mask = [key in keys and line not in self._attempt.refused for key, line in _pairs(table)]
            yield table.filter(pa.array(mask, pa.bool_()))

    def _may_have(self, collection: str) -> bool:
        """Whether documents of the ids that are written may be there."""
        return collection in self._filled or not self._database.is_empty(collection)

    def _appended(self, waiting: Waiting, first: int, end: int) -> Iterator[list[Write]]:
        """A document for each row, with an id of its own."""
        for rows in self._rows(waiting, first, end):
            for part, documents in self._documents(rows, waiting.mapping):
                yield [
                    Write(Action.ADD, self._database.new_id(self._origin, line), line, fields)
                    for line, fields in self._fit(part, documents)
                ]

    def _merging(self, waiting: Waiting, winners: Winners, first: int, end: int) -> Iterator[list[Write]]:
        """A write for each key."""
        stream, mapping = waiting.stream, waiting.mapping
        keep = [name for name in (mapping.name(c) for c in stream.columns if c.keep) if name]
        firsts = Lines(winners.firsts.take(pc.sort_indices(winners.firsts))) if keep else None
        action = Action.CREATE if stream.method is Method.INSERT_IGNORE else Action.SET
        cleared = dict.fromkeys(mapping.cleared)
        kept: dict[int, Fields] = {}
        for rows in self._rows(waiting, first, end):
            if firsts is not None:
                kept |= dict(self._fit_rows(_only(rows, firsts).select([*keep, LINE]), mapping))
            some = winners.within(*_ends(rows))
            for part, documents in self._documents(_those(rows, some.writes.keys() | some.removes), mapping):
                writes = []
                for line, fields in self._fit(part, documents):
                    key = self._database.id_of(fields, mapping.key)
                    if line in some.removes:
                        writes.append(Write(Action.DELETE, key, line))
                        continue
                    mine = kept.pop(some.writes[line], {})
                    if line in some.fresh:
                        writes.append(Write(Action.PUT, key, line, fields | mine))
                    elif action is Action.CREATE:
                        writes.append(Write(action, key, line, fields))
                    else:
                        given = {name: value for name, value in fields.items() if name not in mine}
                        writes.append(Write(action, key, line, given | cleared, mine))
                yield writes

    def _activated(self, activation: Activation, mapping: DocumentMapping, at: datetime) -> Published:
        """Delete the documents of older versions, or mark them as deleted."""
        stream = activation.stream
        version, deletion = mapping.name(stream.filled_with(Fill.TABLE_VERSION)), mapping.name(stream.deletion)
        if version is None or (deletion is None and not stream.hard_delete):
            return Published()
        unmarked = None if stream.hard_delete else deletion
        place = Place(mapping.collection, reads=False, is_undone=not mapping.is_beside)
        marked = {} if unmarked is None else self._moment(mapping, unmarked, at)
        action = Action.DELETE if stream.hard_delete else Action.SET
        found = self._database.older(mapping.collection, version, activation.version, unmarked)
        done = self._writer.write(self._attempt, place, (_each(action, several, marked) for several in found))
        return Published(deleted=done.deleted + done.updated)

    def _moment(self, mapping: DocumentMapping, name: str, at: datetime) -> Fields:
        """The field that marks a document as deleted, with the time."""
        column = mapping.of_fields()[name]
        moment = at.astimezone(UTC)
        value: object = moment if column.kind is Kind.TIMESTAMPTZ else moment.isoformat()
        value = moment.replace(tzinfo=None) if column.kind is Kind.TIMESTAMP else value
        fields = self._database.documents(pa.table({name: pa.array([value])}), {name: column})[0]
        return {} if isinstance(fields, str) else fields

    def _rows(self, waiting: Waiting, first: int, end: int) -> Iterator[pa.Table]:
        """The rows as the collection takes them; those that it doesn't take any more are refused."""
        for rows in waiting.read():
            lines = rows[LINE]
            within = pc.and_(pc.greater_equal(lines, first), pc.less(lines, end))
            cast, refused = cast_rows(rows.filter(within), waiting.stream, waiting.mapping.targets)
            self._attempt.refused |= refused
            yield cast

    def _keyed(self, waiting: Waiting, first: int, end: int) -> Iterator[pa.Table]:
        """The rows' keys and lines, and whether they ask for their deletion."""
        stream, mapping = waiting.stream, waiting.mapping
        asking = stream.deletions if stream.hard_delete else ()
        marks = [name for name in map(mapping.name, asking) if name]
        for rows in self._rows(waiting, first, end):
            keys = {f"key{at}": _comparable(rows[name]) for at, name in enumerate(mapping.key)}
            yield pa.table({**keys, LINE: rows[LINE], GONE: pa.array(_marked(rows, marks), pa.bool_())})

    def _documents(self, rows: pa.Table, mapping: DocumentMapping) -> Iterator[tuple[list[int], list[Fields | str]]]:
        """The rows' lines and documents, as many at once as are written with one call."""
        a_row = max(1, rows.nbytes // max(1, rows.num_rows))
        size = max(1, min(self._database.rows_at_once, _BYTES_AT_ONCE // a_row))
        columns = mapping.of_fields()
        for start in range(0, rows.num_rows, size):
            part = rows.slice(start, size)
            yield part[LINE].to_pylist(), self._database.documents(part.drop_columns([LINE]), columns, mapping.key)

    def _fit(self, lines: Sequence[int], documents: Sequence[Fields | str]) -> Iterator[tuple[int, Fields]]:
        """The documents that the database can have; the others are refused."""
        for line, fields in zip(lines, documents, strict=True):
            if isinstance(fields, str):
                self._attempt.refused[line] = fields
            else:
                yield line, fields

    def _fit_rows(self, rows: pa.Table, mapping: DocumentMapping) -> Iterator[tuple[int, Fields]]:
        for lines, documents in self._documents(rows, mapping):
            yield from self._fit(lines, documents)


def _marked(rows: pa.Table, marks: Sequence[str]) -> Sequence[bool]:
    """Whether each row has something in one of these columns."""
    found = [False] * rows.num_rows
    for name in marks:
        if rows[name].null_count < rows.num_rows:
            values = rows[name].to_pylist()
            found = [is_found or value not in (None, "") for is_found, value in zip(found, values, strict=True)]
    return found


def _comparable(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of which those that are equal are the same."""
    return pc.add(values, 0.0) if pa.types.is_floating(values.type) else values  # there is a zero below zero


def _pairs(table: pa.Table) -> Iterator[tuple[Hashable, int]]:
    """The key and the line of each row."""
    keys = [table[name].to_pylist() for name in table.column_names if name not in (LINE, GONE)]
    return zip(zip(*keys, strict=True), table[LINE].to_pylist(), strict=True)


def _ends(rows: pa.Table) -> tuple[int, int]:
    """The first and the last line; nothing is between those of no rows."""
    found = pc.min_max(rows[LINE])
    return (found["min"].as_py(), found["max"].as_py()) if rows.num_rows else (0, -1)


def _only(rows: pa.Table, lines: Lines) -> pa.Table:
    """The rows of these lines."""
    return rows.filter(pc.is_in(rows[LINE], value_set=lines.array[lines.within(*_ends(rows))]))


def _those(rows: pa.Table, lines: Collection[int]) -> pa.Table:
    """The rows of these lines, which are few at once."""
    return rows.filter(pc.is_in(rows[LINE], value_set=pa.array(lines, pa.int64())))


def _each(action: Action, several: Sequence[Stored], fields: Fields) -> list[Write]:
    return [Write(action, stored.id, 0, fields, before=stored) for stored in several]
