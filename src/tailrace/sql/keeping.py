"""Replaced tables that stay as they are, since views, grants or indexes stand on them: their rows are exchanged."""

from __future__ import annotations

from collections.abc import Sequence

from tailrace.errors import SchemaError
from tailrace.log import get_logger
from tailrace.model import Published, Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.catalogs import query_of
from tailrace.sql.dialect import Dialect
from tailrace.sql.found import Found
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements
from tailrace.sql.tables import Tables

_log = get_logger("sql")


def is_kept(session: Session, dialect: Dialect, tables: Tables, stream: Stream, table: TableName) -> bool:
    """Whether the stream's rows go into the table that is there. SchemaError where it can't be replaced at all."""
    found = tables.found(session, table) if dialect.catalog.dependents else None
    if found is None:
        return False
    rows = query_of(session, dialect.catalog.dependents, table)
    dependents = {str(what): str(matters) for what, matters in rows}
    for what, matters in dependents.items():
        if matters == "refused":
            raise SchemaError(
                f"the table {table} can't be replaced, since {what} refers to it; drop that and make it anew "
                "afterwards, or load with `method: upsert`",
                stream=stream.name,
            )
    if not dependents:
        return False
    is_fit = _key(found) == set(stream.key)
    if not is_fit and "broken" in dependents.values():
        what = next(what for what, matters in dependents.items() if matters == "broken")
        raise SchemaError(
            f"the table {table} has to stay, since {what} depends on it, and has the key "
            f"({', '.join(found.key or ())}), the stream ({', '.join(stream.key)}); drop that and make it anew "
            "afterwards, or set `key_properties`",
            stream=stream.name,
        )
    if not is_fit:
        _log.warning(
            "the table is replaced by one with another key, and loses what stands on it",
            stream=stream.name,
            table=str(table),
            lost=", ".join(dependents),
        )
    return is_fit


def refitted(
    statements: Statements, table: TableName, have: Found | None, want: Sequence[TableColumn], key: Sequence[str]
) -> list[str]:
    """What makes or alters the table in which rows wait so that it has the columns of the one that takes them."""
    if have is None:
        return [statements.create_table(table, want, key)]
    there = {column.name: column for column in have.columns}
    changed = []
    for column in want:
        if column.name not in there:
            changed.append(statements.add_column(table, column))
        elif column.kind and column.spelling != there[column.name].spelling:
            changed.append(statements.alter_type(table, column))
    return changed


def exchange_rows(
    session: Session, statements: Statements, beside: TableName, have: Found, table: TableName
) -> Published:
    """Put the rows that were built beside, in all columns there, in the place of the table's, at once to others."""
    deleted = session.execute(statements.delete_rows(table))
    session.execute(statements.insert_from(table, [column.name for column in have.columns], beside))
    session.execute(statements.drop_table(beside))
    return Published(deleted=deleted)


def _key(found: Found) -> set[str]:
    return set(found.key or ())
