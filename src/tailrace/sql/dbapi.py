"""A session over any connection of PEP 249."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

import pyarrow as pa

from tailrace.model import TableName
from tailrace.sql.error_rules import ErrorRules

Execute = Callable[[Any, str, Sequence[object]], object]
"""Runs a statement with its parameters on a cursor, as the driver wants them."""


class Loader(Protocol):
    """The bulk verb of a database."""

    def load(self, session: Any, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert these columns of the rows; see Session.load."""


class Literals(tuple[object, ...]):
    """Parameters of a statement that takes none: `execute` writes them into it as literals. They are never logged."""

    __slots__ = ()


class DbapiSession:
    """A connection of a driver, as a Session. `known` are names for the remedies of errors.

    Where all rows come by files that the commit copies, there is no loader.
    """

    def __init__(
        self,
        connection: Any,
        rules: ErrorRules,
        loader: Loader | None,
        execute: Execute,
        known: Mapping[str, object] | None = None,
    ) -> None:
        self.connection = connection
        self.rules = rules
        self.known = known or {}
        self._loader = loader
        self._execute = execute

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; see Session."""
        with self.rules.translated(**self.known), closing(self.connection.cursor()) as cursor:
            self._execute(cursor, sql, parameters)
            return max(int(cursor.rowcount or 0), 0)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query; see Session."""
        with self.rules.translated(**self.known), closing(self.connection.cursor()) as cursor:
            self._execute(cursor, sql, parameters)
            return [tuple(row) for row in cursor.fetchall()]

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """The bulk verb; see Session."""
        if self._loader is None:
            raise TypeError("rows come by files here")
        self._loader.load(self, table, columns, rows)

    def release_memory(self) -> None:
        """Nothing: such a session keeps no more than its settings."""

    def close(self) -> None:
        """Close the connection; see Session."""
        with self.rules.translated(**self.known):
            self.connection.close()
