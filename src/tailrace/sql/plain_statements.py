"""The SQL texts that a plain load needs, written without sqlglot, which takes longer to import than many a load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec import Struct, structs

from tailrace.model import LINE, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.design import PLAIN, Design
from tailrace.sql.dialect import Dialect
from tailrace.sql.keys import note
from tailrace.sql.quoting import literal, quoted


class PlainStatements(Struct, frozen=True):
    """Texts of one dialect: identifiers are always quoted, and values are parameters, `?`."""

    dialect: Dialect
    unlogged: ClassVar[str] = "UNLOGGED"
    """What makes a table one that needn't outlive a crash."""
    mark: ClassVar[str] = "?"
    """What stands for a value."""

    def quoted(self, name: str) -> str:
        """A name."""
        return quoted(name, self.dialect.sqlglot, self.dialect.quote)

    def names(self, names: Iterable[str]) -> str:
        """Names, one behind the other."""
        return ", ".join(map(self.quoted, names))

    def table(self, table: TableName) -> str:
        """The name of a table, with its schema if it has one."""
        return ".".join(self.quoted(name) for name in (table.schema, table.name) if name)

    @property
    def within_lines(self) -> str:
        """WHERE a row stands from line ? to before line ?."""
        line = self.quoted(LINE)
        return f" WHERE {line} >= {self.mark} AND {line} < {self.mark}"

    def create_schema(self, schema: str) -> str:
        """CREATE SCHEMA, unless it exists."""
        return f"CREATE SCHEMA IF NOT EXISTS {self.quoted(schema)}"

    def create_table(
        self,
        table: TableName,
        columns: Iterable[TableColumn],
        key: Sequence[str] = (),
        design: Design = PLAIN,
        *,
        temporary: bool = False,
        unlogged: bool = False,
        exists: bool = False,
    ) -> str:
        """CREATE TABLE, or CREATE TABLE IF NOT EXISTS where it may be there."""
        parts = [self.definition(column) for column in self.with_key(columns, key)]
        if key:
            parts.append(f"PRIMARY KEY ({self.names(key)})")
        kind = "TEMPORARY TABLE" if temporary else f"{self.unlogged} TABLE" if unlogged else "TABLE"
        create = f"CREATE {kind} {'IF NOT EXISTS ' if exists else ''}{self.table(table)} ({', '.join(parts)})"
        return create + self.layout_of(design)

    def create_noted(
        self, table: TableName, columns: Iterable[TableColumn], key: Sequence[str], design: Design = PLAIN
    ) -> list[str]:
        """CREATE TABLE of a table whose key is noted, as `key: ["a", "b"]`: as its comment."""
        comment = f"COMMENT ON TABLE {self.table(table)} IS {literal(note(key), self.dialect.sqlglot)}"
        return [self.create_table(table, columns, (), design), comment]

    def layout_of(self, design: Design) -> str:  # noqa: ARG002 each database has its own
        """What stands behind the columns of CREATE TABLE for that layout."""
        return ""

    def add_column(self, table: TableName, column: TableColumn) -> str:
        """ALTER TABLE that adds a column."""
        return f"ALTER TABLE {self.table(table)} ADD COLUMN {self.definition(column)}"

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> list[str]:
        """What adds several columns, in as few statements as may be."""
        return [self.add_column(table, column) for column in columns]

    def drop_table(self, table: TableName) -> str:
        """DROP TABLE, if it exists."""
        return f"DROP TABLE IF EXISTS {self.table(table)}"

    def definition(self, column: TableColumn) -> str:
        """A column, as CREATE TABLE and ADD COLUMN have it."""
        not_null = "" if column.nullable else " NOT NULL"
        return f"{self.quoted(column.name)} {self.dialect.spelled(column)}{not_null}"

    def with_key(self, columns: Iterable[TableColumn], key: Sequence[str]) -> list[TableColumn]:
        """The columns, with the types that they have in a key."""
        columns, of = list(columns), self.dialect.key_types
        keyed = {c.name: of[c.kind] for c in columns if c.name in key and c.kind and c.kind in of and not c.sql_type}
        return [structs.replace(c, sql_type=keyed[c.name](len(keyed))) if c.name in keyed else c for c in columns]

    def count_rows(self, table: TableName) -> str:
        """The number of the table's rows."""
        return f"SELECT COUNT(*) FROM {self.table(table)}"

    def select_given(
        self, table: TableName, columns: Sequence[str], given: Sequence[str] = (), *, texts: Sequence[str] = ()
    ) -> str:
        """The columns, and those of `texts` as text, of the rows whose columns `given` are ?."""
        cast = [f"CAST({name} AS {self.dialect.text_cast}) AS {name}" for name in map(self.quoted, texts)]
        return f"SELECT {', '.join([*map(self.quoted, columns), *cast])} FROM {self.table(table)}{self._where(given)}"

    def update_given(
        self, table: TableName, columns: Sequence[str], given: Sequence[str], *, same: Sequence[str] = ()
    ) -> str:
        """UPDATE of columns to ?, and of those of `same` to what they are, in the rows whose columns `given` are ?."""
        changes = [*map(self._given, columns), *(f"{name} = {name}" for name in map(self.quoted, same))]
        return f"UPDATE {self.table(table)} SET {', '.join(changes)}{self._where(given)}"

    def delete_given(self, table: TableName, given: Sequence[str]) -> str:
        """DELETE of the rows whose columns `given` are ?."""
        return f"DELETE FROM {self.table(table)}{self._where(given)}"

    def _where(self, given: Sequence[str]) -> str:
        return f" WHERE {' AND '.join(map(self._given, given))}" if given else ""

    def _given(self, name: str) -> str:
        return f"{self.quoted(name)} = {self.mark}"

    def insert_values(self, table: TableName, columns: Sequence[str], count: int = 1) -> str:
        """INSERT of so many rows, each with a parameter for each column."""
        row = f"({', '.join([self.mark] * len(columns))})"
        return f"INSERT INTO {self.table(table)} ({self.names(columns)}) VALUES {', '.join([row] * count)}"

    def insert_from(self, table: TableName, columns: Sequence[str], source: TableName) -> str:
        """INSERT of all rows of a source that has these columns."""
        names = self.names(columns)
        return f"INSERT INTO {self.table(table)} ({names}) SELECT {names} FROM {self.table(source)}"

    def delete_rows(self, table: TableName) -> str:
        """DELETE of all rows."""
        return f"DELETE FROM {self.table(table)}"

    def delete_lines(self, staging: TableName) -> str:
        """DELETE of the staged rows from line ? to before line ?."""
        return f"DELETE FROM {self.table(staging)}{self.within_lines}"

    def insert_segment(self, table: TableName, columns: Sequence[str], staging: TableName) -> str:
        """INSERT of the staged rows from line ? to before line ?, in their order."""
        return f"{self.insert_from(table, columns, staging)}{self.within_lines} ORDER BY {self.quoted(LINE)}"
