"""Ready bulk verbs, for databases that have none of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
from msgspec import Struct

from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import TableName
from tailrace.sql.dbapi import DbapiSession

Insert = Callable[[TableName, Sequence[str], int], str]
"""Gives INSERT of so many rows in these columns of a table, each with a parameter for each column."""


def _plain(values: pa.ChunkedArray) -> list[object]:
    return list(values.to_pylist())


class InsertRows(Struct, frozen=True):
    """INSERT of many rows at once. Of rows that the database refuses it isn't said which they are.

    `values` gives a column's values as the driver takes them. A statement has at most `at_once` rows, `max_parameters`
    values and about `max_bytes`.
    """

    insert: Insert
    values: Callable[[pa.ChunkedArray], list[object]] = _plain
    at_once: int = 500
    max_parameters: int = 32_000
    max_bytes: int = 4 * 2**20

    def load(self, session: DbapiSession, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert the rows; see Session.load."""
        by_size = rows.num_rows * self.max_bytes // max(rows.nbytes, 1)
        at_once = max(1, min(self.at_once, self.max_parameters // len(columns), by_size))
        for start in range(0, rows.num_rows, at_once):
            part = rows.select(list(columns)).slice(start, at_once)
            given = [value for row in zip(*map(self.values, part.columns), strict=True) for value in row]
            try:
                session.execute(self.insert(table, columns, part.num_rows), given)
            except DestinationError as error:
                if not session.rules.is_about_rows(error.__cause__):
                    raise
                raise RowsRefusedError(f"the table {table} refuses rows: {error}") from error.__cause__
