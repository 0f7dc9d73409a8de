"""Memory: the reference that other destinations are compared with, and the double for tests, which fails when told to.

*Durable when* never: everything is gone with the process; until then any destination of the same name sees it.
*Visible when* commit has put the new tables in the place of the old ones, by one assignment under a lock.
*Load verb* appending to a list of rows.
*Source* this file: what it does in plain Python is what every destination does.

Addresses are `memory://name`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
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
from tailrace.schema.cast import cast_rows, converted
from tailrace.schema.evolve import WIDENINGS, TableColumn, changes

TRAITS = Traits(name="memory", guarantee="exactly once, while the process lives", case_sensitive=True)

ALTERABLE = frozenset((have, want) for have, wants in WIDENINGS.items() for want in wants)

Row = dict[str, object]


class Settings(BaseModel):
    """The settings of memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("memory", description="Destinations of the same name share their tables within a process.")


SETTINGS = Settings


def from_url(url: str) -> dict[str, object]:
    """The settings in an address."""
    name = urlsplit(url).netloc
    return {"name": name} if name else {}


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return MemoryDestination(settings.name)


class PassingError(DestinationError):
    """A failure that passes when the call is repeated, for tests to raise."""


@dataclass(slots=True)
class Table:
    """A table: its columns by name, its key where it has one, and its rows as mappings by column."""

    columns: dict[str, TableColumn] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)

    def fit(self, stream: Stream) -> Mapping[str, TableColumn]:
        """Change the columns as the stream needs it; the column for each of the stream's."""
        fit = changes(tuple(self.columns.values()), stream, TRAITS, ALTERABLE, self.key or None)
        for added in fit.add:
            self.columns[added.name] = TableColumn(added.name, added.kind, added.precision, added.scale)
            self.rows = [row | {added.name: None} for row in self.rows]
        for widening in fit.widen:
            self._widen(widening.have, widening.want)
        return fit.targets

    def _widen(self, have: TableColumn, want: TableColumn) -> None:
        given = pa.chunked_array([pa.array([row[have.name] for row in self.rows], have.arrow)])
        values = converted(given, _column(have), _column(want)).to_pylist()
        self.columns[have.name] = want
        self.rows = [row | {have.name: value} for row, value in zip(self.rows, values, strict=True)]


@dataclass(frozen=True, slots=True)
class _Remembered:
    number: int
    fence: str
    checkpoint: Checkpoint | None = None


@dataclass(slots=True)
class _Place:
    """What all destinations of one name share."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    tables: dict[str, Table] = field(default_factory=dict)
    pipelines: dict[str, _Remembered] = field(default_factory=dict)


_PLACES: dict[str, _Place] = {}


@dataclass(frozen=True, slots=True)
class _Staged:
    """Rows that wait, with their lines."""

    stream: Stream
    targets: Mapping[str, TableColumn]
    rows: tuple[tuple[int, Row], ...]


class MemoryDestination:
    """A Destination, and Inspectable, in memory.

    `on_call(verb, moment)` is called before and after each verb takes effect, with the moment `before` or `after`;
    what it raises is what the call raises. `refusal(row)` says why a row is refused, or None.
    """

    def __init__(self, name: str = "memory") -> None:
        self.traits = TRAITS
        self.on_call: Callable[[str, str], None] = _pass
        self.refusal: Callable[[Row], str | None] = _take
        self._name = name
        self._fence = ""
        self._staged: dict[str, _Staged] = {}
        self._beside: dict[str, Table] = {}

    @property
    def _place(self) -> _Place:
        return _PLACES.setdefault(self._name, _Place())

    def rows(self, table: str) -> list[Row]:
        """A table's rows, as readers see them; KeyError when there is no such table."""
        with self._place.lock:
            return [dict(row) for row in self._place.tables[table].rows]

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Destination."""
        self.on_call("recover", "before")
        with self._place.lock:
            self._discard()
            self._fence = secrets.token_hex(8)
            known = self._place.pipelines.get(pipeline, _Remembered(0, ""))
            self._place.pipelines[pipeline] = replace(known, fence=self._fence)
        self.on_call("recover", "after")
        return known.checkpoint

    def prepare(self, stream: Stream) -> None:
        """Make the table exist and fit the stream; see Destination."""
        self.on_call("prepare", "before")
        with self._place.lock:
            self._fitted(stream)
        self.on_call("prepare", "after")

    def stage(self, batch: Batch) -> Receipt:
        """Keep the batch's rows aside; see Destination."""
        self.on_call("stage", "before")
        with self._place.lock:
            targets = self._fitted(batch.stream)
            rows, refused = cast_rows(batch.rows, batch.stream, targets)
            lines = rows[LINE].to_pylist()
            plain = rows.drop_columns([LINE]).to_pylist()
            reasons = {line: self.refusal(row) for line, row in zip(lines, plain, strict=True)}
            refused |= {line: reason for line, reason in reasons.items() if reason}
            if refused:
                raise RowsRefusedError(f"the table {batch.stream.table} refuses {len(refused)} rows", refused)
            token = secrets.token_hex(8)
            self._staged[token] = _Staged(batch.stream, targets, tuple(zip(lines, plain, strict=True)))
        self.on_call("stage", "after")
        return Receipt(batch.stream, batch.checkpoint, len(lines), batch.first_line, batch.last_line, token)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Put the tables as they are after the checkpoint in the place of the present ones; see Destination."""
        self.on_call("commit", "before")
        with self._place.lock:
            known = self._place.pipelines.get(checkpoint.pipeline)
            if known is None or (known.number, known.fence) != (checkpoint.number - 1, self._fence):
                raise FencedError(checkpoint.pipeline)
            missing = [receipt for receipt in checkpoint.publish if receipt.token not in self._staged]
            if missing:
                raise DestinationError(f"checkpoint {checkpoint.number} publishes rows that aren't staged; run again")
            tables = deepcopy(self._place.tables)
            published = self._published(checkpoint, tables)
            self._place.tables = tables
            self._remember(checkpoint)
            self._staged.clear()
        self.on_call("commit", "after")
        return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the failure passes; see Destination."""
        return isinstance(error, PassingError)

    def close(self) -> None:
        """Discard what isn't committed; repeatable."""
        self._discard()

    def check(self) -> Sequence[str]:
        """What is there; see Inspectable."""
        return [f"Memory of the name {self._name!r} has {len(self._place.tables)} tables; any may be created."]

    def plan(self, stream: Stream) -> Sequence[str]:
        """What prepare() would do now; see Inspectable."""
        table = deepcopy(self._place.tables.get(str(stream.table)))
        if table is None:
            return [f"create {stream.table} ({', '.join(f'{c.name} {c.spelling}' for c in stream.columns)})"]
        before = dict(table.columns)
        table.fit(stream)
        changed = [column for name, column in table.columns.items() if before.get(name) != column]
        return [f"alter {stream.table}: {column.name} {column.spelling}" for column in changed]

    def _discard(self) -> None:
        self._staged.clear()
        self._beside.clear()

    def _fitted(self, stream: Stream) -> Mapping[str, TableColumn]:
        """The table's column for each of the stream's, in the table that is built beside for a replaced one."""
        name = str(stream.table)
        tables = self._place.tables
        if stream.method is Method.REPLACE:
            stream, tables = self._replacing(stream), self._beside
        if name not in tables:
            key = stream.key if stream.method is not Method.APPEND else ()
            let_in = self._let_in(stream)
            columns = [TableColumn(c.name, c.kind, c.precision, c.scale, c.name not in key) for c in stream.columns]
            tables[name] = Table({column.name: column for column in columns if column.name in let_in}, key or None)
        return tables[name].fit(stream)

    def _let_in(self, stream: Stream) -> Collection[str]:
        """The stream's columns that its contract lets into a new table, which may replace one that is there."""
        table = self._place.tables.get(str(stream.table))
        if table is None or stream.contract == "evolve":
            return {column.name for column in stream.columns}
        return changes(tuple(table.columns.values()), stream, TRAITS, ALTERABLE, table.key).targets

    def _replacing(self, stream: Stream) -> Stream:
        """The stream as its new table takes it: what the contract keeps out of the present table isn't in it."""
        present = self._place.tables.get(str(stream.table))
        if stream.contract == "evolve" or present is None:
            return stream
        let_in = deepcopy(present).fit(stream)
        columns = tuple(column for column in stream.columns if column.name in let_in)
        return replace(stream, columns=columns, contract="evolve")

    def _published(self, checkpoint: Checkpoint, tables: dict[str, Table]) -> dict[str, Published]:
        published: dict[str, Published] = {}
        for name in {receipt.stream.name for receipt in checkpoint.publish} | {
            activation.stream.name for activation in checkpoint.activate
        }:
            staged = [self._staged[r.token] for r in checkpoint.publish if r.stream.name == name]
            activations = [a for a in checkpoint.activate if a.stream.name == name]
            published[name] = self._merged(tables, staged, activations, checkpoint)
        for stream in checkpoint.replace:
            table = str(stream.table)
            swapped = Published(deleted=len(tables[table].rows) if table in tables else 0)
            published[stream.name] = published.get(stream.name, Published()) + swapped
            tables[table] = self._beside.pop(table)
        return published

    def _merged(
        self, tables: dict[str, Table], staged: list[_Staged], activations: list[Activation], checkpoint: Checkpoint
    ) -> Published:
        """Merge a stream's rows in the order of lines, its activations in between."""
        done, first = Published(), 0
        for activation in [*sorted(activations, key=lambda a: a.line), None]:
            end = activation.line if activation else 2**63
            for revision in sorted({part.stream.revision for part in staged}):
                parts = [part for part in staged if part.stream.revision == revision]
                rows = sorted((row for part in parts for row in part.rows if first <= row[0] < end), key=_line_of)
                if rows:
                    table = self._target(tables, parts[0].stream)
                    done += _merge(table, parts[0], [row for _, row in rows])
            if activation:
                done += _activate(self._target(tables, activation.stream), activation, checkpoint)
            first = end
        return done

    def _target(self, tables: dict[str, Table], stream: Stream) -> Table:
        return (self._beside if stream.method is Method.REPLACE else tables)[str(stream.table)]

    def _remember(self, checkpoint: Checkpoint) -> None:
        if checkpoint.final and checkpoint.pipeline.startswith("~"):
            del self._place.pipelines[checkpoint.pipeline]
            return
        plain = replace(checkpoint, publish=(), activate=(), replace=(), final=False)
        self._place.pipelines[checkpoint.pipeline] = _Remembered(checkpoint.number, self._fence, plain)


def _merge(table: Table, staged: _Staged, rows: list[Row]) -> Published:
    """Bring rows of one revision of a stream into its table."""
    stream, names = staged.stream, {name: target.name for name, target in staged.targets.items()}
    full = [dict.fromkeys(table.columns) | row for row in rows]
    if not stream.key or stream.method is Method.APPEND:
        table.rows.extend(full)
        return Published(inserted=len(rows))
    key = [names[name] for name in stream.key]
    mark = names.get(stream.deletion.name) if stream.deletion and stream.hard_delete else None
    if stream.method is Method.INSERT_IGNORE:
        return _insert_ignored(table, rows, full, key, mark)
    winners = {_key_of(row, key): row for row in rows}
    there = {_key_of(row, key): row for row in table.rows}
    removed = {k for k, row in winners.items() if mark and row[mark] is not None}
    keep = {names[c.name] for c in stream.columns if c.keep and c.name in names}
    updated = 0
    for k, row in winners.items():
        if k in removed:
            continue
        if k in there:
            there[k].update({name: value for name, value in row.items() if name not in keep})
            updated += 1
        else:
            table.rows.append(dict.fromkeys(table.columns) | row)
    deleted = _delete(table, lambda row: _key_of(row, key) in removed)
    return Published(
        inserted=len(winners) - len(removed) - updated,
        updated=updated,
        deleted=deleted,
        deduplicated=len(rows) - len(winners),
        removals=len(removed),
    )


def _insert_ignored(table: Table, rows: list[Row], full: list[Row], key: list[str], mark: str | None) -> Published:
    """Insert the rows whose key isn't there; rows that are marked as deleted take theirs away again."""
    there = {_key_of(row, key) for row in table.rows}
    last_removal = {_key_of(row, key): at for at, row in enumerate(rows) if mark and row[mark] is not None}
    deleted = _delete(table, lambda row: _key_of(row, key) in last_removal)
    there -= last_removal.keys()
    inserted = 0
    for at, row in enumerate(full):
        k = _key_of(row, key)
        if k not in there and at > last_removal.get(k, -1):
            there.add(k)
            table.rows.append(row)
            inserted += 1
    removals = sum(1 for row in rows if mark and row[mark] is not None)
    ignored = len(rows) - inserted - removals
    return Published(inserted=inserted, deleted=deleted, ignored=ignored, removals=removals)


def _activate(table: Table, activation: Activation, checkpoint: Checkpoint) -> Published:
    """Delete the rows of older versions, or mark them as deleted."""
    stream = activation.stream
    version, deletion = stream.filled_with(Fill.TABLE_VERSION), stream.deletion
    if version is None:
        return Published()
    if stream.hard_delete:
        return Published(deleted=_delete(table, lambda row: _is_older(row, version, activation.version)))
    if deletion is None:
        return Published()
    marked = [r for r in table.rows if _is_older(r, version, activation.version) and r[deletion.name] is None]
    for row in marked:
        row[deletion.name] = checkpoint.at
    return Published(deleted=len(marked))


def _is_older(row: Row, version: Column, number: int) -> bool:
    value = row[version.name]
    return isinstance(value, int) and value < number


def _delete(table: Table, is_gone: Callable[[Row], bool]) -> int:
    kept = [row for row in table.rows if not is_gone(row)]
    deleted = len(table.rows) - len(kept)
    table.rows = kept
    return deleted


def _key_of(row: Row, key: Iterable[str]) -> tuple[object, ...]:
    return tuple(row[name] for name in key)


def _line_of(row: tuple[int, Row]) -> int:
    return row[0]


def _column(of: TableColumn) -> Column:
    return Column(of.name, (of.name,), of.kind or Kind.TEXT, of.precision, of.scale)


def _pass(_verb: str, _moment: str) -> None:
    """What is called at each step when nobody listens."""


def _take(_row: Row) -> str | None:
    """What every row is told when none is refused."""
    return None
