"""What the kit asks of a database's driver: a session of five verbs, and where sessions come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from tailrace.errors import DestinationError
from tailrace.log import get_logger
from tailrace.model import TableName
from tailrace.sql.error_rules import ErrorRules

_log = get_logger("sql")


class Session(Protocol):
    """A connection to the database. Used by one thread at a time; raises DestinationError from the driver's error."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement, BEGIN and COMMIT among them; the number of rows it has changed, where that is known."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query."""

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """The bulk verb: insert these columns of the rows, which carry LINE whether it is loaded or not.

        All of the rows or none. Raises RowsRefusedError when the database refuses values; then the open transaction
        goes on as if the call hadn't been.
        """

    def release_memory(self) -> None:
        """Give back memory that the database keeps for later, between two checkpoints; no transaction is open."""

    def close(self) -> None:
        """Close the connection; an open transaction is undone. Repeatable."""


class Database(Protocol):
    """Where sessions come from. Picklable."""

    def open(self) -> Session:
        """A new session; raises DestinationError when there is none to be had."""

    def exists(self) -> bool:
        """Whether there is a database already; false where opening would make one."""

    def check(self) -> Sequence[str]:
        """A sentence for each thing found when connecting: where it is, what may be created there."""

    @property
    def rules(self) -> ErrorRules:
        """What the driver's errors mean."""


class LoggedSession:
    """A session whose statements go to the log at debug level; values never do."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; see Session."""
        try:
            changed = self._session.execute(sql, parameters)
        except DestinationError:
            _log.debug("statement failed", sql=sql)
            raise
        _log.debug("statement", sql=sql, rows=changed)
        return changed

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query; see Session."""
        return self._session.query(sql, parameters)

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """The bulk verb; see Session."""
        self._session.load(table, columns, rows)
        _log.debug("load", table=str(table), rows=rows.num_rows)

    def release_memory(self) -> None:
        """Give back memory; see Session."""
        self._session.release_memory()

    def close(self) -> None:
        """Close the connection; see Session."""
        self._session.close()
