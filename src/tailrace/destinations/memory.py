"""Memory: tables as lists of rows in this process; the model that the other destinations are compared to.

*Durable when* never: everything is gone with the process.
*Visible when* commit() returns.
*Load verb* a list's extend.
*Source* this file.

`memory://name` is one place for the whole process: another destination of that name finds its tables and checkpoints.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from tailrace.destination import Destination
from tailrace.errors import DestinationError, FencedError, RowsRefusedError
from tailrace.model import (
    LINE,
    Activation,
    Batch,
    Checkpoint,
    Column,
    Fill,
    Kind,
    Method,
    Published,
    Receipt,
    Stream,
    Traits,
)
from tailrace.schema.cast import CASTS, cast_rows, converted
from tailrace.schema.evolve import WIDENINGS, TableColumn, Widening, changes

Row = dict[str, Any]
Key = tuple[object, ...]

TRAITS = Traits(name="memory", guarantee="exactly once, for as long as the process lives", case_sensitive=True)

_ALTERABLE = frozenset((have, want) for have, wants in WIDENINGS.items() for want in wants if (have, want) in CASTS)


class Settings(BaseModel):
    """The settings of the memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", description="Which of the process's places: equal names are one place.")


SETTINGS = Settings


def from_url(url: str) -> dict[str, object]:
    """The name in `memory://name`."""
    return {"name": urlsplit(url).netloc}


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return MemoryDestination(settings.name)


class TransientError(DestinationError):
    """A failure that may pass."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure on request: the error, and whether it comes after the call has taken effect."""

    error: Exception
    after: bool = False


@dataclass(slots=True)
class _Table:
    columns: list[TableColumn]
    key: tuple[str, ...] | None
    rows: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class _Place:
    """What all destinations of one name share.

    A table's name is preceded by the pipeline that builds it to replace another; that is empty for visible ones.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    tables: dict[tuple[str, str], _Table] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    fences: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one revision of a stream, by the table's column names and with LINE."""

    stream: Stream
    targets: Mapping[str, TableColumn]
    rows: list[Row]


_PLACES: dict[str, _Place] = {}


class MemoryDestination:
    """A Destination whose tables are lists of rows.

    `fail_at` asks for failures: ("commit", 2) is the second call of commit(). `refuses` gives the reason why a row, by
    the table's column names, is refused, or None.
    """

    traits = TRAITS

    def __init__(
        self,
        name: str = "",
        fail_at: Mapping[tuple[str, int], Fault] | None = None,
        refuses: Callable[[Row], str | None] | None = None,
    ) -> None:
        self._made_from = (name, fail_at, refuses)
        self._place = _PLACES.setdefault(name, _Place())
        self._fail_at = fail_at or {}
        self._refuses = refuses or (lambda _: None)
        self._calls: dict[str, int] = {}
        self._pipeline = ""
        self._fence = ""
        self._staged: dict[str, Batch] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return MemoryDestination, self._made_from

    def tables(self) -> dict[str, list[Row]]:
        """The committed rows of every table, by its name."""
        with self._place.lock:
            visible = {name: table.rows for (owner, name), table in self._place.tables.items() if not owner}
            return {name: [dict(row) for row in rows] for name, rows in visible.items()}

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Destination."""
        with self._call("recover"):
            self._staged.clear()
            self._pipeline = pipeline
            self._fence = self._place.fences[pipeline] = secrets.token_hex(8)
            for owner, table in list(self._place.tables):
                if owner == pipeline:
                    del self._place.tables[owner, table]
            return self._place.checkpoints.get(pipeline)

    def prepare(self, stream: Stream) -> None:
        """Make the table exist and fit the stream; see Destination."""
        with self._call("prepare"):
            self._targets(stream)

    def stage(self, batch: Batch) -> Receipt:
        """Keep the batch's rows until commit; see Destination."""
        with self._call("stage"):
            stream, targets = batch.stream, self._targets(batch.stream)
            rows, reasons = cast_rows(batch.rows, stream, targets)
            staged = rows.to_pylist()
            for row in staged:
                reason = self._refuses({name: value for name, value in row.items() if name != LINE})
                if reason:
                    reasons[row[LINE]] = reason
            if reasons:
                raise RowsRefusedError(f"the table {stream.table} refuses {len(reasons)} rows", reasons)
            token = secrets.token_hex(8)
            self._staged[token] = batch
            return Receipt(stream, batch.checkpoint, len(staged), batch.first_line, batch.last_line, token)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Publish the receipts, apply the activations and store the state; see Destination."""
        with self._call("commit"):
            checkpoints, pipeline = self._place.checkpoints, checkpoint.pipeline
            last = checkpoints.get(pipeline)
            if self._place.fences.get(pipeline) != self._fence or checkpoint.number != (last.number if last else 0) + 1:
                raise FencedError(pipeline)
            if {receipt.token for receipt in checkpoint.publish} != self._staged.keys():
                raise DestinationError(f"checkpoint {checkpoint.number} doesn't publish what is staged")
            published = self._published(checkpoint)
            checkpoints[pipeline] = Checkpoint(pipeline, checkpoint.number, checkpoint.state, checkpoint.at)
            if checkpoint.final and pipeline.startswith("~"):
                del checkpoints[pipeline]
            self._staged.clear()
            return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated; see Destination."""
        return isinstance(error, TransientError)

    def close(self) -> None:
        """Forget what isn't committed; repeatable."""
        self._staged.clear()

    @contextmanager
    def _call(self, verb: str) -> Iterator[None]:
        """One call at a time, which fails if that was asked for."""
        with self._place.lock:
            self._calls[verb] = self._calls.get(verb, 0) + 1
            fault = self._fail_at.get((verb, self._calls[verb]))
            if fault and not fault.after:
                raise fault.error
            yield
            if fault:
                raise fault.error

    def _name(self, stream: Stream) -> tuple[str, str]:
        """The table that the stream's rows go into."""
        return self._pipeline if stream.method is Method.REPLACE else "", str(stream.table)

    def _targets(self, stream: Stream) -> Mapping[str, TableColumn]:
        """The table's column for each of the stream's, once the table fits."""
        tables, name = self._place.tables, self._name(stream)
        present = tables.get(("", str(stream.table)))
        if stream.method is Method.REPLACE and stream.contract != "evolve" and present:
            loaded = changes(present.columns, stream, TRAITS, _ALTERABLE).targets
            columns = tuple(column for column in stream.columns if column.name in loaded)
            stream = replace(stream, columns=columns, contract="evolve")
        if name not in tables:
            columns_made = [_made(column, nullable=column.name not in stream.key) for column in stream.columns]
            tables[name] = _Table(columns_made, stream.key or None if stream.method is not Method.APPEND else None)
        table = tables[name]
        fit = changes(table.columns, stream, TRAITS, _ALTERABLE, table.key)
        table.columns += [_made(column) for column in fit.add]
        for row in table.rows:
            row.update(dict.fromkeys([column.name for column in fit.add]))
        for widening in fit.widen:
            _widen(table, widening)
        return fit.targets

    def _published(self, checkpoint: Checkpoint) -> dict[str, Published]:
        """Work on copies of the tables, which take the tables' places at the end."""
        tables: dict[tuple[str, str], _Table] = {}
        published: dict[str, Published] = {}
        streams = [batch.stream for batch in self._staged.values()] + [a.stream for a in checkpoint.activate]
        for stream in {stream.name: stream for stream in streams}.values():
            targets, name = self._targets(stream), self._name(stream)
            have = self._place.tables[name]
            table = tables[name] = _Table(have.columns, have.key, [dict(row) for row in have.rows])
            batches = [batch for batch in self._staged.values() if batch.stream.name == stream.name]
            activations = [activation for activation in checkpoint.activate if activation.stream.name == stream.name]
            published[stream.name] = _merged(table, self._parts(batches), activations, targets, checkpoint.at)
        self._place.tables |= tables
        for stream in checkpoint.replace:
            self._targets(stream)
            old = self._place.tables.get(("", str(stream.table)))
            self._place.tables["", str(stream.table)] = self._place.tables.pop(self._name(stream))
            swapped = Published(deleted=len(old.rows) if old else 0)
            published[stream.name] = published.get(stream.name, Published()) + swapped
        return published

    def _parts(self, batches: list[Batch]) -> list[_Part]:
        """What is staged of a stream, revision by revision, in the order of lines."""
        parts: dict[Stream, _Part] = {}
        for batch in sorted(batches, key=lambda batch: (batch.stream.revision, batch.first_line)):
            targets = self._targets(batch.stream)
            part = parts.setdefault(batch.stream, _Part(batch.stream, targets, []))
            part.rows.extend(cast_rows(batch.rows, batch.stream, targets)[0].to_pylist())
            part.rows.sort(key=lambda row: row[LINE])
        return list(parts.values())


def _made(column: Column, *, nullable: bool = True) -> TableColumn:
    return TableColumn(column.name, column.kind, column.precision, column.scale, nullable=nullable)


def _widen(table: _Table, widening: Widening) -> None:
    """Give the column its wider type, and its values their new form."""
    have, want = (
        Column(side.name, (), side.kind or Kind.TEXT, side.precision, side.scale)
        for side in (widening.have, widening.want)
    )
    values = pa.chunked_array([pa.array([row[have.name] for row in table.rows], have.arrow)])
    for row, value in zip(table.rows, converted(values, have, want).to_pylist(), strict=True):
        row[have.name] = value
    table.columns = [widening.want if column.name == have.name else column for column in table.columns]


def _merged(
    table: _Table, parts: list[_Part], activations: list[Activation], targets: Mapping[str, TableColumn], at: datetime
) -> Published:
    """Bring the rows into the table, with the activations in between, in the order of lines."""
    done, first = Published(), 0
    for activation in [*sorted(activations, key=lambda a: a.line), None]:
        end = activation.line if activation else sys.maxsize
        for part in parts:
            rows = [row for row in part.rows if first <= row[LINE] < end]
            done += _loaded(table, part.stream, part.targets, rows)
        if activation:
            done += _activated(table, activation, targets, at)
        first = end
    return done


def _loaded(table: _Table, stream: Stream, targets: Mapping[str, TableColumn], rows: list[Row]) -> Published:
    """Bring rows of one revision of a stream into the table; they are in the order of lines."""
    empty = dict.fromkeys([column.name for column in table.columns])
    new = [empty | {name: value for name, value in row.items() if name != LINE} for row in rows]
    if not stream.key or stream.method is Method.APPEND:
        table.rows += new
        return Published(inserted=len(new))
    names = [targets[name].name for name in stream.key]
    marks = [targets[c.name].name for c in stream.deletions if stream.hard_delete and c.name in targets]
    keyed = [(_key(row, names), row) for row in new]
    if stream.method is Method.INSERT_IGNORE:
        return _ignored(table, names, keyed, marks)
    updated = [targets[column.name].name for column in stream.columns if column.name in targets and not column.keep]
    return _upserted(table, names, keyed, marks, updated)


def _upserted(
    table: _Table, names: list[str], keyed: Sequence[tuple[Key, Row]], marks: Sequence[str], updated: list[str]
) -> Published:
    """Last line wins; one that is marked as deleted deletes its row."""
    winners = dict(keyed)
    removed = {key for key, row in winners.items() if any(row[mark] not in (None, "") for mark in marks)}
    deleted = _delete(table, lambda row: _key(row, names) in removed)
    matched = set()
    for row in table.rows:
        winner = winners.get(_key(row, names))
        if winner is not None:
            matched.add(_key(row, names))
            row.update({name: winner[name] for name in updated})
    known = matched | removed
    table.rows += [row for key, row in winners.items() if key not in known]
    return Published(
        inserted=len(winners) - len(removed) - len(matched),
        updated=len(matched),
        deleted=deleted,
        deduplicated=len(keyed) - len(winners),
        removals=len(removed),
    )


def _ignored(table: _Table, names: list[str], keyed: Sequence[tuple[Key, Row]], marks: Sequence[str]) -> Published:
    """First line wins, and the table's rows before all; a row that is marked as deleted deletes those before it."""
    before = {key for key, _ in keyed}
    have = {key for row in table.rows if (key := _key(row, names)) in before}
    firsts: dict[Key, Row] = {}
    removed: list[Key] = []
    for key, row in keyed:
        if any(row[mark] not in (None, "") for mark in marks):
            removed.append(key)
            have.discard(key)
            firsts.pop(key, None)
        elif key not in have:
            firsts.setdefault(key, row)
    gone = set(removed)
    deleted = _delete(table, lambda row: _key(row, names) in gone)
    table.rows += firsts.values()
    return Published(
        inserted=len(firsts), deleted=deleted, ignored=len(keyed) - len(firsts) - len(removed), removals=len(removed)
    )


def _activated(table: _Table, activation: Activation, targets: Mapping[str, TableColumn], at: datetime) -> Published:
    """Delete the rows of older versions, or mark them as deleted."""
    stream = activation.stream
    version = _target(stream.filled_with(Fill.TABLE_VERSION), targets)
    deletion = _target(stream.deletion, targets)

    def is_older(row: Row) -> bool:
        return version is not None and row[version] is not None and bool(row[version] < activation.version)

    if stream.hard_delete:
        return Published(deleted=_delete(table, is_older))
    if deletion is None:
        return Published()
    marked = [row for row in table.rows if is_older(row) and row[deletion] is None]
    for row in marked:
        row[deletion] = at.astimezone(UTC)
    return Published(deleted=len(marked))


def _delete(table: _Table, is_gone: Callable[[Row], bool]) -> int:
    """Take rows out of the table; gives their number."""
    before = len(table.rows)
    table.rows = [row for row in table.rows if not is_gone(row)]
    return before - len(table.rows)


def _key(row: Row, names: Iterable[str]) -> Key:
    return tuple(row[name] for name in names)


def _target(column: Column | None, targets: Mapping[str, TableColumn]) -> str | None:
    target = targets.get(column.name) if column else None
    return target.name if target else None
