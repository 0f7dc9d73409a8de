"""The checkpoint table: one row for each pipeline, changed by compare-and-swap."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from tailrace.errors import FencedError
from tailrace.model import Checkpoint, Kind, TableName
from tailrace.pipelines import is_unnamed
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import digest
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements

TABLE = "_tailrace_checkpoints"
"""The name of the table, in the destination's default schema."""

_TURNS = ""
"""The pipeline of no run."""

_COLUMNS = (
    TableColumn("pipeline", Kind.TEXT, nullable=False),
    TableColumn("number", Kind.INT, nullable=False),
    TableColumn("fence", Kind.TEXT, nullable=False),
    TableColumn("state", Kind.TEXT),
    TableColumn("committed_at", Kind.TIMESTAMPTZ),
)


_EXPECTED = ("pipeline", "number", "fence")


class Row(Struct, frozen=True):
    """What the table says of a pipeline; `at` is None before its first commit."""

    number: int
    fence: str
    state: bytes | None
    at: datetime | None

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        """The last checkpoint, None before the first commit."""
        return Checkpoint(pipeline, self.number, self.state, self.at) if self.at else None


class Checkpoints:
    """One database's checkpoint table: the statements, and what is done with them in a session.

    The `pipeline` has one of its own where it would be in the way of others.
    """

    def __init__(self, statements: Statements, schema: str | None, pipeline: str = "") -> None:
        is_own = statements.dialect.excludes_by_table and pipeline and not is_unnamed(pipeline)
        self.table = TableName(f"{TABLE}_{digest(pipeline)}" if is_own else TABLE, schema)
        self._statements = statements
        self._begin = statements.dialect.begin

    def row(self, session: Session, pipeline: str) -> Row | None:
        """The pipeline's row."""
        rows = session.query(self.read, (pipeline,))
        if not rows:
            return None
        number, fence, state, at = rows[0]
        return Row(
            number=int(str(number)),
            fence=str(fence),
            state=None if state is None else str(state).encode(),
            at=None if at is None else _instant(str(at)),
        )

    def take_over(self, session: Session, pipeline: str, fence: str) -> Row | None:
        """The pipeline's row, None if it had none; from here on it has that fence.

        It is read only once it is ours: a commit of the run before this one may be under way, which is waited for.
        """
        if lock := self._statements.lock_table(self.table):  # else two first runs might look at once
            session.execute(lock)
        if not self._statements.dialect.enforces_keys:
            self._take_turns(session, fence)
        if session.execute(self.take, (fence, pipeline)):
            return self.row(session, pipeline)
        session.execute(self.insert, (pipeline, 0, fence))
        return None

    def _take_turns(self, session: Session, fence: str) -> None:
        """Write to a row that every run writes to first, so that of two first runs one has to wait, or to try again."""
        while not session.execute(self.take, (fence, _TURNS)):
            for sql, parameters in ((self.insert, (_TURNS, 0, fence)), ("COMMIT", ()), (self._begin, ())):
                session.execute(sql, parameters)

    def store(self, session: Session, checkpoint: Checkpoint, fence: str) -> None:
        """Make the checkpoint the pipeline's last; raises FencedError unless the fence and the one before are there."""
        expected = (checkpoint.pipeline, checkpoint.number - 1, fence)
        if checkpoint.is_forgotten:
            changed = session.execute(self.forget, expected)
        else:
            state = None if checkpoint.state is None else checkpoint.state.decode()
            at = checkpoint.at.astimezone(UTC)
            changed = session.execute(self.advance, (checkpoint.number, state, at, *expected))
        if changed != 1:
            raise FencedError(checkpoint.pipeline)

    def has_landed(self, row: Row | None, checkpoint: Checkpoint) -> bool:
        """Whether the pipeline's row says that the checkpoint was committed."""
        if row is None:
            return checkpoint.is_forgotten
        return row.number == checkpoint.number and row.at == checkpoint.at

    @property
    def create(self) -> str:
        """CREATE TABLE, unless it exists."""
        return self._statements.create_table(self.table, _COLUMNS, ("pipeline",), exists=True)

    @property
    def read(self) -> str:
        """Number, fence, state and time (as text) of the pipeline ?."""
        columns = ("number", "fence", "state")
        return self._statements.select_given(self.table, columns, ["pipeline"], texts=["committed_at"])

    @property
    def insert(self) -> str:
        """INSERT of a pipeline's row: pipeline ?, number ?, fence ?."""
        return self._statements.insert_values(self.table, [column.name for column in _COLUMNS[:3]])

    @property
    def take(self) -> str:
        """UPDATE that gives the fence ? to the pipeline ?."""
        return self._statements.update_given(self.table, ["fence"], ["pipeline"])

    @property
    def advance(self) -> str:
        """UPDATE to number ?, state ?, time ?, where pipeline is ?, number is ? and fence is ?."""
        changes = ("number", "state", "committed_at")
        # A conflict with a run that takes over may be found only where both write the same column.
        return self._statements.update_given(self.table, changes, _EXPECTED, same=["fence"])

    @property
    def forget(self) -> str:
        """DELETE where pipeline is ?, number is ? and fence is ?."""
        return self._statements.delete_given(self.table, _EXPECTED)


def _instant(text: str) -> datetime:
    """A time as the database writes it, which is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def prefix(pipeline: str) -> str:
    """What the names of tables begin with that a pipeline builds beside others."""
    return f"_tailrace_new_{digest(pipeline)}_"
