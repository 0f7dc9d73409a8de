"""Where rows wait for their commit: in tables of the open transaction, or in ones filled over several sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar, Protocol

import pyarrow as pa
from msgspec import Struct

from tailrace.destination import Stager
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import Batch, Method, Stream, TableName
from tailrace.spool import Spool
from tailrace.sql.publisher import Staging
from tailrace.sql.session import Database, LoggedSession, Session
from tailrace.sql.stager import TableStager
from tailrace.sql.statements import Statements
from tailrace.sql.unit_of_work import UnitOfWork

Make = Callable[[int], tuple[Staging, str]]
"""Gives the staging table of a number, and the CREATE TABLE that makes it."""


def is_taken_at_commit(batch: Batch) -> bool:
    """Whether rows go into their table only at the commit, in the order of their lines.

    Others may be there before: an activation of their checkpoint takes none that come after it.
    """
    return batch.stream.is_merged or batch.is_outdated


class Waiting(Protocol):
    """The rows of the checkpoint that is being loaded. Thread-safe; `arrive` and `drop` are the commit's.

    `kind` is what staging tables are, as Statements.create_table takes it. `is_serial` says that rows go through the
    session of the commit. `spool` is where those that don't wait are kept besides, since they may have to.
    """

    kind: Mapping[str, bool]
    is_serial: bool
    spool: Spool | None

    @property
    def tables(self) -> list[Staging]:
        """The staging tables, in the order in which they were asked for."""

    def begin(self, folder: str) -> None:
        """Drop what waits, and what is left in the folder by runs before this one."""

    def takes(self, batch: Batch) -> bool:
        """Whether the batch's rows wait; otherwise they go into their table, in the open transaction."""

    def of(self, stream: Stream, make: Make) -> Staging:
        """The stream's staging table; where there is none yet, the one of the next number."""

    def stager(self, staging: Staging) -> Stager | None:
        """What has rows wait as those of that staging table do, from another process; None where none can."""

    def adopt(self, stream: Stream, make: Make, token: str) -> str:
        """Have what a stager has staged arrive with the others; the name of the staging table that has it then."""

    def load(self, staging: Staging, batch: Batch, rows: pa.Table) -> None:
        """Take in the batch's rows, as the table takes them; all or none, and repeatable."""

    def refit(self, session: Session, staging: Staging, create: str, wider: Sequence[str]) -> None:
        """Have the staging table take what its table takes by now: it is made by `create`, or altered by `wider`."""

    def expect(self, session: Session) -> None:
        """Make what `arrive` needs and no transaction can have, before it begins."""

    def arrive(self, session: Session) -> None:
        """Bring all rows into the staging tables, within the session's transaction."""

    def drop(self, session: Session, staging: Staging) -> None:
        """Drop a staging table, within the session's transaction, once its rows are where they belong."""

    def undone(self) -> None:
        """Forget what waited in the transaction, which is undone."""

    def discard(self, session: Session | None) -> None:
        """Drop what waits; the session is in no transaction. Where that fails, the next run begins by it."""

    def close(self) -> None:
        """Try to drop what waits, and close connections."""


class WaitsIn(Protocol):
    """Where rows wait, as a destination says it. Picklable."""

    @property
    def stages_all(self) -> bool:
        """Whether the rows of every stream wait, or may have to."""

    def made(self, work: UnitOfWork, database: Database, statements: Statements) -> Waiting:
        """The rows that wait of one destination."""


class InTransaction(Struct, frozen=True):
    """Rows wait in the open transaction: those that have to be merged in temporary tables, the others in their own."""

    stages_all: ClassVar[bool] = False

    def made(self, work: UnitOfWork, database: Database, statements: Statements) -> Waiting:  # noqa: ARG002 as others
        """The rows that wait of one destination; see WaitsIn."""
        return TransactionTables(work, statements)


class InTables(Struct, frozen=True):
    """Rows wait in staging tables, each batch committed by itself, over several sessions.

    `unlogged`: the tables have no log. `appends_directly`: rows that needn't wait go into their table within the
    commit's own transaction, over its session; a lost connection then ends the run, unless the rows are `spooled`.
    """

    unlogged: bool = False
    appends_directly: bool = False
    spooled: bool = False

    @property
    def stages_all(self) -> bool:
        """Whether the rows of every stream wait, or may have to; see WaitsIn."""
        return self.spooled or not self.appends_directly

    def made(self, work: UnitOfWork, database: Database, statements: Statements) -> Waiting:  # noqa: ARG002 as others
        """The rows that wait of one destination; see WaitsIn."""
        waiting = StagingTables(database, statements, unlogged=self.unlogged, appends_directly=self.appends_directly)
        waiting.spool = Spool() if self.spooled else None
        return waiting


class TransactionTables:
    """Waiting, in temporary tables of the open transaction."""

    def __init__(self, work: UnitOfWork, statements: Statements) -> None:
        self.kind: Mapping[str, bool] = {"temporary": True}
        self.is_serial = True
        self.spool: Spool | None = None
        self._work = work
        self._statements = statements
        self._stagings: dict[Stream, Staging] = {}
        self._made = 0

    @property
    def tables(self) -> list[Staging]:
        """The tables; see Waiting."""
        return [*self._stagings.values()]

    def begin(self, folder: str) -> None:
        """Nothing: what waits is undone with its transaction."""

    def takes(self, batch: Batch) -> bool:
        """Whether rows go into their table only at the commit; see Waiting."""
        return is_taken_at_commit(batch)

    def of(self, stream: Stream, make: Make) -> Staging:
        """The stream's table; see Waiting."""
        if stream not in self._stagings:
            self._work.begun()
            self._made += 1
            staging, create = make(self._made)
            self._work.run(create)
            self._stagings[stream] = staging
        return self._stagings[stream]

    def stager(self, staging: Staging) -> Stager | None:  # noqa: ARG002 as others
        """None: the transaction has one session."""
        return None

    def adopt(self, stream: Stream, make: Make, token: str) -> str:  # noqa: ARG002 as others
        """Never called, since there are no stagers."""
        raise AssertionError(f"rows of {stream.name} can't wait as {token}")

    def load(self, staging: Staging, batch: Batch, rows: pa.Table) -> None:  # noqa: ARG002 the rows are the batch's
        """Load the rows; see Waiting."""
        self._work.session.load(staging.table, rows.column_names, rows)

    def refit(self, session: Session, staging: Staging, create: str, wider: Sequence[str]) -> None:  # noqa: ARG002
        """Alter the table; see Waiting."""
        for sql in wider:
            session.execute(sql)

    def expect(self, session: Session) -> None:
        """Nothing: the tables are there."""

    def arrive(self, session: Session) -> None:
        """Nothing: rows are in the tables from the start."""

    def drop(self, session: Session, staging: Staging) -> None:
        """Drop a table; see Waiting."""
        session.execute(self._statements.drop_table(staging.table))

    def undone(self) -> None:
        """Forget the tables, which are gone; see Waiting."""
        self._stagings.clear()

    def discard(self, session: Session | None) -> None:  # noqa: ARG002 as others
        """Forget the tables, which the commit has dropped."""
        self._stagings.clear()

    def close(self) -> None:
        """Nothing: what waits is undone with its transaction."""


class StagingTables:
    """Waiting, in one table for each revision of a stream, made when the first batch comes.

    A batch is loaded in a transaction of its own. Where that one's outcome isn't known, a second try begins by deleting
    the lines of the first.
    """

    def __init__(
        self, database: Database, statements: Statements, *, unlogged: bool = False, appends_directly: bool = False
    ) -> None:
        self.kind: Mapping[str, bool] = {"unlogged": unlogged}
        self.is_serial = False
        self.spool: Spool | None = None
        self._appends_directly = appends_directly
        self._database = database
        self._statements = statements
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._stagings: dict[Stream, Staging] = {}
        self._adopted: list[Staging] = []
        self._tried: set[tuple[TableName, int]] = set()
        self._made = 0

    @property
    def tables(self) -> list[Staging]:
        """The tables; see Waiting."""
        return [*self._adopted, *self._stagings.values()]

    def begin(self, folder: str) -> None:  # noqa: ARG002 what others have left are tables, which are found by name
        """Drop the tables, as far as that goes; see Waiting."""
        with suppress(DestinationError):
            self.discard(None)

    def takes(self, batch: Batch) -> bool:
        """Whether rows wait; see Waiting."""
        is_replaced = batch.stream.method is Method.REPLACE
        return is_taken_at_commit(batch) or is_replaced or not self._appends_directly

    def of(self, stream: Stream, make: Make) -> Staging:
        """The stream's table; see Waiting."""
        with self._lock:
            if stream not in self._stagings:
                self._made += 1
                staging, create = make(self._made)
                with self._borrowed() as session:
                    session.execute(create)
                self._stagings[stream] = staging
            return self._stagings[stream]

    def stager(self, staging: Staging) -> Stager | None:
        """What fills tables of its own; see Waiting."""
        return TableStager(self._database, self._statements, staging.place, staging.table, self.kind)

    def adopt(self, stream: Stream, make: Make, token: str) -> str:
        """Take over a table that a stager has filled; see Waiting."""
        like, _ = make(0)
        with self._lock:
            self._adopted.append(Staging(stream, TableName(token, like.table.schema), like.place))
        return token

    def load(self, staging: Staging, batch: Batch, rows: pa.Table) -> None:
        """Load the batch's rows, in a transaction of their own; see Waiting."""
        tried = (staging.table, batch.first_line)
        with self._borrowed() as session:
            session.execute(self._statements.dialect.begin)
            if tried in self._tried:
                lines = (batch.first_line, batch.last_line + 1)
                session.execute(self._statements.delete_lines(staging.table), lines)
            self._tried.add(tried)
            try:
                session.load(staging.table, rows.column_names, rows)
            except RowsRefusedError:
                session.execute("ROLLBACK")
                raise
            session.execute("COMMIT")
        self._tried.discard(tried)

    def refit(self, session: Session, staging: Staging, create: str, wider: Sequence[str]) -> None:  # noqa: ARG002
        """Alter the table over a session of its own, since it may end a transaction; see Waiting."""
        with self._borrowed() as own:
            for sql in wider:
                own.execute(sql)

    def expect(self, session: Session) -> None:
        """Nothing: the tables are there."""

    def arrive(self, session: Session) -> None:
        """Nothing: rows are in the tables from the start."""

    def drop(self, session: Session, staging: Staging) -> None:
        """Nothing: the tables are dropped after the commit, since others may have them open."""

    def undone(self) -> None:
        """Nothing: rows wait in transactions of their own."""

    def discard(self, session: Session | None) -> None:  # noqa: ARG002 it has sessions of its own
        """Drop the tables; see Waiting."""
        stagings, self._stagings, self._adopted = self.tables, {}, []
        self._tried.clear()
        if stagings:
            with self._borrowed() as own:
                for staging in stagings:
                    own.execute(self._statements.drop_table(staging.table))

    def close(self) -> None:
        """Try to drop the tables, and close the sessions."""
        self.begin("")
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(DestinationError):
                self._idle.pop().close()

    @contextmanager
    def _borrowed(self) -> Iterator[Session]:
        """A session; it is given back unless an error leaves it in doubt, and then the idle ones are too."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = LoggedSession(self._database.open())
        try:
            yield session
        except RowsRefusedError:
            self._idle.append(session)
            raise
        except BaseException:
            with suppress(DestinationError):
                session.close()
            self._close_idle()
            raise
        self._idle.append(session)
