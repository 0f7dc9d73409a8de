"""The table of loads: what each checkpoint did to each stream's table, written in the checkpoint's own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from tailrace.model import Checkpoint, Kind, Published, TableName
from tailrace.pipelines import is_unnamed
from tailrace.schema.evolve import TableColumn
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements

TABLE = "_tailrace_loads"
"""The name of the table, beside that of checkpoints."""

_COUNTS = ("inserted", "updated", "deleted", "removals", "deduplicated", "ignored")
"""Of `model.Published`."""
_COLUMNS = (
    TableColumn("run", Kind.TEXT, nullable=False),
    TableColumn("pipeline", Kind.TEXT),
    TableColumn("checkpoint", Kind.INT, nullable=False),
    TableColumn("stream", Kind.TEXT, nullable=False),
    *(TableColumn(name, Kind.INT, nullable=False) for name in _COUNTS),
    TableColumn("started_at", Kind.TIMESTAMPTZ),
    TableColumn("committed_at", Kind.TIMESTAMPTZ),
)
_ROWS_AT_ONCE = 500
"""So that a statement has fewer values than any database takes."""


class Run(Struct, frozen=True):
    """Whoever commits: the fence, a random text that a run has alone, and when it recovered its pipeline."""

    fence: str
    started_at: datetime


class Loads:
    """One database's table of loads. Nothing but INSERTs is run on it, so that no run waits for another."""

    def __init__(self, statements: Statements, schema: str | None) -> None:
        self.table = TableName(TABLE, schema)
        self._statements = statements

    @property
    def create(self) -> str:
        """CREATE TABLE, unless it exists."""
        return self._statements.create_table(self.table, _COLUMNS, exists=True)

    def add(self, session: Session, checkpoint: Checkpoint, run: Run, published: Mapping[str, Published]) -> None:
        """Insert a row for each stream of the checkpoint, which is about to be committed."""
        rows = [_row(checkpoint, run, stream, done) for stream, done in published.items()]
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[first : first + _ROWS_AT_ONCE]
            session.execute(self.insert(len(some)), tuple(value for row in some for value in row))

    def insert(self, count: int) -> str:
        """INSERT of that many rows, with a ? for each value."""
        return self._statements.insert_values(self.table, [column.name for column in _COLUMNS], count)


def _row(checkpoint: Checkpoint, run: Run, stream: str, done: Published) -> tuple[object, ...]:
    pipeline = None if is_unnamed(checkpoint.pipeline) else checkpoint.pipeline
    return (
        run.fence,
        pipeline,
        checkpoint.number,
        stream,
        *(getattr(done, name) for name in _COUNTS),
        run.started_at.astimezone(UTC),
        checkpoint.at.astimezone(UTC),
    )
