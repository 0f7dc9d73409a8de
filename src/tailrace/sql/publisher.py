"""What a checkpoint does to tables, on a session: rows merged in the order of their lines, activations, swaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct, structs

from tailrace.errors import DestinationError
from tailrace.model import Activation, Checkpoint, Fill, Kind, Method, Published, Stream, TableName
from tailrace.schema.steps import LAST_LINE, Segment, TableSteps, lines_by_token, rows_by_token
from tailrace.sql.dialect import Merge
from tailrace.sql.selections import Mark, Upsert, Winners, last_rows
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements
from tailrace.sql.tables import Place

_WINNERS = TableName("_tailrace_winners")


class Staging(Struct, frozen=True):
    """The table in which rows of one revision of a stream wait, and where they go.

    Once they are counted: how many they are, and the first and the last of their `lines`.
    """

    stream: Stream
    table: TableName
    place: Place
    rows: int | None = None
    lines: tuple[int, int] = (0, LAST_LINE - 1)

    def count_between(self, first: int, end: int) -> int | None:
        """How many rows are from line `first` to before line `end`, where that is known: all of them, or none."""
        if end <= self.lines[0] or first > self.lines[1]:
            return 0
        return self.rows if first <= self.lines[0] and self.lines[1] < end else None


class _Merge(Struct, frozen=True):
    """Rows to be merged: those of a segment of lines, which leave the columns `keep` of the table's rows as they are.

    `bounds` are the least and the greatest value of the column that the table is parted by, where they are known.
    """

    staging: Staging
    segment: tuple[int, int]
    keep: Sequence[str]
    bounds: tuple[object, ...]

    @property
    def key(self) -> list[str]:
        """The table's columns that the key stands in."""
        return self.staging.place.key(self.staging.stream)

    @property
    def within(self) -> str:
        """The column that the bounds are of."""
        return self.staging.place.partition if self.bounds else ""


class Publisher(Struct, frozen=True):
    """Takes the steps of a checkpoint, in the words of one database."""

    statements: Statements

    def publish(
        self, session: Session, steps: TableSteps[Staging], at: datetime, place_of: Callable[[Stream], Place]
    ) -> Published:
        """Take all steps of a table; `place_of` says where an activated stream's rows are."""
        done = Published()
        for step in steps:
            if isinstance(step, Segment):
                done += self.merge(session, step.staged, step.first, step.end)
            else:
                done += self.activate(session, place_of(step.stream), step, at)
        return done

    def arrived(self, session: Session, checkpoint: Checkpoint, stagings: Sequence[Staging]) -> list[Staging]:
        """The staging tables with their rows, counted: raises unless these are as many as the checkpoint publishes."""
        promised = rows_by_token(checkpoint.publish)
        lines = lines_by_token(checkpoint.publish)
        for staging in stagings:
            found = self.count(session, staging.table)
            if found != promised[staging.table.name]:
                raise DestinationError(
                    f"checkpoint {checkpoint.number} can't be committed: {found} rows are staged for "
                    f"{staging.place.table}, and it publishes {promised[staging.table.name]}; run again"
                )
        return [
            structs.replace(each, rows=promised[each.table.name], lines=lines.get(each.table.name, each.lines))
            for each in stagings
        ]

    def merge(self, session: Session, staging: Staging, first: int, end: int) -> Published:
        """Bring the rows from line `first` to before line `end` into their table."""
        stream, place = staging.stream, staging.place
        staged = staging.count_between(first, end)
        if staged is None:
            staged = _number(session, self.statements.count_segment(staging.table), (first, end))
        if not staged:
            return Published()
        if not stream.is_merged:
            sql = self.statements.insert_segment(place.table, place.columns, staging.table)
            return Published(inserted=session.execute(sql, (first, end)))
        if stream.method is Method.INSERT_IGNORE:
            return self._insert_ignored(session, staging, (first, end), staged)
        return self._upserted(session, staging, (first, end), staged)

    def activate(self, session: Session, place: Place, activation: Activation, at: datetime) -> Published:
        """Delete the rows of older versions, or mark them as deleted."""
        stream = activation.stream
        version = place.name(stream.filled_with(Fill.TABLE_VERSION))
        deletion = place.name(stream.deletion)
        if version is None:
            return Published()
        if stream.hard_delete:
            sql = self.statements.delete_older(place.table, version)
            return Published(deleted=session.execute(sql, (activation.version,)))
        if deletion is None or stream.deletion is None:
            return Published()
        sql = self.statements.mark_older(place.table, version, deletion)
        moment = _moment(at, place.targets[stream.deletion.name].kind)
        return Published(deleted=session.execute(sql, (moment, activation.version)))

    def swap(self, session: Session, beside: TableName, table: TableName) -> None:
        """Put the table that was built beside in the place of the table, where there may be none."""
        session.execute(self.statements.drop_table(table))
        session.execute(self.statements.rename_table(beside, table.name))

    def count(self, session: Session, table: TableName) -> int:
        """How many rows the table has."""
        return _number(session, self.statements.count_rows(table))

    def _upserted(self, session: Session, staging: Staging, segment: tuple[int, int], staged: int) -> Published:
        """Last line wins; a line that is marked as deleted deletes the row that comes before it, under hard_delete."""
        stream, place, source = staging.stream, staging.place, staging.table
        key, table, marks = place.key(stream), place.table, _marks(staging)
        bounds = self._bounds(session, staging, segment)
        within = place.partition if bounds else ""
        deleted = first = 0
        if marks:
            sql = self.statements.delete_segment(table, source, key, marks, within)
            deleted = session.execute(sql, (*segment, *bounds))
        keep = [place.targets[c.name].name for c in stream.columns if c.keep and c.name in place.targets]
        if keep:  # what a new row has there is its first line's
            sql = self.statements.insert_first(
                table, source, columns=place.columns, key=key, marks=marks, within=within
            )
            first = session.execute(sql, (*(segment * 2 if marks else segment), *bounds))
        merged = self._merged_through_table if self.statements.dialect.has_temporary else self._merged_inline
        winners, left, matched = merged(session, _Merge(staging, segment, keep, bounds))
        return Published(
            inserted=left - matched + first,
            updated=matched - first,
            deleted=deleted,
            deduplicated=staged - winners,
            removals=winners - left,
        )

    def _bounds(self, session: Session, staging: Staging, segment: tuple[int, int]) -> tuple[object, ...]:
        """Between which values the segment's rows stand in a table that is parted by a column of its key."""
        place = staging.place
        if place.partition not in place.key(staging.stream):
            return ()
        return session.query(self.statements.bounds(staging.table, place.partition), segment)[0]

    def _merged_through_table(self, session: Session, merge: _Merge) -> tuple[int, int, int]:
        """Merge the winners, which are put into a table first: how many there are, stay as rows, and match."""
        if at_once := self._merge_at_once(merge):
            winners, matched = _numbers(session, at_once, merge.segment)
            return winners, winners, matched
        statements, source, place = self.statements, merge.staging.table, merge.staging.place
        kept = [*merge.keep, *place.others] if statements.dialect.merge is Merge.REWRITE else []
        create = statements.create_winners(_WINNERS, source, place.table, key=merge.key, kept=kept, within=merge.within)
        session.execute(create, (*merge.segment, *merge.bounds))
        winners, matched = _numbers(session, statements.count_winners(_WINNERS))
        left = winners
        if marks := _marks(merge.staging):
            session.execute(statements.delete_removals(_WINNERS, source, marks))
            left, matched = _numbers(session, statements.count_winners(_WINNERS))
        for sql, parameters in self._merging(merge, _WINNERS, kept):
            session.execute(sql, parameters)
        session.execute(statements.drop_temporary(_WINNERS))
        return winners, left, matched

    def _merge_at_once(self, merge: _Merge) -> str:
        """The statement that does all of it, where there is one, and nothing is kept, deleted or parted."""
        staging, place = merge.staging, merge.staging.place
        if self._merge_of(place) is not Merge.CONFLICT or merge.keep or merge.bounds or _marks(staging):
            return ""
        texts = [target.name for target in place.targets.values() if target.kind is Kind.TEXT]
        return self.statements.upsert_last(self._upsert(merge, _WINNERS), texts)

    def _merged_inline(self, session: Session, merge: _Merge) -> tuple[int, int, int]:
        """Merge the winners, which each statement selects by itself; see _merged_through_table."""
        source, table = merge.staging.table, merge.staging.place.table
        rows = last_rows(source, table, merge.key)
        winners, matched = _numbers(session, self.statements.count_winners(rows), merge.segment)
        left = winners
        if marks := _marks(merge.staging):
            rows = last_rows(source, table, merge.key, without=marks)
            left, matched = _numbers(session, self.statements.count_winners(rows), merge.segment)
        for sql, parameters in self._merging(merge, rows, ()):
            session.execute(sql, (*merge.segment, *parameters))
        return winners, left, matched

    def _merging(self, merge: _Merge, winners: Winners, kept: Sequence[str]) -> list[tuple[str, tuple[object, ...]]]:
        """The statements that give matching rows their new values, and insert the others, with their parameters.

        What the rows keep: the `keep` columns, and those that the stream doesn't have. `kept` stand beside the winners.
        They have no values any more in the columns that are `cleared`, which rows that are inserted don't get.
        """
        statements, place, source, key = self.statements, merge.staging.place, merge.staging.table, merge.key
        table, columns = place.table, place.columns
        fresh = statements.insert_winners(table, source, winners, columns=columns, matched=False)
        upsert = self._upsert(merge, winners)
        way = self._merge_of(place)
        if way is Merge.CONFLICT:
            return [(sql, ()) for sql in statements.upsert_winners(upsert)]
        if way is Merge.UPDATE:
            update = [(statements.update_matched(upsert), merge.bounds)] if upsert.to or upsert.clear else []
            return [*update, (fresh, ())]
        delete = (statements.delete_matched(table, source, winners, key), ())
        if not kept:
            return [delete, (statements.insert_winners(table, source, winners, columns=columns), ())]
        given = [name for name in columns if name not in merge.keep]
        again = statements.insert_winners(table, source, winners, columns=given, kept=kept, matched=True)
        return [delete, (again, ()), (fresh, ())]

    def _upsert(self, merge: _Merge, winners: Winners) -> Upsert:
        """What is to be done with the winners."""
        place, key = merge.staging.place, merge.key
        to = [name for name in place.columns if name not in key and name not in merge.keep]
        return Upsert(place.table, merge.staging.table, winners, place.columns, key, to, place.cleared, merge.within)

    def _merge_of(self, place: Place) -> Merge:
        """How the rows of that table get new values."""
        merge = self.statements.dialect.merge
        return Merge.UPDATE if merge is Merge.CONFLICT and not place.is_unique else merge

    def _insert_ignored(self, session: Session, staging: Staging, segment: tuple[int, int], staged: int) -> Published:
        """First line wins, and the table's rows before all; what comes before a deletion of its key is deleted too."""
        stream, place = staging.stream, staging.place
        key, table = place.key(stream), place.table
        marks = _marks(staging)
        bounds = self._bounds(session, staging, segment)
        within = place.partition if bounds else ""
        removals = deleted = 0
        if marks:
            removals = _number(session, self.statements.count_segment(staging.table, marks), segment)
        if removals:
            sql = self.statements.delete_segment(table, staging.table, key, marks, within)
            deleted = session.execute(sql, (*segment, *bounds))
        sql = self.statements.insert_first(
            table, staging.table, columns=place.columns, key=key, marks=marks if removals else (), within=within
        )
        inserted = session.execute(sql, (*(segment * 2 if removals else segment), *bounds))
        return Published(inserted=inserted, deleted=deleted, ignored=staged - inserted - removals, removals=removals)


def _marks(staging: Staging) -> list[Mark]:
    """The table's columns in which records ask for their row's deletion."""
    targets = staging.place.targets
    asking = staging.stream.deletions if staging.stream.hard_delete else ()
    found = [targets[column.name] for column in asking if column.name in targets]
    return [Mark(target.name, is_text=target.kind is Kind.TEXT) for target in found]


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
