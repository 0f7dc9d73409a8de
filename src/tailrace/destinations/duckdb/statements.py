"""What DuckDB says in a way of its own: staged rows as they come, and winners without reading rows twice."""

from __future__ import annotations

from collections.abc import Sequence

from tailrace.model import TableName
from tailrace.sql.glot import exp
from tailrace.sql.selections import last_lines
from tailrace.sql.statements import Statements


class DuckDBStatements(Statements, frozen=True):
    """The texts of DuckDB."""

    def insert_segment(self, table: TableName, columns: Sequence[str], staging: TableName) -> str:
        """INSERT of the staged rows from line ? to before line ?: to sort them costs more than to insert them."""
        return self.insert_from(table, columns, staging) + self.within_lines

    def winning_lines(
        self, staging: TableName, table: TableName, key: Sequence[str], kept: Sequence[str], within: str
    ) -> exp.Select:
        """Each key's last line: no collation of a staging table makes keys equal that differ."""
        return last_lines(staging, table, key, kept, within)
