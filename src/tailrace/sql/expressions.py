"""Pieces that SQL text is built from with sqlglot: identifiers are always quoted, and values are always parameters.

Each is made for one place in one text, and used up there: sqlglot would copy them again and again.
"""

from __future__ import annotations

from collections.abc import Sequence

from tailrace.model import LINE, TableName
from tailrace.sql.glot import exp


def identifier(name: str) -> exp.Identifier:
    """A name as it is."""
    return exp.to_identifier(name, quoted=True)


def column_of(name: str, table: str | TableName | None = None) -> exp.Column:
    """A column, of the table with that alias, or of the table itself."""
    if isinstance(table, TableName):
        schema = identifier(table.schema) if table.schema else None
        return exp.Column(this=identifier(name), table=identifier(table.name), db=schema)
    return exp.Column(this=identifier(name), table=identifier(table) if table else None)


def table_of(table: TableName, alias: str | None = None) -> exp.Table:
    """A table, under an alias."""
    return exp.Table(
        this=identifier(table.name),
        db=identifier(table.schema) if table.schema else None,
        alias=exp.TableAlias(this=identifier(alias)) if alias else None,
    )


def insert_into(table: TableName, columns: Sequence[str], rows: exp.Expression) -> exp.Insert:
    """INSERT of rows in these columns."""
    into = exp.Schema(this=table_of(table), expressions=[identifier(name) for name in columns])
    return exp.Insert(this=into, expression=rows)


def rows_of(table: TableName, *values: exp.Expr, alias: str | None = None) -> exp.Select:
    """SELECT of these values from a table."""
    return exp.select(*values, copy=False).from_(table_of(table, alias), copy=False)


def subquery(rows: exp.Query, alias: str) -> exp.Subquery:
    """Rows under an alias."""
    return rows.subquery(identifier(alias), copy=False)


def joined(rows: exp.Select, source: exp.Expr, on: exp.Condition, *, keeps_all: bool = False) -> exp.Select:
    """The rows with what a source has to them, by a condition: all of them, or those alone that it has something to."""
    kind = {"side": "LEFT"} if keeps_all else {"kind": "INNER"}
    return rows.join(exp.Join(this=source, on=on, **kind), copy=False)


def every(*conditions: exp.Expr) -> exp.Condition:
    """That all of the conditions hold."""
    return exp.and_(*conditions, copy=False)


def any_of(*conditions: exp.Expr) -> exp.Condition:
    """That one of the conditions holds."""
    return exp.or_(*conditions, copy=False)


def equal(left: exp.Expr, right: exp.Expr) -> exp.EQ:
    """That two values are the same."""
    return exp.EQ(this=left, expression=right)


def segment(table: str | None = None) -> exp.Condition:
    """That a row stands from line ? to before line ?."""
    return every(
        exp.GTE(this=column_of(LINE, table), expression=exp.Placeholder()),
        exp.LT(this=column_of(LINE, table), expression=exp.Placeholder()),
    )


def between(name: str, table: str) -> exp.Condition:
    """That a column is at least ? and at most ?."""
    least, greatest = column_of(name, table), column_of(name, table)
    return every(
        exp.GTE(this=least, expression=exp.Placeholder()), exp.LTE(this=greatest, expression=exp.Placeholder())
    )


def is_null(name: str, table: str | None = None) -> exp.Expression:
    """That a column is null."""
    return exp.Is(this=column_of(name, table), expression=exp.Null())


def is_set(name: str, table: str | None = None) -> exp.Expression:
    """That a column isn't null."""
    return exp.Not(this=is_null(name, table))


def keys_equal(key: Sequence[str], left: str | TableName, right: str) -> exp.Condition:
    """That the keys of two tables are the same, value by value."""
    return every(*(equal(column_of(name, left), column_of(name, right)) for name in key))
