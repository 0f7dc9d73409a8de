"""Runs what makes tables fit: within the open transaction, apart from it, or where each statement commits by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress

from tailrace.errors import DestinationError
from tailrace.model import TableName
from tailrace.sql.dialect import Ddl, Dialect
from tailrace.sql.session import Database, LoggedSession
from tailrace.sql.unit_of_work import UnitOfWork


class Alterations:
    """How one database makes and alters tables while rows may wait in the open transaction; see Ddl."""

    def __init__(self, work: UnitOfWork, database: Database, dialect: Dialect) -> None:
        self._work = work
        self._database = database
        self._dialect = dialect

    def run(self, table: TableName, changed: Sequence[str]) -> None:
        """Run the statements, which make or alter the table."""
        match self._dialect.ddl:
            case Ddl.WITHIN:
                self._run_within(changed)
            case Ddl.OUTSIDE:
                self._run_outside(table, changed)
            case Ddl.APART if self._work.transaction and table in self._work.transaction.tables:
                self._run_behind_rows(changed)
            case Ddl.APART:
                self._run_apart(changed)

    def _run_within(self, changed: Sequence[str]) -> None:
        self._work.begun()
        for sql in changed:
            self._work.run(sql)

    def _run_behind_rows(self, changed: Sequence[str]) -> None:
        """Run them within the transaction, which has rows of the table; it goes on as it was if that fails."""
        self._work.run("SAVEPOINT tailrace_alter")
        try:
            self._run_within(changed)
        except DestinationError:
            with suppress(DestinationError):  # the connection may be what has failed
                self._work.run("ROLLBACK TO SAVEPOINT tailrace_alter")
            raise

    def _run_outside(self, table: TableName, changed: Sequence[str]) -> None:
        """Run them so that they don't commit what is open; what has rows of the table, and locks it, is undone."""
        if self._work.transaction and table in self._work.transaction.tables:
            self._work.undo(None)
        run = self._work.run_aside if self._work.transaction else self._work.run
        for sql in changed:
            run(sql)

    def _run_apart(self, changed: Sequence[str]) -> None:
        try:
            with closing(LoggedSession(self._database.open())) as session:
                for sql in (self._dialect.begin, *changed, "COMMIT"):
                    session.execute(sql)
        except DestinationError as error:
            if self._work.transaction is None or not self._work.is_transient(error):
                raise
            self._run_within(changed)  # it may be our own transaction that holds a lock, by a foreign key
