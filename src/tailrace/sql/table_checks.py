"""Tables that somebody else has made and that would change rows, or lose something of their own: refused before that.

What a database has of that kind is found by a query of its own, as data; see CheckedTables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tailrace.errors import SchemaError
from tailrace.model import Kind, Method, Stream, TableName, Traits
from tailrace.schema.evolve import Fit, TableColumn
from tailrace.sql import statements
from tailrace.sql.dialect import Dialect
from tailrace.sql.expressions import table_of, written
from tailrace.sql.relations import query_of
from tailrace.sql.session import Session
from tailrace.sql.tables import Found, Tables


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is wrong with a column, or with the table where that is empty; `cure` is its type or the table's option."""

    column: str
    matters: str
    what: str
    cure: str


@dataclass(frozen=True, slots=True)
class _Checked(Found):
    """A table that exists, with its problems."""

    problems: tuple[_Problem, ...] = ()


class CheckedTables(Tables):
    """Tables of a database whose `query` says what is wrong with one of them.

    Its parameters are schema (or null) and name. Its rows are column (empty: the table), when it matters
    (`always`, or when the column is `loaded`, part of the `key`, or `altered`), what the trouble is, and the cure: the
    column's type, or what ALTER TABLE sets. What is `altered` has no cure, and its trouble is what would be lost.
    """

    def __init__(self, dialect: Dialect, traits: Traits, schema: str | None, query: str) -> None:
        super().__init__(dialect, traits, schema)
        self._query = query

    def found(self, session: Session, table: TableName) -> Found | None:
        """What the database has under that name, and what is wrong with it; None if nothing."""
        found = super().found(session, table)
        if found is None:
            return None
        rows = query_of(session, self._query, table)
        problems = tuple(_Problem(*map(str, row)) for row in rows)
        return _Checked(found.columns, found.key, found.constraint, found.generated, problems)

    def statements(self, found: Found | None, stream: Stream, table: TableName) -> list[str]:
        """What makes the table fit the stream. Raises SchemaError where nothing does, or something is in the way."""
        if isinstance(found, _Checked):
            fit = self._fit(found, stream)
            matters = _matters(fit, stream)
            columns = {column.name: column for column in found.columns}
            for problem in found.problems:
                if problem.column in matters[problem.matters]:
                    raise SchemaError(
                        self._message(problem, columns.get(problem.column), fit, table),
                        stream=stream.name,
                        column=problem.column or None,
                        have=problem.what,
                    )
            self._refuse_long_key((found.key or ()) if found.constraint else (), fit, stream, table)
        return super().statements(found, stream, table)

    def _refuse_long_key(self, key: Sequence[str], fit: Fit, stream: Stream, table: TableName) -> None:
        """Raise where a column of the table's key would become of a kind that has another type in a key."""
        for want in (widening.want for widening in fit.widen if widening.want.name in key):
            of = self._dialect.key_types.get(want.kind) if want.kind else None
            if of:
                change = statements.alter_type(self._dialect, table, replace(want, sql_type=of(len(key))))
                raise SchemaError(
                    f"the column {want.name!r} is part of the key of the table {table}, and has to become "
                    f"{want.spelling}; run `{change}`, or with another length",
                    stream=stream.name,
                    column=want.name,
                )

    def _creation(self, stream: Stream, table: TableName) -> list[str]:
        for column in stream.columns if stream.method is not Method.APPEND else ():
            if column.name in stream.key and column.kind is Kind.JSON and not column.sql_type:
                raise SchemaError(
                    f"the key of the table {table} has JSON in it, which {self._traits.name} takes in no key; give "
                    "it another kind under `columns:`, such as TEXT",
                    stream=stream.name,
                    column=column.name,
                )
        return super()._creation(stream, table)

    def _message(self, problem: _Problem, column: TableColumn | None, fit: Fit, table: TableName) -> str:
        """What is wrong, and the statement that mends it."""
        dialect = self._dialect
        if column is None:
            name = written(dialect, table_of(table))
            return f"the table {table} {problem.what}; run `ALTER TABLE {name} {problem.cure}`"
        if problem.matters != "altered":
            cure = statements.alter_type(dialect, table, replace(column, sql_type=problem.cure))
            other = ", or leave it out with `select: false` under `columns:`" if problem.matters == "loaded" else ""
            return (
                f"the table {table} has the column {column.name!r} {problem.what}; run `{cure}`, with what else "
                f"SHOW CREATE TABLE says of the column{other}"
            )
        wanted = next((widening.want for widening in fit.widen if widening.have is column), column)
        change = statements.alter_type(
            dialect, table, replace(wanted, nullable=column.name in fit.relax or wanted.nullable)
        )
        return (
            f"the column {column.name!r} of the table {table} has to be altered, and would lose its "
            f"{problem.what}; run `{change}` with that added"
        )


def _matters(fit: Fit, stream: Stream) -> dict[str, set[str]]:
    """The columns that are concerned, by when a problem matters."""
    return {
        "always": {""},
        "loaded": {target.name for target in fit.targets.values()},
        "key": {fit.targets[name].name for name in stream.key} if stream.is_merged else set(),
        "altered": {*fit.relax, *(widening.have.name for widening in fit.widen)},
    }
