"""Statements on tables and their rows, as SQL text; see expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlglot import exp

from tailrace.model import TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dialect import Dialect
from tailrace.sql.expressions import column_of, identifier, insert_into, is_mysql, segment, table_of, written
from tailrace.sql.keys import note

_MYSQL_COMMENT = 2048
"""The characters that a table's comment may have there."""

_PROPERTIES = {"temporary": exp.TemporaryProperty, "unlogged": exp.UnloggedProperty}


def create_schema(dialect: Dialect, schema: str) -> str:
    """CREATE SCHEMA, unless it exists."""
    return written(dialect, exp.Create(this=exp.Table(db=identifier(schema)), kind="SCHEMA", exists=True))


def create_table(
    dialect: Dialect, table: TableName, columns: Iterable[TableColumn], key: Sequence[str] = (), **kind: bool
) -> str:
    """CREATE TABLE; `temporary`, `unlogged` and `exists` (IF NOT EXISTS) are its kinds."""
    parts: list[exp.Expression] = [_definition(dialect, column) for column in _with_key(dialect, columns, key)]
    if key:
        parts.append(exp.PrimaryKey(expressions=[identifier(name) for name in key]))
    properties = [made() for name, made in _PROPERTIES.items() if kind.get(name)]
    create = exp.Create(
        this=exp.Schema(this=table_of(table), expressions=parts),
        kind="TABLE",
        exists=kind.get("exists", False),
        properties=exp.Properties(expressions=properties) if properties else None,
    )
    return written(dialect, create)


def create_noted(dialect: Dialect, table: TableName, columns: Iterable[TableColumn], key: Sequence[str]) -> list[str]:
    """CREATE TABLE of a table whose key is noted, as `key: ["a", "b"]`: as its comment, or within its own text."""
    create = create_table(dialect, table, columns)
    text = note(key)
    if dialect.sqlglot == "sqlite":  # which has no comments on tables, and keeps the statement
        text = text.replace("*/", r"*\/")
        return [f"{create.removesuffix(')')} /* {text} */)"]
    if is_mysql(dialect):
        is_held = len(text) <= _MYSQL_COMMENT
        return [f"{create} COMMENT={written(dialect, exp.Literal.string(text))}" if is_held else create]
    comment = exp.Comment(this=table_of(table), kind="TABLE", expression=exp.Literal.string(text))
    return [create, written(dialect, comment)]


def add_column(dialect: Dialect, table: TableName, column: TableColumn) -> str:
    """ALTER TABLE that adds a column."""
    return _alter(dialect, table, _definition(dialect, column))


def alter_type(dialect: Dialect, table: TableName, column: TableColumn) -> str:
    """ALTER TABLE that gives a column another type."""
    # MySQL's form says all of the column anew.
    rest = " NOT NULL" if is_mysql(dialect) and not column.nullable else ""
    sql_type = exp.Var(this=dialect.spelled(column) + rest)
    return _alter(dialect, table, exp.AlterColumn(this=identifier(column.name), dtype=sql_type))


def drop_not_null(dialect: Dialect, table: TableName, column: TableColumn) -> str:
    """ALTER TABLE that lets a column be null; MySQL gives it its type anew for that."""
    if is_mysql(dialect):
        return alter_type(dialect, table, replace(column, nullable=True))
    return _alter(dialect, table, exp.AlterColumn(this=identifier(column.name), drop=True, allow_null=True))


def rename_table(dialect: Dialect, table: TableName, name: str) -> str:
    """ALTER TABLE that gives the table another name, in the same schema."""
    if is_mysql(dialect):  # where a name without schema is one of the session's database
        names = [written(dialect, table_of(to)) for to in (table, TableName(name, table.schema))]
        return "RENAME TABLE {} TO {}".format(*names)
    return _alter(dialect, table, exp.AlterRename(this=exp.Table(this=identifier(name))))


def drop_table(dialect: Dialect, table: TableName) -> str:
    """DROP TABLE, if it exists."""
    return written(dialect, exp.Drop(tables=[table_of(table)], kind="TABLE", exists=True))


def drop_temporary(dialect: Dialect, table: TableName) -> str:
    """DROP TABLE of a temporary table, which ends no transaction."""
    return written(dialect, exp.Drop(tables=[table_of(table)], kind="TABLE", temporary=is_mysql(dialect)))


def exchange_tables(dialect: Dialect, new: TableName, table: TableName, old: TableName) -> str:
    """RENAME TABLE of the table to the old one's name and of the new one to the table's, in one step."""
    names = [written(dialect, table_of(name)) for name in (table, old, new, table)]
    return "RENAME TABLE {} TO {}, {} TO {}".format(*names)


def count_rows(dialect: Dialect, table: TableName) -> str:
    """The number of the table's rows."""
    return written(dialect, exp.select(exp.Count(this=exp.Star())).from_(table_of(table)))


def insert_values(dialect: Dialect, table: TableName, columns: Sequence[str], count: int = 1) -> str:
    """INSERT of so many rows, each with a parameter for each column."""
    rows = [exp.Tuple(expressions=[exp.Placeholder() for _ in columns]) for _ in range(count)]
    return written(dialect, insert_into(table, columns, exp.Values(expressions=rows)))


def insert_from(dialect: Dialect, table: TableName, columns: Sequence[str], source: TableName) -> str:
    """INSERT of all rows of a source that has these columns."""
    rows = exp.select(*(column_of(name) for name in columns)).from_(table_of(source))
    return written(dialect, insert_into(table, columns, rows))


def delete_rows(dialect: Dialect, table: TableName) -> str:
    """DELETE of all rows."""
    return written(dialect, exp.Delete(this=table_of(table)))


def delete_lines(dialect: Dialect, staging: TableName) -> str:
    """DELETE of the staged rows from line ? to before line ?."""
    return written(dialect, exp.Delete(this=table_of(staging), where=exp.Where(this=segment())))


def _with_key(dialect: Dialect, columns: Iterable[TableColumn], key: Sequence[str]) -> list[TableColumn]:
    """The columns, with the types that they have in a key."""
    columns = list(columns)
    keyed = {c.name: dialect.key_types.get(c.kind) for c in columns if c.name in key and c.kind and not c.sql_type}
    types = {name: spelled for name, spelled in keyed.items() if spelled}
    return [replace(c, sql_type=types[c.name](len(types))) if c.name in types else c for c in columns]


def _definition(dialect: Dialect, column: TableColumn) -> exp.ColumnDef:
    not_null = [] if column.nullable else [exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())]
    return exp.ColumnDef(this=identifier(column.name), kind=exp.Var(this=dialect.spelled(column)), constraints=not_null)


def _alter(dialect: Dialect, table: TableName, action: exp.Expression) -> str:
    return written(dialect, exp.Alter(this=table_of(table), kind="TABLE", actions=[action]))
