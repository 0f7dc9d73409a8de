"""SQL text, built with sqlglot: identifiers are always quoted, and values are always parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlglot import exp

from tailrace.model import LINE, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dialect import Dialect

MATCH = "_tailrace_match"
"""In a table of winners: what names the row of the table that has the same key; null where there is none."""

_PROPERTIES = {"temporary": exp.TemporaryProperty, "unlogged": exp.UnloggedProperty}


def create_schema(dialect: Dialect, schema: str) -> str:
    """CREATE SCHEMA, unless it exists."""
    return _sql(dialect, exp.Create(this=exp.Table(db=_name(schema)), kind="SCHEMA", exists=True))


def create_table(
    dialect: Dialect, table: TableName, columns: Iterable[TableColumn], key: Sequence[str] = (), **kind: bool
) -> str:
    """CREATE TABLE; `temporary`, `unlogged` and `exists` (IF NOT EXISTS) are its kinds."""
    parts: list[exp.Expression] = [_definition(dialect, column) for column in _with_key(dialect, columns, key)]
    if key:
        parts.append(exp.PrimaryKey(expressions=[_name(name) for name in key]))
    properties = [made() for name, made in _PROPERTIES.items() if kind.get(name)]
    create = exp.Create(
        this=exp.Schema(this=_table(table), expressions=parts),
        kind="TABLE",
        exists=kind.get("exists", False),
        properties=exp.Properties(expressions=properties) if properties else None,
    )
    return _sql(dialect, create)


def comment_key(dialect: Dialect, table: TableName, key: Sequence[str]) -> str:
    """COMMENT ON TABLE that notes the key, as `key: ["a", "b"]`."""
    text = exp.Literal.string(f"key: {json.dumps(list(key), ensure_ascii=False)}")
    return _sql(dialect, exp.Comment(this=_table(table), kind="TABLE", expression=text))


def add_column(dialect: Dialect, table: TableName, column: TableColumn) -> str:
    """ALTER TABLE that adds a column."""
    return _alter(dialect, table, _definition(dialect, column))


def alter_type(dialect: Dialect, table: TableName, column: TableColumn) -> str:
    """ALTER TABLE that gives a column another type."""
    return _alter(dialect, table, exp.AlterColumn(this=_name(column.name), dtype=exp.Var(this=dialect.spelled(column))))


def drop_not_null(dialect: Dialect, table: TableName, column: TableColumn) -> str:
    """ALTER TABLE that lets a column be null; MySQL gives it its type anew for that."""
    if _is_mysql(dialect):
        return alter_type(dialect, table, column)
    return _alter(dialect, table, exp.AlterColumn(this=_name(column.name), drop=True, allow_null=True))


def rename_table(dialect: Dialect, table: TableName, name: str) -> str:
    """ALTER TABLE that gives the table another name, in the same schema."""
    if _is_mysql(dialect):  # where a name without schema is one of the session's database
        names = [_sql(dialect, _table(to)) for to in (table, TableName(name, table.schema))]
        return "RENAME TABLE {} TO {}".format(*names)
    return _alter(dialect, table, exp.AlterRename(this=exp.Table(this=_name(name))))


def drop_table(dialect: Dialect, table: TableName) -> str:
    """DROP TABLE, if it exists."""
    return _sql(dialect, exp.Drop(tables=[_table(table)], kind="TABLE", exists=True))


def drop_temporary(dialect: Dialect, table: TableName) -> str:
    """DROP TABLE of a temporary table, which ends no transaction."""
    return _sql(dialect, exp.Drop(tables=[_table(table)], kind="TABLE", temporary=_is_mysql(dialect)))


def exchange_tables(dialect: Dialect, new: TableName, table: TableName, old: TableName) -> str:
    """RENAME TABLE of the table to the old one's name and of the new one to the table's, in one step."""
    names = [_sql(dialect, _table(name)) for name in (table, old, new, table)]
    return "RENAME TABLE {} TO {}, {} TO {}".format(*names)


def count_rows(dialect: Dialect, table: TableName) -> str:
    """The number of the table's rows."""
    return _sql(dialect, exp.select(exp.Count(this=exp.Star())).from_(_table(table)))


def insert_values(dialect: Dialect, table: TableName, columns: Sequence[str], count: int = 1) -> str:
    """INSERT of so many rows, each with a parameter for each column."""
    rows = [exp.Tuple(expressions=[exp.Placeholder() for _ in columns]) for _ in range(count)]
    return _sql(dialect, _insert(table, columns, exp.Values(expressions=rows)))


def insert_from(dialect: Dialect, table: TableName, columns: Sequence[str], source: TableName) -> str:
    """INSERT of all rows of a source that has these columns."""
    rows = exp.select(*(_column(name) for name in columns)).from_(_table(source))
    return _sql(dialect, _insert(table, columns, rows))


def insert_segment(dialect: Dialect, table: TableName, columns: Sequence[str], staging: TableName) -> str:
    """INSERT of the staged rows from line ? to before line ?, in their order."""
    rows = exp.select(*(_column(name) for name in columns)).from_(_table(staging)).where(_segment())
    return _sql(dialect, _insert(table, columns, rows.order_by(_column(LINE))))


def count_segment(dialect: Dialect, staging: TableName, deletion: str | None = None) -> str:
    """The number of staged rows from line ? to before line ?; with `deletion`, of those that have that column set."""
    rows = exp.select(exp.Count(this=exp.Star())).from_(_table(staging)).where(_segment())
    return _sql(dialect, rows.where(_is_set(deletion)) if deletion else rows)


def delete_lines(dialect: Dialect, staging: TableName) -> str:
    """DELETE of the staged rows from line ? to before line ?."""
    return _sql(dialect, exp.Delete(this=_table(staging), where=exp.Where(this=_segment())))


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
            _column(LINE, "s"),
            _column(key[0], "t").as_(MATCH, quoted=True),
            *(_column(name, "t") for name in kept),
        )
        .from_(_table(staging, "s"))
        .join(_lines_by_key(staging, key, exp.Max), on=_lines_equal("s", "k"), join_type="inner")
        .join(_table(table, "t"), on=_keys_equal(key, "t", "s"), join_type="left")
    )
    properties = exp.Properties(expressions=[exp.TemporaryProperty()])
    return _sql(dialect, exp.Create(this=_table(winners), kind="TABLE", expression=rows, properties=properties))


def count_winners(dialect: Dialect, winners: TableName) -> str:
    """The number of winners, and of those that match."""
    matched = exp.case().when(_is_set(MATCH), _column(LINE))
    return _sql(dialect, exp.select(_distinct(_column(LINE)), _distinct(matched)).from_(_table(winners)))


def delete_removals(dialect: Dialect, winners: TableName, staging: TableName, deletion: str) -> str:
    """DELETE of the winners whose row has the deletion column set."""
    rows = exp.select(_column(LINE)).from_(_table(staging)).where(_is_set(deletion))
    return _sql(dialect, exp.Delete(this=_table(winners), where=exp.Where(this=_in(_column(LINE), rows))))


def delete_removed(
    dialect: Dialect, table: TableName, staging: TableName, winners: TableName, *, key: Sequence[str], deletion: str
) -> str:
    """DELETE of the table's rows with the key of a winner that has the deletion column set."""
    rows = _winning_rows(staging, winners, "1").where(_keys_equal(key, "t", "s"), _is_set(deletion, "s"))
    return _delete_existing(dialect, table, rows)


def delete_segment(dialect: Dialect, table: TableName, staging: TableName, key: Sequence[str], deletion: str) -> str:
    """DELETE of the table's rows whose key has a row from line ? to before line ? with the deletion column set."""
    rows = exp.select("1").from_(_table(staging, "s")).where(_keys_equal(key, "t", "s"), _is_set(deletion, "s"))
    rows = rows.where(_segment("s"))
    return _delete_existing(dialect, table, rows)


def delete_matched(
    dialect: Dialect, table: TableName, staging: TableName, winners: TableName, key: Sequence[str]
) -> str:
    """DELETE of the table's rows with the key of a winner."""
    rows = _winning_rows(staging, winners, "1").where(_keys_equal(key, "t", "s"))
    return _delete_existing(dialect, table, rows)


def update_matched(
    dialect: Dialect, table: TableName, staging: TableName, winners: TableName, *, key: Sequence[str], to: Sequence[str]
) -> str:
    """UPDATE of the table's rows that the winners match, in the columns `to`."""
    rows = _winning_rows(staging, winners, *(_column(name, "s") for name in (*key, *to)))
    update = exp.Update(
        this=_table(table, "t"),
        expressions=[exp.EQ(this=_column(name), expression=_column(name, "n")) for name in to],
        from_=exp.From(this=rows.subquery(_name("n"))),
        where=exp.Where(this=_keys_equal(key, "t", "n")),
    )
    return _sql(dialect, update)


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
    values = [*(_column(name, "s") for name in columns), *(_column(name, "w") for name in kept)]
    rows = _winning_rows(staging, winners, *values)
    if matched is not None:
        rows = rows.where(_is_set(MATCH, "w") if matched else _is_null(MATCH, "w"))
    return _sql(dialect, _insert(table, [*columns, *kept], rows))


def upsert_winners(
    dialect: Dialect,
    table: TableName,
    staging: TableName,
    winners: TableName,
    *,
    columns: Sequence[str],
    key: Sequence[str],
    to: Sequence[str],
) -> list[str]:
    """INSERT of the winners' rows, with UPDATE in the columns `to` where the table, whose key it is, has theirs."""
    insert = _insert(table, columns, _winning_rows(staging, winners, *(_column(name, "s") for name in columns)))
    if not _is_mysql(dialect):
        changes = [exp.EQ(this=_column(name), expression=_column(name, "excluded")) for name in to]
        action = exp.var("DO UPDATE" if to else "DO NOTHING")
        insert.set("conflict", exp.OnConflict(conflict_keys=[*map(_name, key)], action=action, expressions=changes))
        return [_sql(dialect, insert)]
    # A row that is new may not update another through some other unique key of the table: that is an error.
    fresh = insert_winners(dialect, table, staging, winners, columns=columns, matched=False)
    changes = [exp.EQ(this=_column(name), expression=exp.func("VALUES", _column(name))) for name in to]
    insert.expression.where(_is_set(MATCH, "w"), copy=False)
    insert.set("conflict", exp.OnConflict(duplicate=True, action=exp.var("UPDATE"), expressions=changes))
    return [_sql(dialect, insert), fresh] if to else [fresh]


def insert_first(
    dialect: Dialect,
    table: TableName,
    staging: TableName,
    *,
    columns: Sequence[str],
    key: Sequence[str],
    deletion: str | None = None,
) -> str:
    """INSERT of each key's first row from line ? to before line ?, where the table has no row with that key.

    With `deletion` the rows that have that column set, and those that come before such a row of the same key, are left
    out; the two lines are then given a second time.
    """
    first = _lines_by_key(staging, key, exp.Min, deletion)
    present = exp.select("1").from_(_table(table, "t")).where(_keys_equal(key, "t", "s"))
    rows = (
        exp.select(*(_column(name, "s") for name in columns))
        .from_(_table(staging, "s"))
        .join(first, on=_lines_equal("s", "k"), join_type="inner")
        .where(exp.Not(this=exp.Exists(this=present)))
    )
    return _sql(dialect, _insert(table, columns, rows))


def delete_older(dialect: Dialect, table: TableName, version: str) -> str:
    """DELETE of the rows whose version is below ?."""
    return _sql(dialect, exp.Delete(this=_table(table), where=exp.Where(this=_below(version))))


def mark_older(dialect: Dialect, table: TableName, version: str, deletion: str) -> str:
    """UPDATE that sets the deletion column to ? where it is null and the version is below ?."""
    update = exp.Update(
        this=_table(table),
        expressions=[exp.EQ(this=_column(deletion), expression=exp.Placeholder())],
        where=exp.Where(this=exp.and_(_below(version), _is_null(deletion))),
    )
    return _sql(dialect, update)


def _is_mysql(dialect: Dialect) -> bool:
    """Whether it has MySQL's own forms of DELETE, INSERT and DROP, which sqlglot doesn't derive from the others'."""
    return dialect.sqlglot == "mysql"


def _delete_existing(dialect: Dialect, table: TableName, rows: exp.Select) -> str:
    """DELETE of the table's rows, `t`, for which there are such rows."""
    named = [_table(TableName("t"))] if _is_mysql(dialect) else None
    where = exp.Where(this=exp.Exists(this=rows))
    return _sql(dialect, exp.Delete(tables=named, this=_table(table, "t"), where=where))


def _with_key(dialect: Dialect, columns: Iterable[TableColumn], key: Sequence[str]) -> list[TableColumn]:
    """The columns, with the types that text has in a key."""
    columns = list(columns)
    texts = [c.name for c in columns if c.name in key and c.kind is Kind.TEXT and not c.sql_type]
    if dialect.key_text is None or not texts:
        return columns
    sql_type = dialect.key_text(len(texts))
    return [replace(c, sql_type=sql_type) if c.name in texts else c for c in columns]


def _sql(dialect: Dialect, expression: exp.Expression) -> str:
    return expression.sql(dialect=dialect.sqlglot)


def _name(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def _column(name: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=_name(name), table=_name(table) if table else None)


def _table(table: TableName, alias: str | None = None) -> exp.Table:
    return exp.Table(
        this=_name(table.name),
        db=_name(table.schema) if table.schema else None,
        alias=exp.TableAlias(this=_name(alias)) if alias else None,
    )


def _definition(dialect: Dialect, column: TableColumn) -> exp.ColumnDef:
    not_null = [] if column.nullable else [exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())]
    return exp.ColumnDef(this=_name(column.name), kind=exp.Var(this=dialect.spelled(column)), constraints=not_null)


def _alter(dialect: Dialect, table: TableName, action: exp.Expression) -> str:
    return _sql(dialect, exp.Alter(this=_table(table), kind="TABLE", actions=[action]))


def _insert(table: TableName, columns: Sequence[str], rows: exp.Expression) -> exp.Insert:
    into = exp.Schema(this=_table(table), expressions=[_name(name) for name in columns])
    return exp.Insert(this=into, expression=rows)


def _segment(table: str | None = None) -> exp.Condition:
    line = _column(LINE, table)
    return exp.and_(
        exp.GTE(this=line, expression=exp.Placeholder()), exp.LT(this=line.copy(), expression=exp.Placeholder())
    )


def _is_null(column: str, table: str | None = None) -> exp.Expression:
    return exp.Is(this=_column(column, table), expression=exp.Null())


def _is_set(column: str, table: str | None = None) -> exp.Expression:
    return exp.Not(this=_is_null(column, table))


def _below(version: str) -> exp.Expression:
    return exp.LT(this=_column(version), expression=exp.Placeholder())


def _keys_equal(key: Sequence[str], left: str, right: str) -> exp.Condition:
    return exp.and_(*(_column(name, left).eq(_column(name, right)) for name in key))


def _lines_equal(left: str, right: str) -> exp.Condition:
    return _column(LINE, left).eq(_column(LINE, right))


def _winning_rows(staging: TableName, winners: TableName, *values: exp.Expression | str) -> exp.Select:
    """Values of the staged rows `s` that are winners, `w`."""
    rows = exp.select(*values).from_(_table(staging, "s"))
    return rows.join(_table(winners, "w"), on=_lines_equal("s", "w"), join_type="inner")


def _in(column: exp.Column, rows: exp.Select) -> exp.In:
    return exp.In(this=column, query=rows.subquery())


def _lines_by_key(
    staging: TableName, key: Sequence[str], pick: type[exp.AggFunc], deletion: str | None = None
) -> exp.Subquery:
    """One line of the segment for each key, as `k`."""
    lines = (
        exp.select(pick(this=_column(LINE, "f")).as_(LINE, quoted=True))
        .from_(_table(staging, "f"))
        .where(_segment("f"))
        .group_by(*(_column(name, "f") for name in key))
    )
    if deletion:
        later = (
            exp.select("1")
            .from_(_table(staging, "d"))
            .where(_segment("d"), _keys_equal(key, "d", "f"), _is_set(deletion, "d"))
            .where(exp.GTE(this=_column(LINE, "d"), expression=_column(LINE, "f")))
        )
        lines = lines.where(exp.Not(this=exp.Exists(this=later)))
    return lines.subquery(_name("k"))


def _distinct(value: exp.Expression) -> exp.Expression:
    return exp.Count(this=exp.Distinct(expressions=[value]))
