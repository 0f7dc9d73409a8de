"""Queries that select rows of a lake's files by key, as SQL text; see the SQL kit's expressions."""

from __future__ import annotations

from collections.abc import Sequence

from tailrace.lake.engine import STATEMENTS
from tailrace.model import TableName
from tailrace.sql.expressions import (
    any_of,
    column_of,
    every,
    insert_into,
    is_null,
    keys_equal,
    rows_of,
    subquery,
    table_of,
)
from tailrace.sql.glot import exp


def all_of(table: TableName) -> str:
    """All rows of a table."""
    return STATEMENTS.written(rows_of(table, exp.Star()))


def create_keys(keys: TableName, tables: Sequence[TableName], key: Sequence[str]) -> str:
    """A table of the distinct keys in some tables."""
    query: exp.Query = _columns(key, tables[0])
    for table in tables[1:]:
        query = exp.union(query, _columns(key, table), copy=False)
    return STATEMENTS.written(exp.Create(this=table_of(keys), kind="TABLE", expression=_distinct(query)))


def bounds_of(keys: TableName, name: str) -> str:
    """The least and the greatest value of a column."""
    bounds = (exp.Min(this=column_of(name)), exp.Max(this=column_of(name)))
    return STATEMENTS.written(rows_of(keys, *bounds))


def insert_with_key(
    table: TableName, rows: TableName, columns: Sequence[str], keys: TableName, key: Sequence[str]
) -> str:
    """INSERT of the rows that have one of the keys."""
    found = _columns(columns, rows).where(_has_key(keys, key), copy=False)
    return STATEMENTS.written(insert_into(table, columns, found))


def without_key(rows: TableName, columns: Sequence[str], keys: TableName, key: Sequence[str]) -> str:
    """The rows that have none of the keys."""
    return STATEMENTS.written(_columns(columns, rows).where(exp.Not(this=_has_key(keys, key)), copy=False))


def count_changed(
    rows: TableName, keys: TableName, key: Sequence[str], version: str | None, deletion: str | None
) -> str:
    """The number of rows with one of the keys or, given `version`, with a version below ? and no mark in `deletion`."""
    conditions: list[exp.Expression | exp.Condition] = [_has_key(keys, key)] if key else []
    if version is not None:
        older: exp.Expression = exp.LT(this=column_of(version, "r"), expression=exp.Placeholder())
        conditions.append(every(older, is_null(deletion, "r")) if deletion else older)
    counted = rows_of(rows, exp.Count(this=exp.Star()), alias="r")
    return STATEMENTS.written(counted.where(any_of(*conditions), copy=False))


def _columns(names: Sequence[str], table: TableName) -> exp.Select:
    """Columns of a table, `r`."""
    return rows_of(table, *(column_of(name, "r") for name in names), alias="r")


def _has_key(keys: TableName, key: Sequence[str]) -> exp.Expression:
    """The condition that a row, `r`, has one of the keys."""
    found = rows_of(keys, exp.Literal.number(1), alias="k").where(keys_equal(key, "k", "r"), copy=False)
    return exp.Exists(this=found)


def _distinct(query: exp.Query) -> exp.Select:
    return exp.select(exp.Star(), copy=False).distinct(copy=False).from_(subquery(query, "q"), copy=False)
