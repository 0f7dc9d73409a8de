"""What Redshift says in a way of its own: no names for the table of a DELETE, and LOCK where a key would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tailrace.model import TableName
from tailrace.sql.design import Design
from tailrace.sql.expressions import keys_equal, table_of
from tailrace.sql.glot import exp
from tailrace.sql.keys import names_of
from tailrace.sql.statements import Statements


class RedshiftStatements(Statements, frozen=True):
    """The texts of Redshift."""

    mark: ClassVar[str] = "%s"

    def deleting(self, table: TableName, rows: exp.Select, key: Sequence[str]) -> exp.Delete:
        """DELETE; the table of a DELETE can't have another name in its condition."""
        has_key = rows.select(exp.Literal.number(1), copy=False).where(keys_equal(key, table, "s"), copy=False)
        return exp.Delete(this=table_of(table), where=exp.Where(this=exp.Exists(this=has_key)))

    def layout_of(self, design: Design) -> str:
        """DISTKEY and SORTKEY; see Statements."""
        distributed = f" DISTSTYLE KEY DISTKEY ({names_of([design.dist_key], 'redshift')})" if design.dist_key else ""
        is_sorted = f" COMPOUND SORTKEY ({names_of(design.sort_keys, 'redshift')})" if design.sort_keys else ""
        return distributed + is_sorted

    def lock_table(self, table: TableName) -> str:
        """LOCK, since keys aren't enforced."""
        return f"LOCK {self.table(table)}"
