"""What a commit does to one table: staged rows merged in the order of their lines, activations, the swap."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tailrace.model import Activation, Fill, Kind, Method, Published, Stream, TableName
from tailrace.sql import merging, statements
from tailrace.sql.dialect import Dialect, Merge
from tailrace.sql.session import Session
from tailrace.sql.tables import Place

LAST_LINE = 2**63 - 1
"""Beyond every line."""

_WINNERS = TableName("_tailrace_winners")


@dataclass(frozen=True, slots=True)
class Staging:
    """The temporary table in which rows of one revision of a stream wait, and where they go."""

    stream: Stream
    table: TableName
    place: Place


@dataclass(slots=True)
class Transaction:
    """What waits in the open transaction: rows in all, rows already in their tables by stream, and staging tables.

    `tables` are those that rows have gone into.
    """

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    rows: int = 0
    direct: dict[str, int] = field(default_factory=dict)
    tables: set[TableName] = field(default_factory=set)
    stagings: dict[Stream, Staging] = field(default_factory=dict)


def merge(session: Session, dialect: Dialect, staging: Staging, first: int, end: int) -> Published:
    """Bring the rows from line `first` to before line `end` into their table."""
    stream, place = staging.stream, staging.place
    staged = _number(session, merging.count_segment(dialect, staging.table), (first, end))
    if not staged:
        return Published()
    if not stream.is_merged:
        sql = merging.insert_segment(dialect, place.table, place.columns, staging.table)
        return Published(inserted=session.execute(sql, (first, end)))
    if stream.method is Method.INSERT_IGNORE:
        return _insert_ignored(session, dialect, staging, (first, end), staged)
    return _upserted(session, dialect, staging, (first, end), staged)


def activate(session: Session, dialect: Dialect, place: Place, activation: Activation, at: datetime) -> Published:
    """Delete the rows of older versions, or mark them as deleted."""
    stream = activation.stream
    version = place.name(stream.filled_with(Fill.TABLE_VERSION))
    deletion = place.name(stream.deletion)
    if version is None:
        return Published()
    if stream.hard_delete:
        sql = merging.delete_older(dialect, place.table, version)
        return Published(deleted=session.execute(sql, (activation.version,)))
    if deletion is None or stream.deletion is None:
        return Published()
    sql = merging.mark_older(dialect, place.table, version, deletion)
    moment = _moment(at, place.targets[stream.deletion.name].kind)
    return Published(deleted=session.execute(sql, (moment, activation.version)))


def swap(session: Session, dialect: Dialect, beside: TableName, table: TableName, *, exists: bool) -> Published:
    """Put the table that was built beside in the place of the table."""
    deleted = _number(session, statements.count_rows(dialect, table)) if exists else 0
    session.execute(statements.drop_table(dialect, table))
    session.execute(statements.rename_table(dialect, beside, table.name))
    return Published(deleted=deleted)


def _upserted(session: Session, dialect: Dialect, staging: Staging, segment: tuple[int, int], staged: int) -> Published:
    """Last line wins; a line that is marked as deleted deletes the row that comes before it, under hard_delete."""
    stream, place, source = staging.stream, staging.place, staging.table
    key, table = place.key(stream), place.table
    marks = _marks(staging)
    removals = deleted = first = 0
    if marks:
        sql = merging.delete_segment(dialect, table, source, key, marks)
        deleted = session.execute(sql, segment)
    keep = [place.targets[c.name].name for c in stream.columns if c.keep and c.name in place.targets]
    kept = [*keep, *place.others] if dialect.merge is Merge.REWRITE else []
    if keep:  # what a new row has there is its first line's
        sql = merging.insert_first(dialect, table, source, columns=place.columns, key=key, marks=marks)
        first = session.execute(sql, segment * 2 if marks else segment)
    sql = merging.create_winners(dialect, _WINNERS, source, table, key=key, kept=kept)
    session.execute(sql, segment)
    winners, matched = _numbers(session, merging.count_winners(dialect, _WINNERS))
    if marks:
        session.execute(merging.delete_removals(dialect, _WINNERS, source, marks))
        left, matched = _numbers(session, merging.count_winners(dialect, _WINNERS))
        removals = winners - left
    for sql in _merging(dialect, staging, keep, kept):
        session.execute(sql)
    session.execute(statements.drop_temporary(dialect, _WINNERS))
    return Published(
        inserted=winners - removals - matched + first,
        updated=matched - first,
        deleted=deleted,
        deduplicated=staged - winners,
        removals=removals,
    )


def _merging(dialect: Dialect, staging: Staging, keep: list[str], kept: list[str]) -> list[str]:
    """The statements that give matching rows their new values, and insert the others.

    What the rows keep: the `keep` columns, and those that the stream doesn't have. `kept` stand beside the winners.
    They have no values any more in the columns that are `cleared`, which rows that are inserted don't get.
    """
    place, source = staging.place, staging.table
    table, columns, key = place.table, place.columns, place.key(staging.stream)
    fresh = merging.insert_winners(dialect, table, source, _WINNERS, columns=columns, matched=False)
    to = [name for name in columns if name not in key and name not in keep]
    clear = place.cleared
    merge = _merge_of(dialect, place)
    if merge is Merge.CONFLICT:
        return merging.upsert_winners(dialect, table, source, _WINNERS, columns=columns, key=key, to=to, clear=clear)
    if merge is Merge.UPDATE:
        update = merging.update_matched(dialect, table, source, _WINNERS, key=key, to=to, clear=clear)
        return [update, fresh] if to or clear else [fresh]
    delete = merging.delete_matched(dialect, table, source, _WINNERS, key)
    if not kept:
        return [delete, merging.insert_winners(dialect, table, source, _WINNERS, columns=columns)]
    given = [name for name in columns if name not in keep]
    again = merging.insert_winners(dialect, table, source, _WINNERS, columns=given, kept=kept, matched=True)
    return [delete, again, fresh]


def _merge_of(dialect: Dialect, place: Place) -> Merge:
    """How the rows of that table get new values."""
    return Merge.UPDATE if dialect.merge is Merge.CONFLICT and not place.is_unique else dialect.merge


def _insert_ignored(
    session: Session, dialect: Dialect, staging: Staging, segment: tuple[int, int], staged: int
) -> Published:
    """First line wins, and the table's rows before all; what comes before a deletion of its key is deleted too."""
    stream, place = staging.stream, staging.place
    key, table = place.key(stream), place.table
    marks = _marks(staging)
    removals = deleted = 0
    if marks:
        removals = _number(session, merging.count_segment(dialect, staging.table, marks), segment)
    if removals:
        deleted = session.execute(merging.delete_segment(dialect, table, staging.table, key, marks), segment)
    sql = merging.insert_first(
        dialect, table, staging.table, columns=place.columns, key=key, marks=marks if removals else ()
    )
    inserted = session.execute(sql, segment * 2 if removals else segment)
    return Published(inserted=inserted, deleted=deleted, ignored=staged - inserted - removals, removals=removals)


def _marks(staging: Staging) -> list[merging.Mark]:
    """The table's columns in which records ask for their row's deletion."""
    targets = staging.place.targets
    asking = staging.stream.deletions if staging.stream.hard_delete else ()
    found = [targets[column.name] for column in asking if column.name in targets]
    return [merging.Mark(target.name, is_text=target.kind is Kind.TEXT) for target in found]


def _moment(at: datetime, kind: Kind | None) -> object:
    """A time as a column of that kind takes it."""
    if kind is Kind.TIMESTAMPTZ:
        return at.astimezone(UTC)
    if kind is Kind.TIMESTAMP:
        return at.astimezone(UTC).replace(tzinfo=None)
    return at.astimezone(UTC).isoformat()


def _number(session: Session, sql: str, parameters: Sequence[object] = ()) -> int:
    return _numbers(session, sql, parameters)[0]


def _numbers(session: Session, sql: str, parameters: Sequence[object] = ()) -> tuple[int, ...]:
    return tuple(int(str(number)) for number in session.query(sql, parameters)[0])
