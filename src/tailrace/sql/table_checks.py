"""Tables that somebody else has made, and that would change rows or lose something of their own: these are refused."""

from __future__ import annotations

from msgspec import structs

from tailrace.errors import SchemaError
from tailrace.model import Method, Stream, TableName, Traits
from tailrace.schema.evolve import Fit, TableColumn
from tailrace.sql.dialect import Dialect
from tailrace.sql.expressions import table_of
from tailrace.sql.found import Found, Problem
from tailrace.sql.statements import Statements


def refuse_problems(statements: Statements, found: Found, fit: Fit, stream: Stream, table: TableName) -> None:
    """Raise SchemaError where something of the table is in the way of what the stream needs."""
    matters = _matters(fit, stream)
    columns = {column.name: column for column in found.columns}
    for problem in found.problems:
        if problem.column in matters[problem.matters]:
            raise SchemaError(
                _message(statements, problem, columns.get(problem.column), fit, table),
                stream=stream.name,
                column=problem.column or None,
                have=problem.what,
            )


def refuse_long_key(statements: Statements, found: Found, fit: Fit, stream: Stream, table: TableName) -> None:
    """Raise SchemaError where a column of the table's key would become of a kind that has another type in a key."""
    key = (found.key or ()) if found.constraint else ()
    for want in (widening.want for widening in fit.widen if widening.want.name in key):
        of = statements.dialect.key_types.get(want.kind) if want.kind else None
        if of:
            change = statements.alter_type(table, structs.replace(want, sql_type=of(len(key))))
            raise SchemaError(
                f"the column {want.name!r} is part of the key of the table {table}, and has to become "
                f"{want.spelling}; run `{change}`, or with another length",
                stream=stream.name,
                column=want.name,
            )


def refuse_unkeyable(dialect: Dialect, stream: Stream, table: TableName, traits: Traits) -> None:
    """Raise SchemaError where the key of a new table would have a column of a kind that no key can have."""
    for column in stream.columns if stream.method is not Method.APPEND else ():
        if column.name in stream.key and column.kind in dialect.unkeyable and not column.sql_type:
            raise SchemaError(
                f"the key of the table {table} has {column.kind} in it, which {traits.name} takes in no key; give "
                "it another kind under `columns:`, such as TEXT",
                stream=stream.name,
                column=column.name,
            )


def _message(statements: Statements, problem: Problem, column: TableColumn | None, fit: Fit, table: TableName) -> str:
    """What is wrong, and the statement that mends it."""
    if column is None:
        name = statements.written(table_of(table))
        return f"the table {table} {problem.what}; run `ALTER TABLE {name} {problem.cure}`"
    if problem.matters != "altered":
        cure = statements.alter_type(table, structs.replace(column, sql_type=problem.cure))
        other = ", or leave it out with `select: false` under `columns:`" if problem.matters == "loaded" else ""
        return (
            f"the table {table} has the column {column.name!r} {problem.what}; run `{cure}`, with what else "
            f"SHOW CREATE TABLE says of the column{other}"
        )
    wanted = next((widening.want for widening in fit.widen if widening.have is column), column)
    change = statements.alter_type(table, structs.replace(wanted, nullable=column.name in fit.relax or wanted.nullable))
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
