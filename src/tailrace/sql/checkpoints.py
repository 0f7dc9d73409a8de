"""The checkpoint table: one row for each pipeline, changed by compare-and-swap."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tailrace.errors import FencedError
from tailrace.model import Checkpoint, Kind, TableName
from tailrace.pipelines import is_unnamed
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import digest
from tailrace.sql.expressions import column_of, is_given, table_of
from tailrace.sql.glot import exp
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements

TABLE = "_tailrace_checkpoints"
"""The name of the table, in the destination's default schema."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_TURNS = ""
"""The pipeline of no run."""

_COLUMNS = (
    TableColumn("pipeline", Kind.TEXT, nullable=False),
    TableColumn("number", Kind.INT, nullable=False),
    TableColumn("fence", Kind.TEXT, nullable=False),
    TableColumn("state", Kind.TEXT),
    TableColumn("committed_at", Kind.TIMESTAMPTZ),
)


@dataclass(frozen=True, slots=True)
class Row:
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
        return self._ready("create") or self._statements.create_table(self.table, _COLUMNS, ("pipeline",), exists=True)

    @property
    def read(self) -> str:
        """Number, fence, state and time (as text) of the pipeline ?."""
        if ready := self._ready("read"):
            return ready
        at = exp.cast(column_of("committed_at"), "TEXT").as_("committed_at", quoted=True)
        row = exp.select(column_of("number"), column_of("fence"), column_of("state"), at).from_(table_of(self.table))
        return self._statements.written(row.where(is_given("pipeline")))

    @property
    def insert(self) -> str:
        """INSERT of a pipeline's row: pipeline ?, number ?, fence ?."""
        if ready := self._ready("insert"):
            return ready
        names = [column.name for column in _COLUMNS[:3]]
        into = exp.Schema(this=table_of(self.table), expressions=[exp.to_identifier(n, quoted=True) for n in names])
        row = exp.Tuple(expressions=[exp.Placeholder() for _ in names])
        return self._statements.written(exp.Insert(this=into, expression=exp.Values(expressions=[row])))

    @property
    def take(self) -> str:
        """UPDATE that gives the fence ? to the pipeline ?."""
        if ready := self._ready("take"):
            return ready
        return self._statements.written(
            exp.Update(
                this=table_of(self.table),
                expressions=[is_given("fence")],
                where=exp.Where(this=is_given("pipeline")),
            )
        )

    @property
    def advance(self) -> str:
        """UPDATE to number ?, state ?, time ?, where pipeline is ?, number is ? and fence is ?."""
        if ready := self._ready("advance"):
            return ready
        changes = [is_given(name) for name in ("number", "state", "committed_at")]
        # A conflict with a run that takes over may be found only where both write the same column.
        changes.append(exp.EQ(this=column_of("fence"), expression=column_of("fence")))
        return self._statements.written(exp.Update(this=table_of(self.table), expressions=changes, where=_expected()))

    @property
    def forget(self) -> str:
        """DELETE where pipeline is ?, number is ? and fence is ?."""
        if ready := self._ready("forget"):
            return ready
        return self._statements.written(exp.Delete(this=table_of(self.table), where=_expected()))

    def _ready(self, name: str) -> str | None:
        """The statement that the dialect has ready, where the table's name needs no more than quotes around it."""
        text = self._statements.dialect.checkpoints.get(name)
        names = [self.table.schema or "", self.table.name]
        if text is None or not all(_PLAIN_NAME.fullmatch(name) for name in names):
            return None
        return text.format(table=".".join(f'"{name}"' for name in names))


def _instant(text: str) -> datetime:
    """A time as the database writes it, which is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _expected() -> exp.Where:
    return exp.Where(this=exp.and_(*(is_given(name) for name in ("pipeline", "number", "fence"))))


def prefix(pipeline: str) -> str:
    """What the names of tables begin with that a pipeline builds beside others."""
    return f"_tailrace_new_{digest(pipeline)}_"
