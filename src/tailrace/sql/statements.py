"""The SQL texts of a database that are built with sqlglot, beside those that are plain."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tailrace.model import LINE, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import digest
from tailrace.sql.design import Design
from tailrace.sql.expressions import (
    between,
    column_of,
    every,
    identifier,
    insert_into,
    is_null,
    is_set,
    joined,
    keys_equal,
    rows_of,
    segment,
    subquery,
    table_of,
)
from tailrace.sql.glot import exp
from tailrace.sql.plain_statements import PlainStatements
from tailrace.sql.selections import (
    MATCH,
    Mark,
    Upsert,
    Winners,
    below,
    distinct_count,
    is_marked,
    last_rows,
    lines_by_key,
    lines_equal,
    matching,
    nulls,
    source_of,
    winning_rows,
)


class Statements(PlainStatements, frozen=True):
    """The texts of one dialect. A destination's subclass says what its database says differently."""

    def written(self, expression: exp.Expr) -> str:
        """The text of an expression, which is used up by it."""
        return expression.sql(dialect=self.dialect.sqlglot, copy=False)

    def lasting(self, table: TableName) -> list[str]:  # noqa: ARG002 others keep all tables
        """What keeps a table from going by itself once it has just been made."""
        return []

    def show_key(self, table: TableName) -> str | None:  # noqa: ARG002 some show it
        """What shows a table's PRIMARY KEY, where the catalog can't be asked for it; see Tables.found."""
        return None

    def create_index(self, table: TableName, columns: Sequence[TableColumn]) -> str:
        """CREATE INDEX, under a name that no other table's index has."""
        names = [column.name for column in columns]
        index = exp.Index(
            this=identifier(f"ix_{digest(f'{table} {names}')}"),
            table=table_of(table),
            params=exp.IndexParameters(columns=[self.indexed(column) for column in columns]),
        )
        return self.written(exp.Create(this=index, kind="INDEX"))

    def indexed(self, column: TableColumn) -> exp.Expression:
        """A column, as CREATE INDEX has it."""
        return column_of(column.name)

    def literal(self, value: str | float | bool) -> str:  # noqa: FBT001 it is what is written
        """A value of the settings, as it stands in a statement."""
        return self.written(exp.convert(value))

    def alter_type(self, table: TableName, column: TableColumn) -> str:
        """ALTER TABLE that gives a column another type."""
        sql_type = exp.Var(this=self.dialect.spelled(column))
        return self.alter(table, exp.AlterColumn(this=identifier(column.name), dtype=sql_type))

    def drop_not_null(self, table: TableName, column: TableColumn) -> str:
        """ALTER TABLE that lets a column be null."""
        return self.alter(table, exp.AlterColumn(this=identifier(column.name), drop=True, allow_null=True))

    def rename_table(self, table: TableName, name: str) -> str:
        """ALTER TABLE that gives the table another name, in the same schema."""
        return self.alter(table, exp.AlterRename(this=exp.Table(this=identifier(name))))

    def exchange_tables(self, new: TableName, table: TableName, old: TableName) -> list[str]:
        """What puts the new table in the place of the table, which may be given the old one's name before it goes.

        It may end at any statement, and be begun again as long as there is the new table.
        """
        drop = self.drop_table(old)
        return [drop, self.rename_table(table, old.name), self.rename_table(new, table.name), drop]

    def resume_layout(self, table: TableName, design: Design) -> list[str]:  # noqa: ARG002 each database has its own
        """What a table needs to be kept in that layout once it has taken the place of another."""
        return []

    def drop_temporary(self, table: TableName) -> str:
        """DROP TABLE of a temporary table, within a transaction."""
        return self.written(exp.Drop(tables=[table_of(table)], kind="TABLE"))

    def alter(self, table: TableName, action: exp.Expression) -> str:
        """ALTER TABLE that does one thing."""
        return self.written(exp.Alter(this=table_of(table), kind="TABLE", actions=[action]))

    def count_segment(self, staging: TableName, marks: Sequence[Mark] = ()) -> str:
        """The number of staged rows from line ? to before line ?; with `marks`, of those that ask for deletion."""
        if not marks:
            return f"{self.count_rows(staging)}{self.within_lines}"
        rows = rows_of(staging, exp.Count(this=exp.Star())).where(segment(), is_marked(marks), copy=False)
        return self.written(rows)

    def create_winners(
        self,
        winners: TableName,
        staging: TableName,
        table: TableName,
        *,
        key: Sequence[str],
        kept: Sequence[str] = (),
        within: str = "",
    ) -> str:
        """A temporary table of the line of each key's last row from line ? to before line ?.

        Beside the line stand the MATCH in the table and the `kept` columns that the table has there; see last_rows.
        """
        rows = self.winning_lines(staging, table, key, kept, within)
        properties = exp.Properties(expressions=[exp.TemporaryProperty()])
        create = exp.Create(this=self.winners_table(winners), kind="TABLE", expression=rows, properties=properties)
        return self.written(create)

    def winning_lines(
        self, staging: TableName, table: TableName, key: Sequence[str], kept: Sequence[str], within: str
    ) -> exp.Select:
        """The rows of a table of winners; see create_winners."""
        return last_rows(staging, table, key, kept, within=within)

    def winners_table(self, winners: TableName) -> exp.Expression:
        """The table of winners, as CREATE TABLE ... AS names it."""
        return table_of(winners)

    def count_winners(self, winners: Winners) -> str:
        """The number of winners, and of those that match."""
        matched = exp.case().when(is_set(MATCH), column_of(LINE), copy=False)
        counts = exp.select(distinct_count(column_of(LINE)), distinct_count(matched), copy=False)
        return self.written(counts.from_(source_of(winners, "w"), copy=False))

    def delete_removals(self, winners: TableName, staging: TableName, marks: Sequence[Mark]) -> str:
        """DELETE of the winners whose row asks for deletion."""
        rows = rows_of(staging, column_of(LINE)).where(is_marked(marks), copy=False)
        is_removal = exp.In(this=column_of(LINE), query=rows.subquery(copy=False))
        return self.written(exp.Delete(this=table_of(winners), where=exp.Where(this=is_removal)))

    def bounds(self, staging: TableName, column: str) -> str:
        """The least and the greatest value of a column from line ? to before line ?."""
        values = [exp.Min(this=column_of(column)), exp.Max(this=column_of(column))]
        return self.written(rows_of(staging, *values).where(segment(), copy=False))

    def delete_segment(
        self, table: TableName, staging: TableName, key: Sequence[str], marks: Sequence[Mark], within: str = ""
    ) -> str:
        """DELETE of the table's rows whose key has a row from line ? to before line ? that asks for deletion.

        `within` is as in Upsert; its marks come last.
        """
        rows = rows_of(staging, alias="s").where(is_marked(marks, "s"), segment("s"), copy=False)
        delete = self.deleting(table, rows, key)
        return self.written(delete.where(between(within, "t"), copy=False) if within else delete)

    def delete_matched(self, table: TableName, staging: TableName, winners: Winners, key: Sequence[str]) -> str:
        """DELETE of the table's rows with the key of a winner."""
        return self.written(self.deleting(table, winning_rows(staging, winners), key))

    def deleting(self, table: TableName, rows: exp.Select, key: Sequence[str]) -> exp.Delete:
        """DELETE of the table's rows whose key is that of one of the staged rows, `s`."""
        has_key = rows.select(exp.Literal.number(1), copy=False).where(keys_equal(key, "t", "s"), copy=False)
        return exp.Delete(this=table_of(table, "t"), where=exp.Where(this=exp.Exists(this=has_key)))

    def update_matched(self, upsert: Upsert) -> str:
        """UPDATE of the table's rows that the winners match."""
        return self.written(self.updating(upsert))

    def updating(self, upsert: Upsert) -> exp.Update:
        """UPDATE ... FROM; see update_matched."""
        values = [column_of(name, "s") for name in (*upsert.key, *upsert.to)]
        rows = winning_rows(upsert.staging, upsert.winners, *values)
        changes = [exp.EQ(this=column_of(name), expression=column_of(name, "n")) for name in upsert.to]
        return exp.Update(
            this=table_of(upsert.table, "t"),
            expressions=changes + nulls(upsert.clear),
            from_=exp.From(this=subquery(rows, "n")),
            where=exp.Where(this=matching(upsert.key, "n", upsert.within)),
        )

    def insert_winners(
        self,
        table: TableName,
        staging: TableName,
        winners: Winners,
        *,
        columns: Sequence[str],
        kept: Sequence[str] = (),
        matched: bool | None = None,
    ) -> str:
        """INSERT of the winners' rows, with the `kept` values that stand beside them; only those that (don't) match."""
        values = [*(column_of(name, "s") for name in columns), *(column_of(name, "w") for name in kept)]
        rows = winning_rows(staging, winners, *values)
        if matched is not None:
            rows = rows.where(is_set(MATCH, "w") if matched else is_null(MATCH, "w"), copy=False)
        return self.written(insert_into(table, [*columns, *kept], rows))

    def upsert_winners(self, upsert: Upsert) -> list[str]:
        """INSERT of the winners' rows, or UPDATE where the table, whose key it is, has them."""
        rows = winning_rows(upsert.staging, upsert.winners, *(column_of(name, "s") for name in upsert.columns))
        return [self.written(self.inserting(upsert, rows))]

    def inserting(self, upsert: Upsert, rows: exp.Select) -> exp.Insert:
        """INSERT ... ON CONFLICT; see upsert_winners."""
        changes = [exp.EQ(this=column_of(name), expression=column_of(name, "excluded")) for name in upsert.to]
        changes += nulls(upsert.clear)
        insert = insert_into(upsert.table, upsert.columns, rows)
        action = exp.var("DO UPDATE" if changes else "DO NOTHING")
        conflict_keys = [*map(identifier, upsert.key)]
        insert.set("conflict", exp.OnConflict(conflict_keys=conflict_keys, action=action, expressions=changes))
        return insert

    def upsert_last(self, upsert: Upsert, texts: Collection[str]) -> str:  # noqa: ARG002 for those that override it
        """One statement for upsert_winners, with each key's last row from line ? to before line ? as its winners.

        Its row is how many these are, and how many of them the table had before. `texts` are the key's columns of text.
        Empty where the database has no such statement.
        """
        return ""

    def insert_first(
        self,
        table: TableName,
        staging: TableName,
        *,
        columns: Sequence[str],
        key: Sequence[str],
        marks: Sequence[Mark] = (),
        within: str = "",
    ) -> str:
        """INSERT of each key's first row from line ? to before line ?, where the table has no row with that key.

        With `marks` the rows that ask for deletion, and those that come before such a row of the same key, are left
        out; the two lines are then given a second time. `within` is as in Upsert; its marks come last.
        """
        rows = rows_of(staging, *(column_of(name, "s") for name in columns), alias="s")
        rows = joined(rows, lines_by_key(staging, key, exp.Min, marks), lines_equal("s", "k"))
        rows = joined(rows, table_of(table, "t"), matching(key, "s", within), keeps_all=True)
        return self.written(insert_into(table, columns, rows.where(is_null(key[0], "t"), copy=False)))

    def delete_older(self, table: TableName, version: str) -> str:
        """DELETE of the rows whose version is below ?."""
        return self.written(exp.Delete(this=table_of(table), where=exp.Where(this=below(version))))

    def mark_older(self, table: TableName, version: str, deletion: str) -> str:
        """UPDATE that sets the deletion column to ? where it is null and the version is below ?."""
        update = exp.Update(
            this=table_of(table),
            expressions=[exp.EQ(this=column_of(deletion), expression=exp.Placeholder())],
            where=exp.Where(this=every(below(version), is_null(deletion))),
        )
        return self.written(update)

    def lock_table(self, table: TableName) -> str | None:  # noqa: ARG002 some lock it
        """What keeps others from writing to the table until the transaction ends; None where its key does so."""
        return None
