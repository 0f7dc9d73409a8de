"""What PostgreSQL says in a way of its own: WITH its options, and an upsert of each key's last row in one statement."""

from __future__ import annotations

from collections.abc import Collection

from tailrace.model import LINE, TableName
from tailrace.sql.design import Design
from tailrace.sql.expressions import column_of, identifier, joined, keys_equal, rows_of, segment, table_of
from tailrace.sql.glot import exp
from tailrace.sql.selections import Upsert
from tailrace.sql.statements import Statements

_LAST, _DONE = TableName("_tailrace_last"), TableName("_tailrace_done")


class PostgresStatements(Statements, frozen=True):
    """The texts of PostgreSQL."""

    def layout_of(self, design: Design) -> str:
        """WITH the options, as `fillfactor`; see Statements."""
        options = ", ".join(f"{name} = {self.literal(value)}" for name, value in design.options.items())
        return f" WITH ({options})" if options else ""

    def upsert_last(self, upsert: Upsert, texts: Collection[str]) -> str:
        """One statement, of which all parts see the table as it was before; see Statements.

        A sort finds the last rows faster than joins do, and texts sort fastest byte by byte.
        """
        last = rows_of(upsert.staging, *map(column_of, upsert.columns)).where(segment(), copy=False)
        last = last.distinct(*(_sorted_by(name, texts) for name in upsert.key), copy=False)
        order = exp.Ordered(this=column_of(LINE), desc=True, nulls_first=True)
        last = last.order_by(*(_sorted_by(name, texts) for name in upsert.key), order, copy=False)
        counts = [exp.Count(this=exp.Star()), exp.Count(this=column_of(upsert.key[0], "t"))]
        found = joined(
            rows_of(_LAST, *counts, alias="w"),
            table_of(upsert.table, "t"),
            keys_equal(upsert.key, "t", "w"),
            keeps_all=True,
        )
        insert = self.inserting(upsert, rows_of(_LAST, *map(column_of, upsert.columns)))
        parts = [
            exp.CTE(this=rows, alias=exp.TableAlias(this=identifier(name.name)))
            for name, rows in ((_LAST, last), (_DONE, insert))
        ]
        found.set("with_", exp.With(expressions=parts))
        return self.written(found)


def _sorted_by(name: str, texts: Collection[str]) -> exp.Expr:
    """A column of the key; a text is told apart by its bytes."""
    if name not in texts:
        return column_of(name)
    return exp.Collate(this=column_of(name), expression=identifier("C"))
