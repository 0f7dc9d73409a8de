"""Tables in which rows wait for their commit, filled over several sessions at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa

from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import Batch, Stream, TableName
from tailrace.sql import statements
from tailrace.sql.dialect import Dialect
from tailrace.sql.publish import Staging
from tailrace.sql.session import Database, LoggedSession, Session


class StagingTables:
    """The staging tables of the checkpoint that is being loaded, one for each revision of a stream. Thread-safe.

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
        """The tables, in the order in which they were made."""
        return [*self._stagings.values()]

    def of(self, stream: Stream, make: Callable[[Session, int], Staging]) -> Staging:
        """The stream's table; where there is none yet, `make` makes the one of that number."""
        with self._lock:
            if stream not in self._stagings:
                self._made += 1
                with self._borrowed() as session:
                    self._stagings[stream] = make(session, self._made)
            return self._stagings[stream]

    def load(self, staging: Staging, batch: Batch, rows: pa.Table) -> None:
        """Load the batch's rows, as the table takes them; all or none."""
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

    def discard(self) -> None:
        """Drop the tables. Raises DestinationError where that fails; recover() finds what is left."""
        stagings, self._stagings = self.tables, {}
        self._tried.clear()
        if stagings:
            with self._borrowed() as session:
                for staging in stagings:
                    session.execute(statements.drop_table(self._dialect, staging.table))

    def close(self) -> None:
        """Drop the tables, as far as that goes, and let go of the sessions."""
        with suppress(DestinationError):
            self.discard()
        while self._idle:
            with suppress(DestinationError):
                self._idle.pop().close()

    @contextmanager
    def _borrowed(self) -> Iterator[Session]:
        """A session; it is given back unless an error leaves it in doubt."""
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
            raise
        self._idle.append(session)
