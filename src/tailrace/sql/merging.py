"""Statements that bring staged rows into their table in the order of their lines, as SQL text; see expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from tailrace.model import LINE, TableName
from tailrace.sql.dialect import Dialect
from tailrace.sql.expressions import (
    column_of,
    identifier,
    insert_into,
    is_mysql,
    is_null,
    is_set,
    keys_equal,
    segment,
    table_of,
    written,
)

MATCH = "_tailrace_match"
"""In a table of winners: what names the row of the table that has the same key; null where there is none."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A column in which rows ask for their deletion: where it isn't null nor, if it is text, empty."""

    name: str
    is_text: bool = False


def insert_segment(dialect: Dialect, table: TableName, columns: Sequence[str], staging: TableName) -> str:
    """INSERT of the staged rows from line ? to before line ?, in their order."""
    rows = exp.select(*(column_of(name) for name in columns)).from_(table_of(staging)).where(segment())
    return written(dialect, insert_into(table, columns, rows.order_by(column_of(LINE))))


def count_segment(dialect: Dialect, staging: TableName, marks: Sequence[Mark] = ()) -> str:
    """The number of staged rows from line ? to before line ?; with `marks`, of those that ask for deletion."""
    rows = exp.select(exp.Count(this=exp.Star())).from_(table_of(staging)).where(segment())
    return written(dialect, rows.where(_is_marked(marks)) if marks else rows)


def create_winners(
    dialect: Dialect,
    winners: TableName,
    staging: TableName,
    table: TableName,
    *,
    key: Sequence[str],
    kept: Sequence[str] = (),
) -> str:
    """A temporary table of the line of each key's last row from line ? to before line ?.

    Beside the line stand the MATCH in the table and the `kept` columns that the table has there.
    """
    rows = (
        exp.select(
            column_of(LINE, "s"),
            column_of(key[0], "t").as_(MATCH, quoted=True),
            *(column_of(name, "t") for name in kept),
        )
        .from_(table_of(staging, "s"))
        .join(_lines_by_key(staging, key, exp.Max), on=_lines_equal("s", "k"), join_type="inner")
        .join(table_of(table, "t"), on=keys_equal(key, "t", "s"), join_type="left")
    )
    into: exp.Expression = table_of(winners)
    if is_mysql(dialect):  # where each table may have to have a key; a line is there for each row that it matches
        kind = exp.Var(this="bigint AUTO_INCREMENT PRIMARY KEY")
        into = exp.Schema(this=into, expressions=[exp.ColumnDef(this=identifier("_tailrace_number"), kind=kind)])
    properties = exp.Properties(expressions=[exp.TemporaryProperty()])
    return written(dialect, exp.Create(this=into, kind="TABLE", expression=rows, properties=properties))


def count_winners(dialect: Dialect, winners: TableName) -> str:
    """The number of winners, and of those that match."""
    matched = exp.case().when(is_set(MATCH), column_of(LINE))
    return written(dialect, exp.select(_distinct(column_of(LINE)), _distinct(matched)).from_(table_of(winners)))


def delete_removals(dialect: Dialect, winners: TableName, staging: TableName, marks: Sequence[Mark]) -> str:
    """DELETE of the winners whose row asks for deletion."""
    rows = exp.select(column_of(LINE)).from_(table_of(staging)).where(_is_marked(marks))
    return written(dialect, exp.Delete(this=table_of(winners), where=exp.Where(this=_in(column_of(LINE), rows))))


def delete_segment(
    dialect: Dialect, table: TableName, staging: TableName, key: Sequence[str], marks: Sequence[Mark]
) -> str:
    """DELETE of the table's rows whose key has a row from line ? to before line ? that asks for deletion."""
    rows = exp.select().from_(table_of(staging, "s")).where(_is_marked(marks, "s"), segment("s"))
    return _delete_existing(dialect, table, rows, key)


def delete_matched(
    dialect: Dialect, table: TableName, staging: TableName, winners: TableName, key: Sequence[str]
) -> str:
    """DELETE of the table's rows with the key of a winner."""
    return _delete_existing(dialect, table, _winning_rows(staging, winners), key)


def update_matched(
    dialect: Dialect,
    table: TableName,
    staging: TableName,
    winners: TableName,
    *,
    key: Sequence[str],
    to: Sequence[str],
    clear: Sequence[str] = (),
) -> str:
    """UPDATE of the table's rows that the winners match, in the columns `to`, and to null in those to `clear`."""
    rows = _winning_rows(staging, winners, *(column_of(name, "s") for name in (*key, *to)))
    update = exp.Update(
        this=table_of(table, "t"),
        expressions=[exp.EQ(this=column_of(name), expression=column_of(name, "n")) for name in to] + _nulls(clear),
        from_=exp.From(this=rows.subquery(identifier("n"))),
        where=exp.Where(this=keys_equal(key, "t", "n")),
    )
    if is_mysql(dialect):  # whose planner would read the table once for each row, and knows better only of one table
        update.set("hint", exp.Hint(expressions=[exp.func("NO_MERGE", exp.to_identifier("n"))]))
    return written(dialect, update)


def insert_winners(
    dialect: Dialect,
    table: TableName,
    staging: TableName,
    winners: TableName,
    *,
    columns: Sequence[str],
    kept: Sequence[str] = (),
    matched: bool | None = None,
) -> str:
    """INSERT of the winners' rows, with the `kept` values that stand beside them; only those that (don't) match."""
    values = [*(column_of(name, "s") for name in columns), *(column_of(name, "w") for name in kept)]
    rows = _winning_rows(staging, winners, *values)
    if matched is not None:
        rows = rows.where(is_set(MATCH, "w") if matched else is_null(MATCH, "w"))
    return written(dialect, insert_into(table, [*columns, *kept], rows))


def upsert_winners(
    dialect: Dialect,
    table: TableName,
    staging: TableName,
    winners: TableName,
    *,
    columns: Sequence[str],
    key: Sequence[str],
    to: Sequence[str],
    clear: Sequence[str] = (),
) -> list[str]:
    """INSERT of the winners' rows, with UPDATE as in `update_matched` where the table, whose key it is, has theirs."""
    insert = insert_into(table, columns, _winning_rows(staging, winners, *(column_of(name, "s") for name in columns)))
    if not is_mysql(dialect):
        changes = [exp.EQ(this=column_of(name), expression=column_of(name, "excluded")) for name in to]
        changes += _nulls(clear)
        action = exp.var("DO UPDATE" if changes else "DO NOTHING")
        insert.set(
            "conflict", exp.OnConflict(conflict_keys=[*map(identifier, key)], action=action, expressions=changes)
        )
        return [written(dialect, insert)]
    # A row that is new may not update another through some other unique key of the table: that is an error.
    fresh = insert_winners(dialect, table, staging, winners, columns=columns, matched=False)
    changes = [exp.EQ(this=column_of(name), expression=exp.func("VALUES", column_of(name))) for name in to]
    changes += _nulls(clear)
    insert.expression.where(is_set(MATCH, "w"), copy=False)
    insert.set("conflict", exp.OnConflict(duplicate=True, action=exp.var("UPDATE"), expressions=changes))
    return [written(dialect, insert), fresh] if changes else [fresh]


def insert_first(
    dialect: Dialect,
    table: TableName,
    staging: TableName,
    *,
    columns: Sequence[str],
    key: Sequence[str],
    marks: Sequence[Mark] = (),
) -> str:
    """INSERT of each key's first row from line ? to before line ?, where the table has no row with that key.

    With `marks` the rows that ask for deletion, and those that come before such a row of the same key, are left out;
    the two lines are then given a second time.
    """
    first = _lines_by_key(staging, key, exp.Min, marks)
    rows = (
        exp.select(*(column_of(name, "s") for name in columns))
        .from_(table_of(staging, "s"))
        .join(first, on=_lines_equal("s", "k"), join_type="inner")
        .join(table_of(table, "t"), on=keys_equal(key, "t", "s"), join_type="left")
        .where(is_null(key[0], "t"))
    )
    return written(dialect, insert_into(table, columns, rows))


def delete_older(dialect: Dialect, table: TableName, version: str) -> str:
    """DELETE of the rows whose version is below ?."""
    return written(dialect, exp.Delete(this=table_of(table), where=exp.Where(this=_below(version))))


def mark_older(dialect: Dialect, table: TableName, version: str, deletion: str) -> str:
    """UPDATE that sets the deletion column to ? where it is null and the version is below ?."""
    update = exp.Update(
        this=table_of(table),
        expressions=[exp.EQ(this=column_of(deletion), expression=exp.Placeholder())],
        where=exp.Where(this=exp.and_(_below(version), is_null(deletion))),
    )
    return written(dialect, update)


def _delete_existing(dialect: Dialect, table: TableName, rows: exp.Select, key: Sequence[str]) -> str:
    """DELETE of the table's rows whose key is that of one of the staged rows, `s`."""
    if is_mysql(dialect):  # whose planner may compare each row with each where it is asked whether there is one
        keys = rows.select(*(column_of(name, "s") for name in key)).distinct().subquery(identifier("n"))
        join = exp.Join(this=keys, kind="INNER", on=keys_equal(key, "t", "n"))
        source = table_of(table, "t")
        source.set("joins", [join])
        return written(dialect, exp.Delete(tables=[table_of(TableName("t"))], this=source))
    named = "t" if _aliases_deletes(dialect) else None
    has_key = rows.select("1").where(keys_equal(key, named or table, "s"))
    return written(dialect, exp.Delete(this=table_of(table, named), where=exp.Where(this=exp.Exists(this=has_key))))


def _aliases_deletes(dialect: Dialect) -> bool:
    """Whether the table of a DELETE can have another name in its condition."""
    return dialect.sqlglot != "redshift"


def _nulls(names: Sequence[str]) -> list[exp.EQ]:
    """Assignments of null."""
    return [exp.EQ(this=column_of(name), expression=exp.Null()) for name in names]


def _below(version: str) -> exp.Expression:
    return exp.LT(this=column_of(version), expression=exp.Placeholder())


def _lines_equal(left: str, right: str) -> exp.Condition:
    return column_of(LINE, left).eq(column_of(LINE, right))


def _winning_rows(staging: TableName, winners: TableName, *values: exp.Expression | str) -> exp.Select:
    """Values of the staged rows `s` that are winners, `w`."""
    rows = exp.select(*values).from_(table_of(staging, "s"))
    return rows.join(table_of(winners, "w"), on=_lines_equal("s", "w"), join_type="inner")


def _in(column: exp.Column, rows: exp.Select) -> exp.In:
    return exp.In(this=column, query=rows.subquery())


def _lines_by_key(
    staging: TableName, key: Sequence[str], pick: type[exp.AggFunc], marks: Sequence[Mark] = ()
) -> exp.Subquery:
    """One line of the segment for each key, as `k`; with `marks` of those behind the key's last deletion."""
    lines = (
        exp.select(pick(this=column_of(LINE, "f")).as_(LINE, quoted=True))
        .from_(table_of(staging, "f"))
        .where(segment("f"))
        .group_by(*(column_of(name, "f") for name in key))
    )
    if marks:
        deleted = (
            exp.select(*(column_of(name) for name in key), exp.Max(this=column_of(LINE)).as_(LINE, quoted=True))
            .from_(table_of(staging))
            .where(segment(), _is_marked(marks))
            .group_by(*(column_of(name) for name in key))
        )
        is_behind = exp.GT(this=column_of(LINE, "f"), expression=column_of(LINE, "d"))
        lines = lines.join(deleted.subquery(identifier("d")), on=keys_equal(key, "d", "f"), join_type="left")
        lines = lines.where(exp.or_(is_null(LINE, "d"), is_behind))
    return lines.subquery(identifier("k"))


def _is_marked(marks: Sequence[Mark], table: str | None = None) -> exp.Condition:
    """That a row asks for deletion in one of these columns."""
    return exp.or_(*(_is_set(mark, table) for mark in marks))


def _is_set(mark: Mark, table: str | None) -> exp.Expression:
    if not mark.is_text:
        return is_set(mark.name, table)
    return exp.NEQ(this=column_of(mark.name, table), expression=exp.Literal.string(""))


def _distinct(value: exp.Expression) -> exp.Expression:
    return exp.Count(this=exp.Distinct(expressions=[value]))
