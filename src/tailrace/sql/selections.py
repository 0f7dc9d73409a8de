"""Which staged rows a statement is about: selections that every database writes alike; see statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from tailrace.model import LINE, TableName
from tailrace.sql.expressions import (
    any_of,
    between,
    column_of,
    equal,
    every,
    identifier,
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

MATCH = "_tailrace_match"
"""In a table of winners: what names the row of the table that has the same key; null where there is none."""


Winners: TypeAlias = "TableName | exp.Select"
"""Where winners stand: in a table, or in the query that selects them."""


class Mark(Struct, frozen=True):
    """A column in which rows ask for their deletion: where it isn't null nor, if it is text, empty."""

    name: str
    is_text: bool = False


class Upsert(Struct, frozen=True):
    """Winners that go into a table, in these columns, of which the `key` tells rows apart.

    Rows that the table has get their values in the columns `to`, and null in those to `clear`. Only rows are looked at
    whose column `within` is at least ? and at most ?, where there is one.
    """

    table: TableName
    staging: TableName
    winners: Winners
    columns: Sequence[str]
    key: Sequence[str]
    to: Sequence[str]
    clear: Sequence[str] = ()
    within: str = ""


def lines_equal(left: str, right: str) -> exp.Condition:
    """That two rows have the same line."""
    return equal(column_of(LINE, left), column_of(LINE, right))


def source_of(winners: Winners, alias: str) -> exp.Table | exp.Subquery:
    """The winners, under a name."""
    return table_of(winners, alias) if isinstance(winners, TableName) else winners.subquery(identifier(alias))


def winning_rows(staging: TableName, winners: Winners, *values: exp.Expression) -> exp.Select:
    """Values of the staged rows `s` that are winners, `w`."""
    return joined(rows_of(staging, *values, alias="s"), source_of(winners, "w"), lines_equal("s", "w"))


def last_rows(
    staging: TableName,
    table: TableName,
    key: Sequence[str],
    kept: Sequence[str] = (),
    without: Sequence[Mark] = (),
    within: str = "",
) -> exp.Select:
    """The line of each key's last row from line ? to before line ?, with MATCH and the `kept` columns of the table.

    Without those that ask for deletion in one of the columns `without`; `within` is as in Upsert, its marks come last.
    """
    rows = joined(rows_of(staging, alias="s"), lines_by_key(staging, key, exp.Max), lines_equal("s", "k"))
    rows = _looked_up(rows, "s", table, key, kept, within)
    return rows.where(*(_is_unset(mark, "s") for mark in without), copy=False)


def last_lines(
    staging: TableName, table: TableName, key: Sequence[str], kept: Sequence[str] = (), within: str = ""
) -> exp.Select:
    """What last_rows selects, where no two keys are equal but the same: each staged row is read once."""
    rows = exp.select(copy=False).from_(lines_by_key(staging, key, exp.Max, with_key=True), copy=False)
    return _looked_up(rows, "k", table, key, kept, within)


def matching(key: Sequence[str], other: str, within: str) -> exp.Condition:
    """That a row of the table, `t`, has the key of another one, and stands within the values of that column."""
    is_same = keys_equal(key, "t", other)
    return every(is_same, between(within, "t")) if within else is_same


def lines_by_key(
    staging: TableName,
    key: Sequence[str],
    pick: type[exp.AggFunc],
    marks: Sequence[Mark] = (),
    *,
    with_key: bool = False,
) -> exp.Subquery:
    """One line of the segment for each key, as `k`; with `marks` of those behind the key's last deletion."""
    values = [_named(pick(this=column_of(LINE, "f")), LINE), *(column_of(name, "f") for name in key if with_key)]
    lines = rows_of(staging, *values, alias="f").where(segment("f"), copy=False)
    lines = lines.group_by(*(column_of(name, "f") for name in key), copy=False)
    if marks:
        values = [*map(column_of, key), _named(exp.Max(this=column_of(LINE)), LINE)]
        deleted = rows_of(staging, *values).where(segment(), is_marked(marks), copy=False)
        deleted = deleted.group_by(*map(column_of, key), copy=False)
        is_behind = exp.GT(this=column_of(LINE, "f"), expression=column_of(LINE, "d"))
        lines = joined(lines, subquery(deleted, "d"), keys_equal(key, "d", "f"), keeps_all=True)
        lines = lines.where(any_of(is_null(LINE, "d"), is_behind), copy=False)
    return subquery(lines, "k")


def is_marked(marks: Sequence[Mark], table: str | None = None) -> exp.Condition:
    """That a row asks for deletion in one of these columns."""
    return any_of(*(_is_set(mark, table) for mark in marks))


def nulls(names: Sequence[str]) -> list[exp.EQ]:
    """Assignments of null."""
    return [exp.EQ(this=column_of(name), expression=exp.Null()) for name in names]


def below(version: str) -> exp.Expression:
    """That a row's version is below ?."""
    return exp.LT(this=column_of(version), expression=exp.Placeholder())


def distinct_count(value: exp.Expression) -> exp.Expression:
    """How many different values there are."""
    return exp.Count(this=exp.Distinct(expressions=[value]))


def _looked_up(
    rows: exp.Select, alias: str, table: TableName, key: Sequence[str], kept: Sequence[str], within: str
) -> exp.Select:
    """The lines of the rows that have that alias, with MATCH and the `kept` columns of the table."""
    values = [column_of(LINE, alias), _named(column_of(key[0], "t"), MATCH), *(column_of(name, "t") for name in kept)]
    rows = rows.select(*values, copy=False)
    return joined(rows, table_of(table, "t"), matching(key, alias, within), keeps_all=True)


def _named(value: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=value, alias=identifier(name))


def _is_unset(mark: Mark, table: str) -> exp.Expression | exp.Condition:
    unset = is_null(mark.name, table)
    if not mark.is_text:
        return unset
    return any_of(unset, equal(column_of(mark.name, table), exp.Literal.string("")))


def _is_set(mark: Mark, table: str | None) -> exp.Expression:
    if not mark.is_text:
        return is_set(mark.name, table)
    return exp.NEQ(this=column_of(mark.name, table), expression=exp.Literal.string(""))
