"""A query for the rows that a table would refuse: here an error undoes the whole transaction."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tailrace.model import LINE, Kind, TableName
from tailrace.sql.glot import exp, sqlglot
from tailrace.sql.statements import Statements

_OURS_TAKE_ALL = frozenset(Kind) - {Kind.JSON, Kind.UUID}
"""Kinds whose own type takes every value that a batch can have; JSON and UUID are read from text."""


class Check(Struct, frozen=True):
    """What is true of a row that the table refuses, and the reason for people."""

    condition: exp.Condition
    reason: str

    def is_known_of(self, columns: Sequence[str]) -> bool:
        """Whether these columns are enough to tell."""
        return {column.name for column in self.condition.find_all(exp.Column)} <= {*columns, LINE}


class Refusals:
    """Checks of one dialect, on the rows of a source that has LINE."""

    def __init__(self, statements: Statements, source: TableName) -> None:
        self._statements = statements
        self._dialect = statements.dialect
        self._source = source

    def query(self, checks: Sequence[Check]) -> str:
        """The lines of the rows that a check is true of, and the place of the first such check."""
        case = exp.case()
        for place, check in enumerate(checks):
            case = case.when(check.condition, exp.Literal.number(place))
        table = exp.table_(self._source.name, db=self._source.schema, quoted=True, alias="r")
        found = exp.select(_value(LINE), case.as_("place")).from_(table)
        rows = exp.select(exp.column(LINE, quoted=True), "place").from_(found.subquery("checked"))
        return self._statements.written(rows.where("place IS NOT NULL"))

    def missing(self, name: str) -> Check:
        """A column that can't be null, has no default, and isn't loaded."""
        return Check(exp.true(), f"column {name!r} of the table can't be null, and the stream doesn't have it")

    def null(self, name: str) -> Check:
        """A null where there mustn't be one."""
        return Check(exp.Is(this=_value(name), expression=exp.Null()), f"column {name!r} can't be null")

    def value(self, name: str, sql_type: str) -> Check | None:
        """A value that the column's type doesn't hold; None where it holds all of its kind."""
        kind, precision, scale = self._dialect.kind_of(sql_type)
        ours = self._dialect.types[kind].format(precision=precision, scale=scale) if kind else None
        if sql_type == ours and kind in _OURS_TAKE_ALL:
            return None
        cast = exp.TryCast(this=_value(name), to=exp.Var(this=sql_type))
        condition: exp.Condition = exp.and_(_is_set(_value(name)), exp.Is(this=cast, expression=exp.Null()))
        if kind is Kind.TIMESTAMP:  # one of fewer digits would cut the value
            back = exp.Cast(this=cast, to=exp.Var(this=self._dialect.types[kind]))
            condition = exp.NullSafeNEQ(this=back, expression=_value(name))
        return Check(condition, f"column {name!r}: the value isn't a {sql_type}")

    def broken(self, expression: str) -> Check:
        """A CHECK constraint that is false."""
        tried = exp.Anonymous(this="TRY", expressions=[self._parsed(expression, "r")])
        return Check(exp.Is(this=tried, expression=exp.false()), f"CHECK {expression} fails")

    def taken(self, table: TableName, keys: Sequence[str]) -> Check:
        """A row whose keys (expressions) the table has already, or an earlier row of the batch has."""
        new = [self._parsed(key, "r") for key in keys]
        same = [exp.EQ(this=self._parsed(key, "t"), expression=value) for key, value in zip(keys, new, strict=True)]
        there = exp.select("1").from_(exp.table_(table.name, db=table.schema, quoted=True, alias="t")).where(*same)
        number = exp.Window(
            this=exp.RowNumber(), partition_by=[key.copy() for key in new], order=exp.Order(expressions=[_value(LINE)])
        )
        is_later = exp.GT(this=number, expression=exp.Literal.number(1))
        repeats = exp.and_(is_later, *(_is_set(key.copy()) for key in new))
        return Check(exp.or_(exp.Exists(this=there), repeats), f"there is a row with the same ({', '.join(keys)})")

    def quoted(self, name: str) -> str:
        """A column's name as an expression."""
        return self._statements.written(exp.to_identifier(name, quoted=True))

    def _parsed(self, text: str, table: str) -> exp.Expr:
        """An expression of the catalog, its columns those of that table."""
        expression = sqlglot.parse_one(text, dialect=self._dialect.sqlglot)
        for column in expression.find_all(exp.Column):
            column.replace(exp.column(column.name, table=table, quoted=True))
        if isinstance(expression, exp.Column):
            return exp.column(expression.name, table=table, quoted=True)
        return expression


def _value(name: str) -> exp.Column:
    return exp.column(name, table="r", quoted=True)


def _is_set(value: exp.Expr) -> exp.Not:
    return exp.Not(this=exp.Is(this=value, expression=exp.Null()))
