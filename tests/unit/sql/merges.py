"""The same rows merged into a table by SQL, in a database in memory, and by the reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from msgspec import structs

from tailrace.destinations.memory.tables import MemoryTable, Part, merged
from tailrace.destinations.sqlite import DIALECT, STATEMENTS, SQLiteFile
from tailrace.model import LINE, Activation, Column, Fill, Kind, Method, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.steps import TableSteps
from tailrace.sql.dialect import Merge
from tailrace.sql.publisher import Publisher, Staging
from tailrace.sql.tables import Place
from tailrace.testing.parts import stream

AT = datetime(2024, 5, 6, tzinfo=UTC)
ID = Column("id", ("id",), Kind.INT)
VALUE = Column("value", ("value",), Kind.TEXT)
BORN = Column("born", (), Kind.TEXT, fill=Fill.CREATED_AT, keep=True)
GONE = Column("gone", ("_sdc_deleted_at",), Kind.TEXT)
VERSION = Column("version", (), Kind.INT, fill=Fill.TABLE_VERSION)
TABLE, STAGED = TableName("things"), TableName("staged")


def things(*columns, **more):
    return stream(*columns, **({"method": Method.UPSERT} | more))


@dataclass(frozen=True)
class Merging:
    """What is merged: rows of a stream in lines that follow one another, into a table that has rows.

    The table's columns are the stream's, `extra`, which the stream doesn't have, and `old`, which rows that get new
    values lose where it `clears`. `have` are rows of all of them.
    """

    of: object
    have: Sequence[tuple]
    rows: Sequence[tuple]
    activations: Sequence[tuple[int, int]] = ()
    is_unique: bool = True
    clears: bool = True

    @property
    def columns(self):
        made = [TableColumn(c.name, c.kind, nullable=c.name not in self.of.key) for c in self.of.columns]
        return [*made, TableColumn("extra", Kind.TEXT), TableColumn("old", Kind.TEXT)]

    @property
    def names(self):
        return [column.name for column in self.columns]

    @property
    def targets(self):
        return {column.name: column for column in self.columns[:-2]}

    @property
    def cleared(self):
        return ("old",) if self.clears else ()

    @property
    def others(self):
        return ("extra",) if self.clears else ("extra", "old")

    @property
    def staged(self):
        lines = range(1, len(self.rows) + 1)
        values = zip(*[(*row, line) for row, line in zip(self.rows, lines, strict=True)], strict=True)
        return pa.table([pa.array(v, f.type) for v, f in zip(values, self.of.arrow, strict=True)], self.of.arrow)

    @property
    def activated(self):
        return [Activation(self.of, version, line) for version, line in self.activations]


def session():
    """An empty database."""
    return SQLiteFile(":memory:", 0).open()


def by_sql(given, merge=Merge.UPDATE, into=None, *, has_temporary=True):
    """The table's rows afterwards, sorted, and what was done to them."""
    sql, database = (
        structs.replace(STATEMENTS, dialect=structs.replace(DIALECT, merge=merge, has_temporary=has_temporary)),
        into or session(),
    )
    key = given.of.key if given.is_unique else ()
    database.execute(sql.create_table(TABLE, given.columns, key))
    line = TableColumn(LINE, Kind.INT, nullable=False)
    columns = [*given.targets.values(), line]
    database.execute(sql.create_table(STAGED, columns, [LINE], temporary=True))
    for row in given.have:
        database.execute(sql.insert_values(TABLE, given.names), row)
    if given.rows:
        database.load(STAGED, [*given.targets, LINE], given.staged)
    place = Place(TABLE, given.targets, given.others, given.cleared, is_unique=given.is_unique)
    staging = Staging(given.of, STAGED, place)
    steps = TableSteps("things", (staging,), tuple(given.activated))
    done = Publisher(sql).publish(database, steps, AT, lambda _: place)
    return _sorted(database.query('SELECT * FROM "things"')), done


def by_reference(given):
    """The same, by tables in memory."""
    table = MemoryTable(given.columns, given.of.key, [dict(zip(given.names, row, strict=True)) for row in given.have])
    parts = (Part(given.of, given.targets, given.cleared, given.staged.to_pylist()),) if given.rows else ()
    done = merged(table, TableSteps("things", parts, tuple(given.activated)), given.targets, AT)
    return _sorted([tuple(map(_told, row.values())) for row in table.rows]), done


def _told(value):
    """A value as a column of texts has it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _sorted(rows):
    return sorted(rows, key=repr)
