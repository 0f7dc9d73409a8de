"""An entry applied to a table: files are added as they are, or rows are merged by rewriting files."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet
from msgspec import Struct, field

from tailrace import compute as pc
from tailrace.errors import DestinationError
from tailrace.lake import queries
from tailrace.lake.engine import STATEMENTS, Engine, engine
from tailrace.lake.entries import Change, Entry, Staged, part_name
from tailrace.lake.parts import Parts
from tailrace.lake.reading import batches_of
from tailrace.lake.tables import ConflictError, LakeTable, LiveFile, Store
from tailrace.model import LINE, Activation, Fill, Method, Published, Stream, TableName
from tailrace.schema.steps import steps_of
from tailrace.sql.publisher import Publisher, Staging
from tailrace.sql.tables import Place

_TABLE = TableName("_tailrace_table")
_KEYS = TableName("_tailrace_keys")
_BEFORE = TableName("_tailrace_before")
_FILE = TableName("_tailrace_file")
_TRIES, _LONGEST_WAIT_S = 100, 1.0


def removes(stream: Stream) -> bool:
    """Whether checkpoints of the stream may change or remove rows of its table."""
    is_changing = stream.is_merged and (stream.method is not Method.INSERT_IGNORE or stream.hard_delete)
    return is_changing or stream.versioned or stream.method is Method.REPLACE


def apply_change(
    look: Callable[[], LakeTable], waiting: Store, entry: Entry, change: Change, left: list[str]
) -> Published:
    """Apply the entry to the table, unless it is applied already; what that did.

    `look` gives a snapshot of the table; `waiting` is the store of staged files. If another writer commits first, all
    is done again on a new snapshot. If another run of the pipeline has applied the entry, and has removed the staged
    files, nothing is left to do. `left` are files of attempts whose outcome is unknown. Once it is known, those that
    aren't the table's are removed.
    """
    for tries in range(_TRIES):
        table = look()
        if table.applied(entry.pipeline) >= entry.sequence:
            _clear(left, table, table.left(entry.pipeline, entry.sequence, left))
            return Published(inserted=change.rows)
        try:
            done = _applied(table, waiting, entry, change, left)
        except ConflictError:
            if tries == _TRIES - 1:
                raise
            time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.01 * 2**tries)))  # noqa: S311 writers take turns
        except DestinationError:
            if tries == _TRIES - 1 or look().applied(entry.pipeline) < entry.sequence:
                raise
        else:
            _clear(left, table, left)
            return done
    raise AssertionError("unreachable")


def _clear(left: list[str], table: LakeTable, unused: Sequence[str]) -> None:
    """Remove the files that turned out not to be the table's, now that every outcome is known."""
    if unused:
        table.layout().store.remove(unused)
    left.clear()


def _applied(table: LakeTable, waiting: Store, entry: Entry, change: Change, left: list[str]) -> Published:
    if change.replace:
        return _replaced(table, waiting, entry, change)
    if change.staged or change.activate:
        return _merged(table, waiting, entry, change, left)
    table.commit(entry, change.files, ())
    return Published(inserted=sum(part.rows for part in change.files))


def _replaced(table: LakeTable, waiting: Store, entry: Entry, change: Change) -> Published:
    """Replace the table's rows by the staged ones."""
    deleted = sum(file.rows for file in table.files())
    schema = _schema_of(waiting, change)
    with engine() as memory:
        merging = _Merging(memory, waiting, entry, change, schema)
        if any(staged.stream.waits_for_commit for staged in change.staged):
            done = merging.run()
            rows = memory.read(queries.all_of(_TABLE))
        else:
            done = Published(inserted=change.rows)
            rows = _as_columns(merging.staged_rows(), schema)
        reader = pa.RecordBatchReader.from_batches(schema, rows)
        table.overwrite(entry, change, reader)
    return replace(done, deleted=done.deleted + deleted)


def _schema_of(waiting: Store, change: Change) -> pa.Schema:
    """The columns of the new table, in the types of the staged files; a column in none of them has its kind's type."""
    types: dict[str, pa.DataType] = {}
    for staged in change.staged:
        for part in staged.files[:1]:
            with waiting.open(part.path) as file:
                types |= {field.name: field.type for field in pa.parquet.read_schema(file)}
    # Structs may have grown while rows were staged; the column has all fields.
    own = {column.name: column.arrow for column in change.columns if column.nested}
    return pa.schema([(column.name, (types | own).get(column.name, column.arrow)) for column in change.columns])


def _as_columns(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows with exactly these columns; missing ones are null."""
    for rows in tables:
        columns = [
            rows[column.name].cast(column.type)
            if column.name in rows.column_names
            else pa.nulls(rows.num_rows, column.type)
            for column in schema
        ]
        yield from pa.table(columns, schema=schema).to_batches()


def _merged(table: LakeTable, waiting: Store, entry: Entry, change: Change, left: list[str]) -> Published:
    """Merge the staged rows and the activations into the table: files with rows that change are rewritten."""
    name = f"{secrets.token_hex(4)}-"
    parts = Parts(table.layout(), lambda number: part_name(entry.pipeline, entry.sequence, f"{name}{number}"))
    try:
        with engine() as memory:
            merging = _Merging(memory, waiting, entry, change, table.schema)
            merging.load()
            removes = [file for file in table.files() if merging.takes(table, file, parts)]
            done = merging.merge()
            for batch in memory.read(merging.result):
                parts.add(pa.table(batch))
        written = parts.seal()
    except BaseException:
        parts.discard()
        raise
    try:
        table.commit(entry, [*written, *change.files], removes)
    except ConflictError:
        parts.discard()
        raise
    except DestinationError:
        left += [part.path for part in written]
        raise
    finally:
        parts.close()
    return done + Published(inserted=sum(part.rows for part in change.files), deleted=merging.deleted)


class _Merging(Struct):
    """The merge in an engine's tables: staged rows, and the rows of the table that have the same keys."""

    memory: Engine
    waiting: Store
    entry: Entry
    change: Change
    schema: pa.Schema
    stagings: list[Staging] = field(default_factory=list)
    bounds: tuple[object, ...] = ()
    deleted: int = 0

    def run(self) -> Published:
        """Merge into an empty table."""
        self.load()
        return self.merge()

    def load(self) -> None:
        """Load the staged rows and their keys into the engine."""
        self.memory.create(_TABLE, self.schema)
        for number, staged in enumerate(self.change.staged):
            table = TableName(f"_tailrace_stage_{number}")
            names = [target.name for target in staged.targets.values()]
            columns = [self.schema.field(name) for name in names]
            self.memory.create(table, pa.schema([*columns, pa.field(LINE, pa.int64())]))
            for rows in self._rows(staged):
                self.memory.load(table, [*names, LINE], rows)
            others = tuple(name for name in self.schema.names if name not in {*names, *staged.cleared})
            place = Place(_TABLE, staged.targets, others, staged.cleared)
            self.stagings.append(Staging(staged.stream, table, place))
        if self.key:
            self.memory.execute(queries.create_keys(_KEYS, [staging.table for staging in self.stagings], self.key))
            self.bounds = self.memory.query(queries.bounds_of(_KEYS, self.key[0]))[0]

    def staged_rows(self) -> Iterator[pa.Table]:
        """All staged rows, some at a time."""
        for staged in self.change.staged:
            yield from self._rows(staged)

    def takes(self, table: LakeTable, file: LiveFile, parts: Parts) -> bool:
        """Whether rows of the file change. If so, rows with a staged key are loaded, and the others go to parts."""
        wanted = [*self.key, *filter(None, (self._version, self._deletion))]
        if not wanted or not self._may_change(file):
            return False
        if not any(self._count(pa.table(keys)) for keys in table.read(file, wanted)):
            return False
        for batch in table.read(file):
            rows = pa.table(batch)
            if self.key:
                rows = self._parted(rows)
            if not self._only_ignores:
                parts.add(self._activated(rows))
        return not self._only_ignores

    def merge(self) -> Published:
        """Merge staged rows and activations in the order of their lines."""
        done = Published()
        if self._only_ignores:
            self.memory.execute(queries.create_keys(_BEFORE, [_TABLE], self.key))
        at = (self.entry.at or datetime.now(UTC)).astimezone(UTC)
        activations = [Activation(each.stream, each.version, each.line) for each in self.change.activate]
        for steps in steps_of(self.stagings, activations):
            done += Publisher(STATEMENTS).publish(self.memory, steps, at, self._place)
        return done

    @property
    def result(self) -> str:
        """The query of the rows that the table gets in place of the removed files."""
        if self._only_ignores:
            return queries.without_key(_TABLE, self.schema.names, _BEFORE, self.key)
        return queries.all_of(_TABLE)

    @property
    def key(self) -> list[str]:
        """The table's columns that identify a row; empty if rows are only appended."""
        merged = [staging for staging in self.stagings if staging.stream.is_merged]
        return merged[0].place.key(merged[0].stream) if merged else []

    @property
    def _only_ignores(self) -> bool:
        """Whether no row of the table can change, whatever is staged."""
        ignoring = [s.stream.method is Method.INSERT_IGNORE and not s.stream.hard_delete for s in self.stagings]
        return bool(ignoring) and all(ignoring) and not self.change.activate

    @property
    def _last_version(self) -> int:
        return max((activation.version for activation in self.change.activate), default=0)

    def _of_activated(self, fill: Callable[[Stream], str | None]) -> str | None:
        return fill(self.change.activate[0].stream) if self.change.activate else None

    @property
    def _version(self) -> str | None:
        """The table's column of versions, if a version is activated."""
        return self._of_activated(lambda stream: self._name(stream, Fill.TABLE_VERSION))

    @property
    def _deletion(self) -> str | None:
        """The table's column that marks deleted rows, if rows are marked."""
        return self._of_activated(lambda stream: None if stream.hard_delete else self._name(stream, None))

    def _name(self, stream: Stream, fill: Fill | None) -> str | None:
        column = stream.filled_with(fill) if fill else stream.deletion
        return self._place(stream).name(column)

    def _place(self, stream: Stream) -> Place:
        """Where an activated stream's rows are, staged or not."""
        staged = [staging.place for staging in self.stagings if staging.stream == stream]
        if staged:
            return staged[0]
        targets = {column.name: column for column in self.change.columns}
        return Place(_TABLE, targets)

    def _rows(self, staged: Staged) -> Iterator[pa.Table]:
        for part in staged.files:
            with self.waiting.open(part.path) as file:
                yield from map(pa.table, batches_of(pa.parquet.ParquetFile(file)))

    def _may_change(self, file: LiveFile) -> bool:
        """Whether the file may have a row with a staged key, or of an older version, by its bounds."""
        if self._version is not None or not self.key or self.key[0] not in file.bounds:
            return True
        low, high = self.bounds
        least, greatest = file.bounds[self.key[0]]
        try:
            return bool(low <= greatest and least <= high)  # type: ignore[operator]
        except TypeError:
            return True

    def _count(self, keys: pa.Table) -> int:
        """How many of some rows of a file change."""
        sql = queries.count_changed(_FILE, _KEYS, self.key, self._version, self._deletion)
        with self.memory.rows_as(_FILE, keys):
            counted = self.memory.query(sql, (self._last_version,) if self._version else ())
        return int(str(counted[0][0]))

    def _parted(self, rows: pa.Table) -> pa.Table:
        """Load the rows of a file that have a staged key; the other rows."""
        names = rows.column_names
        with self.memory.rows_as(_FILE, rows):
            self.memory.execute(queries.insert_with_key(_TABLE, _FILE, names, _KEYS, self.key))
            batches = [*self.memory.read(queries.without_key(_FILE, names, _KEYS, self.key))]
        return pa.Table.from_batches(batches, rows.schema)

    def _activated(self, rows: pa.Table) -> pa.Table:
        """The rows of a file, with those of older versions removed or marked as deleted."""
        if self._version is None:
            return rows
        older = pc.fill_null(pc.less(rows[self._version], self._last_version), fill_value=False)
        if self._deletion is None:
            if self.change.activate[0].stream.hard_delete:
                self.deleted += pc.sum(older).as_py() or 0
                return rows.filter(pc.invert(older))
            return rows
        marked = pc.and_(older, pc.is_null(rows[self._deletion]))
        self.deleted += pc.sum(marked).as_py() or 0
        index = rows.schema.get_field_index(self._deletion)
        at = pa.scalar(self.entry.at).cast(rows.schema.field(index).type)
        return rows.set_column(index, rows.schema.field(index), pc.if_else(marked, at, rows[self._deletion]))
