"""What Snowflake says in a way of its own: TRANSIENT, RENAME with a schema, CLONE, SHOW PRIMARY KEYS, capitals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from tailrace.model import Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.keys import by
from tailrace.sql.design import PLAIN, Design
from tailrace.sql.expressions import table_of
from tailrace.sql.glot import exp
from tailrace.sql.keys import alter_of, names_of, note
from tailrace.sql.statements import Statements


class SnowflakeStatements(Statements, frozen=True):
    """The texts of Snowflake. `is_upper`: all names are in capitals, as they are where nobody quotes them."""

    is_upper: bool = False
    # It spares what would keep the table for days after it is dropped.
    unlogged: ClassVar[str] = "TRANSIENT"

    def written(self, expression: exp.Expr) -> str:
        """The text of an expression."""
        return super().written(expression.transform(_in_capitals) if self.is_upper else expression)

    def quoted(self, name: str) -> str:
        """A name."""
        return super().quoted(name.upper() if self.is_upper else name)

    def create_noted(
        self, table: TableName, columns: Iterable[TableColumn], key: Sequence[str], design: Design = PLAIN
    ) -> list[str]:
        """CREATE TABLE with the key as its comment."""
        create = self.create_table(table, columns, (), design)
        return [f"{create} COMMENT={self.literal(note(key))}"]

    def rename_table(self, table: TableName, name: str) -> str:
        """ALTER TABLE ... RENAME, which would move the table into the session's schema if the name had none."""
        return self.alter(table, exp.AlterRename(this=table_of(TableName(name, table.schema))))

    def exchange_tables(self, new: TableName, table: TableName, old: TableName) -> list[str]:  # noqa: ARG002 as others
        """A clone of the new table in the table's place, which can be made again, and has what is granted there."""
        clone = exp.Clone(this=table_of(new))
        create = exp.Create(this=table_of(table), kind="TABLE", replace=True, clone=clone)
        return [f"{self.written(create)} COPY GRANTS", self.drop_table(new)]

    def resume_layout(self, table: TableName, design: Design) -> list[str]:
        """RESUME RECLUSTER: a clone is clustered as its source is, and isn't kept so by itself."""
        return [f"ALTER TABLE {self.table(table)} RESUME RECLUSTER"] if design.cluster_by else []

    def show_key(self, table: TableName) -> str:
        """SHOW PRIMARY KEYS, which nothing else tells the columns of."""
        return f"SHOW PRIMARY KEYS IN TABLE {self.table(table)}"

    def layout_of(self, design: Design) -> str:
        """CLUSTER BY; see Statements."""
        if not design.cluster_by:
            return ""
        return f" CLUSTER BY ({self.names(design.cluster_by)})"


def rekey(stream: Stream, have: tuple[str, ...], _: str | None) -> str:
    """How a table gets the stream's key; see Traits."""
    table = alter_of(stream, "snowflake")
    drop = f"{table} DROP PRIMARY KEY; " if have else ""
    return by(f"{drop}{table} ADD PRIMARY KEY ({names_of(stream.key, 'snowflake')})", stream)


def _in_capitals(node: exp.Expr) -> exp.Expr:
    return exp.to_identifier(node.name.upper(), quoted=True) if isinstance(node, exp.Identifier) else node
