"""One session of a database, and what waits in its open transaction."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from msgspec import Struct, field

from tailrace.errors import DestinationError
from tailrace.model import TableName
from tailrace.sql.session import Database, LoggedSession, Session


class Transaction(Struct):
    """An open transaction: `rows` that are in their tables already, by stream, and the `tables` that they are in."""

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    rows: dict[str, int] = field(default_factory=dict)
    tables: set[TableName] = field(default_factory=set)

    def add(self, stream: str, table: TableName, rows: int) -> None:
        """Note rows that have gone into their table."""
        self.rows[stream] = self.rows.get(stream, 0) + rows
        self.tables.add(table)


class UnitOfWork:
    """A session, opened when it is needed, and its transaction, begun when there is none. `begin` is what begins it.

    `undoes_temporary`: ROLLBACK undoes temporary tables; otherwise they are gone with their session.
    """

    def __init__(self, database: Database, begin: str, *, undoes_temporary: bool = True) -> None:
        self.lost: BaseException | None = None
        """Why what waited was undone."""
        self.transaction: Transaction | None = None
        self._database = database
        self._begin = begin
        self._undoes_temporary = undoes_temporary
        self._session: Session | None = None
        self._opening: Future[Session] | None = None
        self._aside: Session | None = None

    @property
    def session(self) -> Session:
        """The session."""
        if self._session is None:
            opening, self._opening = self._opening, None
            self._session = LoggedSession(opening.result() if opening else self._database.open())
        return self._session

    def open_ahead(self) -> None:
        """Begin to open the session in a thread; what that fails with is raised where the session is needed first."""
        threads = ThreadPoolExecutor(1, "tailrace-connect")
        self._opening = threads.submit(self._database.open)
        threads.shutdown(wait=False)

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; the number of rows it has changed."""
        return self.session.execute(sql, parameters)

    def run_aside(self, sql: str) -> None:
        """Run a statement over a session of its own, which leaves the open transaction as it is."""
        if self._aside is None:
            self._aside = LoggedSession(self._database.open())
        self._aside.execute(sql)

    def begun(self) -> Transaction:
        """The open transaction, which is begun when there is none."""
        if self.transaction is None:
            self.run(self._begin)
            self.transaction = Transaction()
        return self.transaction

    def commit(self) -> None:
        """Commit the transaction; where that fails it is still the open one, since its outcome isn't known."""
        self.run("COMMIT")
        self.transaction = None

    def undo(self, error: BaseException | None) -> None:
        """Undo the transaction; `error` is why. A connection that may be what has failed is closed."""
        self.lost = error
        if self.transaction is not None:
            self.transaction = None
            try:
                self.run("ROLLBACK")
            except DestinationError:
                self.disconnect()  # what a session has open is undone when it is closed
            if not self._undoes_temporary:
                self.disconnect()
        if isinstance(error, DestinationError) and self.is_transient(error):
            self.disconnect()

    def disconnect(self) -> None:
        """Close the sessions; what is open is undone."""
        sessions, self._session, self._aside = [self._session, self._aside], None, None
        opening, self._opening = self._opening, None
        self.transaction = None
        if opening is not None:
            with suppress(DestinationError):
                sessions.append(opening.result())
        for session in sessions:
            if session is not None:
                with suppress(DestinationError):
                    session.close()

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated."""
        return self._database.rules.is_transient(error.__cause__)


def run_own(work: UnitOfWork, setting: str, statements: Sequence[str]) -> None:
    """Run the statements of a setting. No row is to blame for what they fail with, whatever the database says."""
    for sql in statements:
        try:
            work.run(sql)
        except DestinationError as error:
            cause = error.__cause__ if work.is_transient(error) else error
            raise DestinationError(f"`{setting}`, {sql!r}: {error}") from cause
