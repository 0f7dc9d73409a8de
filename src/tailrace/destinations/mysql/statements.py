"""What MySQL and MariaDB say in a way of their own: DELETE with a join, ON DUPLICATE KEY, MODIFY, RENAME TABLE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa
from msgspec import Struct, structs

from tailrace.model import Kind, Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.keys import by
from tailrace.sql.design import PLAIN, Design
from tailrace.sql.expressions import column_of, identifier, insert_into, is_set, keys_equal, subquery, table_of
from tailrace.sql.glot import exp
from tailrace.sql.keys import alter_of, names_of, note
from tailrace.sql.quoting import literal
from tailrace.sql.selections import MATCH, Upsert, nulls, winning_rows
from tailrace.sql.statements import Statements

_INDEXED = 191
"""Characters, or bytes, of a long value that an index has."""
_LONGEST_COMMENT = 2048
"""The characters that a table's comment may have."""


class MySQLStatements(Statements, frozen=True):
    """The texts of MySQL and MariaDB."""

    def create_noted(
        self, table: TableName, columns: Iterable[TableColumn], key: Sequence[str], design: Design = PLAIN
    ) -> list[str]:
        """CREATE TABLE with the key as its comment, where that isn't too long."""
        create, text = self.create_table(table, columns, (), design), note(key)
        is_held = len(text) <= _LONGEST_COMMENT
        return [f"{create} COMMENT={literal(text, self.dialect.sqlglot)}" if is_held else create]

    def indexed(self, column: TableColumn) -> exp.Expression:
        """A column, as CREATE INDEX has it: of long texts and bytes what they begin with."""
        is_long = column.kind in self.dialect.key_types and not column.sql_type
        name = self.quoted(column.name)
        return exp.Var(this=f"{name}({_INDEXED})") if is_long else column_of(column.name)

    def alter_type(self, table: TableName, column: TableColumn) -> str:
        """ALTER TABLE ... MODIFY, which says all of the column anew."""
        sql_type = exp.Var(this=self.dialect.spelled(column) + ("" if column.nullable else " NOT NULL"))
        return self.alter(table, exp.AlterColumn(this=identifier(column.name), dtype=sql_type))

    def drop_not_null(self, table: TableName, column: TableColumn) -> str:
        """ALTER TABLE ... MODIFY without NOT NULL."""
        return self.alter_type(table, structs.replace(column, nullable=True))

    def rename_table(self, table: TableName, name: str) -> str:
        """RENAME TABLE, where a name without schema is one of the session's database."""
        return self._renaming((table, TableName(name, table.schema)))

    def exchange_tables(self, new: TableName, table: TableName, old: TableName) -> list[str]:
        """RENAME TABLE of both tables in one step."""
        drop = self.drop_table(old)
        return [drop, self._renaming((table, old), (new, table)), drop]

    def drop_temporary(self, table: TableName) -> str:
        """DROP TEMPORARY TABLE, which ends no transaction."""
        return self.written(exp.Drop(tables=[table_of(table)], kind="TABLE", temporary=True))

    def winners_table(self, winners: TableName) -> exp.Expression:
        """The table of winners, with a key, as each table may have to have one: a line is there for each match."""
        kind = exp.Var(this="bigint AUTO_INCREMENT PRIMARY KEY")
        number = exp.ColumnDef(this=identifier("_tailrace_number"), kind=kind)
        return exp.Schema(this=table_of(winners), expressions=[number])

    def deleting(self, table: TableName, rows: exp.Select, key: Sequence[str]) -> exp.Delete:
        """DELETE with a join: asked whether there is such a row, the planner may compare each row with each."""
        keys = subquery(rows.select(*(column_of(name, "s") for name in key), copy=False).distinct(copy=False), "n")
        source = table_of(table, "t")
        source.set("joins", [exp.Join(this=keys, kind="INNER", on=keys_equal(key, "t", "n"))])
        return exp.Delete(tables=[table_of(TableName("t"))], this=source)

    def updating(self, upsert: Upsert) -> exp.Update:
        """UPDATE with a hint: the planner would read the table once for each row, unless it is of one table."""
        update = super().updating(upsert)
        update.set("hint", exp.Hint(expressions=[exp.func("NO_MERGE", exp.to_identifier("n"))]))
        return update

    def upsert_winners(self, upsert: Upsert) -> list[str]:
        """INSERT ... ON DUPLICATE KEY UPDATE of the rows that match, and INSERT of the others.

        A row that is new may not update another through some other unique key of the table: that is an error.
        """
        table, columns = upsert.table, upsert.columns
        fresh = self.insert_winners(table, upsert.staging, upsert.winners, columns=columns, matched=False)
        changes = [exp.EQ(this=column_of(name), expression=exp.func("VALUES", column_of(name))) for name in upsert.to]
        changes += nulls(upsert.clear)
        if not changes:
            return [fresh]
        rows = winning_rows(upsert.staging, upsert.winners, *(column_of(name, "s") for name in columns))
        insert = insert_into(table, columns, rows.where(is_set(MATCH, "w"), copy=False))
        insert.set("conflict", exp.OnConflict(duplicate=True, action=exp.var("UPDATE"), expressions=changes))
        return [self.written(insert), fresh]

    def load_data(self, table: TableName, columns: pa.Schema) -> str:
        """LOAD DATA of these columns; bytes come as hexadecimal digits."""
        fields, changes = [], []
        for place, column in enumerate(columns):
            name = self.quoted(column.name)
            fields.append(f"@v{place}" if pa.types.is_binary(column.type) else name)
            if pa.types.is_binary(column.type):
                changes.append(f"{name} = UNHEX(@v{place})")
        return (
            f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {self.table(table)} CHARACTER SET utf8mb4 "
            "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' "
            f"({', '.join(fields)})" + (f" SET {', '.join(changes)}" if changes else "")
        )

    def _renaming(self, *pairs: tuple[TableName, TableName]) -> str:
        return "RENAME TABLE " + ", ".join(f"{self.table(have)} TO {self.table(want)}" for have, want in pairs)


class ByPrimaryKey(Struct, frozen=True):
    """Changes a PRIMARY KEY that has no name. `types` are the kinds that need another type in a key."""

    types: Mapping[Kind, Callable[[int], str]]

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str | None) -> str:
        """The statement."""
        columns = [column for column in stream.columns if column.name in stream.key and column.kind in self.types]
        actions = ["DROP PRIMARY KEY"] if have and constraint != "" else []
        if stream.is_merged:
            types = {column.name: self.types[column.kind](len(columns)) for column in columns}
            modified = [f"MODIFY {names_of([name], 'mysql')} {spelled} NOT NULL" for name, spelled in types.items()]
            actions = [*modified, *actions, f"ADD PRIMARY KEY ({names_of(stream.key, 'mysql')})"]
        text = exp.Literal.string(note(stream.key)).sql(dialect="mysql")
        return by(f"{alter_of(stream, 'mysql')} {', '.join(actions) or f'COMMENT = {text}'}", stream)
