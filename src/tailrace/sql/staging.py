"""Where rows wait for their commit: in tables, filled over several sessions at once, or in files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import pyarrow as pa

from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import Batch, Stream, TableName
from tailrace.sql import statements
from tailrace.sql.dialect import Dialect
from tailrace.sql.publish import Staging
from tailrace.sql.session import Database, LoggedSession, Session

Make = Callable[[int], tuple[Staging, str]]
"""Gives the staging table of a number, and the CREATE TABLE that makes it."""


class Waiting(Protocol):
    """The rows of the checkpoint that is being loaded. Thread-safe; `arrive` and `drop` are the commit's."""

    @property
    def tables(self) -> list[Staging]:
        """The staging tables, in the order in which they were asked for."""

    def begin(self, folder: str) -> None:
        """Drop what waits, and what is left in the folder by runs before this one."""

    def of(self, stream: Stream, make: Make) -> Staging:
        """The stream's staging table; where there is none yet, the one of the next number."""

    def load(self, staging: Staging, batch: Batch, rows: pa.Table) -> None:
        """Take in the batch's rows, as the table takes them; all or none, and repeatable."""

    def arrive(self, session: Session) -> None:
        """Bring all rows into the staging tables, within the session's transaction."""

    def drop(self, session: Session, staging: Staging) -> None:
        """Drop a staging table, within the session's transaction, once its rows are where they belong."""

    def discard(self) -> None:
        """Drop what waits. Raises DestinationError where that fails; the next run begins by it."""

    def close(self) -> None:
        """Drop what waits, as far as that goes, and let go of connections."""


class StagingTables:
    """Waiting, in one table for each revision of a stream, made when the first batch comes.

    A batch is loaded in a transaction of its own. Where that one's outcome isn't known, a second try begins by deleting
    the lines of the first.
    """

    def __init__(self, database: Database, dialect: Dialect) -> None:
        self._database = database
        self._dialect = dialect
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._stagings: dict[Stream, Staging] = {}
        self._tried: set[tuple[TableName, int]] = set()
        self._made = 0

    @property
    def tables(self) -> list[Staging]:
        """The tables; see Waiting."""
        return [*self._stagings.values()]

    def begin(self, folder: str) -> None:  # noqa: ARG002 what others have left are tables, which are found by name
        """Drop the tables, as far as that goes; see Waiting."""
        with suppress(DestinationError):
            self.discard()

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

    def load(self, staging: Staging, batch: Batch, rows: pa.Table) -> None:
        """Load the batch's rows, in a transaction of their own; see Waiting."""
        tried = (staging.table, batch.first_line)
        with self._borrowed() as session:
            session.execute(self._dialect.begin)
            if tried in self._tried:
                lines = (batch.first_line, batch.last_line + 1)
                session.execute(statements.delete_lines(self._dialect, staging.table), lines)
            self._tried.add(tried)
            try:
                session.load(staging.table, rows.column_names, rows)
            except RowsRefusedError:
                session.execute("ROLLBACK")
                raise
            session.execute("COMMIT")
        self._tried.discard(tried)

    def arrive(self, session: Session) -> None:
        """Nothing: rows are in the tables from the start."""

    def drop(self, session: Session, staging: Staging) -> None:
        """Nothing: the tables are dropped after the commit, since others may have them open."""

    def discard(self) -> None:
        """Drop the tables; see Waiting."""
        stagings, self._stagings = self.tables, {}
        self._tried.clear()
        if stagings:
            with self._borrowed() as session:
                for staging in stagings:
                    session.execute(statements.drop_table(self._dialect, staging.table))

    def close(self) -> None:
        """Drop the tables, as far as that goes, and let go of the sessions."""
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
