"""What becomes of a table of rows in memory: the plainest form of each way of loading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from msgspec import Struct, field

from tailrace.model import LINE, Activation, Column, Fill, Kind, Method, Published, Stream
from tailrace.schema.cast import converted
from tailrace.schema.evolve import TableColumn, Widening
from tailrace.schema.steps import Segment, TableSteps

Row = dict[str, Any]
Key = tuple[object, ...]


class MemoryTable(Struct):
    """A table: its columns, its key, which may be empty, and its rows."""

    columns: list[TableColumn]
    key: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)


class Part(Struct, frozen=True):
    """Rows of one revision of a stream, by the table's column names and with LINE; see Fit for the others."""

    stream: Stream
    targets: Mapping[str, TableColumn]
    cleared: tuple[str, ...]
    rows: list[Row]


def made(column: Column, *, nullable: bool = True) -> TableColumn:
    """A new column of a table for a stream's."""
    return TableColumn(column.name, column.kind, column.precision, column.scale, nullable=nullable)


def widen(table: MemoryTable, widening: Widening) -> None:
    """Give the column its wider type, and its values their new form."""
    name = widening.have.name
    values = as_kind([row[name] for row in table.rows], widening.have, widening.want)
    for row, value in zip(table.rows, values, strict=True):
        row[name] = value
    table.columns = [widening.want if column.name == name else column for column in table.columns]


def as_kind(values: list[Any], have: TableColumn, want: TableColumn) -> list[Any]:
    """Values of a table's column as that column has them once it is wider."""
    before, after = (Column(side.name, (), side.kind or Kind.TEXT, side.precision, side.scale) for side in (have, want))
    given = pa.chunked_array([pa.array(values, before.arrow)])
    return list(converted(given, before, after).to_pylist())


def merged(table: MemoryTable, steps: TableSteps[Part], targets: Mapping[str, TableColumn], at: datetime) -> Published:
    """Bring the rows into the table, with the activations in between, in the order of lines."""
    done = Published()
    for step in steps:
        if isinstance(step, Segment):
            rows = [row for row in step.staged.rows if step.first <= row[LINE] < step.end]
            done += _loaded(table, step.staged, rows)
        else:
            done += _activated(table, step, targets, at)
    return done


def _loaded(table: MemoryTable, part: Part, rows: list[Row]) -> Published:
    """Bring rows of one revision of a stream into the table; they are in the order of lines."""
    stream, targets = part.stream, part.targets
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
    return _upserted(table, part, names, keyed, marks)


def _upserted(
    table: MemoryTable, part: Part, names: list[str], keyed: Sequence[tuple[Key, Row]], marks: Sequence[str]
) -> Published:
    """Last line wins; one that is marked as deleted deletes the row that comes before it.

    What an update keeps is the first line's in a row that is new.
    """
    gone: set[Key] = set()
    firsts: dict[Key, Row] = {}
    for key, row in keyed:
        if any(row[mark] not in (None, "") for mark in marks):
            gone.add(key)
            firsts.pop(key, None)
        else:
            firsts.setdefault(key, row)
    deleted = _delete(table, lambda row: _key(row, names) in gone)
    columns = [column for column in part.stream.columns if column.name in part.targets]
    updated = [part.targets[column.name].name for column in columns if not column.keep]
    kept = [part.targets[column.name].name for column in columns if column.keep]
    winners = dict(keyed)
    matched = set()
    for row in table.rows:
        key = _key(row, names)
        if key in firsts:
            matched.add(key)
            row.update({name: winners[key][name] for name in updated} | dict.fromkeys(part.cleared))
    new = [key for key in firsts if key not in matched]
    table.rows += [winners[key] | {name: firsts[key][name] for name in kept} for key in new]
    return Published(
        inserted=len(new),
        updated=len(matched),
        deleted=deleted,
        deduplicated=len(keyed) - len(winners),
        removals=len(winners) - len(firsts),
    )


def _ignored(table: MemoryTable, names: list[str], keyed: Sequence[tuple[Key, Row]], marks: Sequence[str]) -> Published:
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


def _activated(
    table: MemoryTable, activation: Activation, targets: Mapping[str, TableColumn], at: datetime
) -> Published:
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


def _delete(table: MemoryTable, is_gone: Callable[[Row], bool]) -> int:
    """Take rows out of the table; gives their number."""
    before = len(table.rows)
    table.rows = [row for row in table.rows if not is_gone(row)]
    return before - len(table.rows)


def _key(row: Row, names: Iterable[str]) -> Key:
    return tuple(row[name] for name in names)


def _target(column: Column | None, targets: Mapping[str, TableColumn]) -> str | None:
    target = targets.get(column.name) if column else None
    return target.name if target else None
