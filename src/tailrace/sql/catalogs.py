"""Queries of what a database has: tables and their columns, what stands on them, and what else has their names."""

from __future__ import annotations

from msgspec import Struct

from tailrace.model import TableName
from tailrace.sql.placeholders import count_marks
from tailrace.sql.session import Session


class Catalog(Struct, frozen=True):
    """The queries of one database. All but `tables`, `schemas` and `digits` are asked by `query_of`.

    A database that tells these things by requests of its own has names for them here, which its session answers.

    `columns`: a table's columns; its rows are name, type, whether nullable, whether there is a default, the place in
    the PRIMARY KEY or null, the table's comment, what its PRIMARY KEY is called, and what the column is if the database
    fills it by itself (`GENERATED`).
    `exists`: a table of that name; where it is empty, `columns` says so too.
    `tables`: the tables whose name begins with the parameter; its rows are schema (or null) and name.

    The others are empty where the database has nothing of that kind.
    `schemas`: the schema whose name is the parameter; tables stand in no schemas where it is empty.
    `pins`: what keeps columns from being altered; its rows are the column (null for all), what it is (`the view v`),
    and when it matters (`always`; `null`: when NOT NULL is dropped too; `text`: unless numbers become decimals).
    `others`: what has a table's name and takes no rows; its row says what it is (`a sequence`).
    `dependents`: what stands on a table; its rows are what it is, and what another table in its place does to it
    (`refused`: it keeps the table from being replaced at all; `broken`; `lost`).
    `digits`: how many digits a decimal can have, and how many of them behind the point; any number where it is empty.
    `problems`: what is wrong with a table; see table_checks.
    `layout`: how a table is laid out, where that matters; its row is the column by whose values it is parted, so that
    statements should say which parts they are about (or null), and all of the layout as a text. Where two tables differ
    in it, one can't be replaced by a copy of the other.
    `guards`: what may have a table refuse rows, or do more with them than to store them: constraints, triggers, parts.
    Where it has any row, rows don't go straight into the table.
    """

    columns: str = ""
    tables: str = ""
    exists: str = ""
    schemas: str = ""
    pins: str = ""
    others: str = ""
    dependents: str = ""
    digits: str = ""
    problems: str = ""
    layout: str = ""
    guards: str = ""


def query_of(session: Session, sql: str, table: TableName) -> list[tuple[object, ...]]:
    """All rows of a query whose parameters are a table's schema (or null) and its name, once or several times."""
    return session.query(sql, (table.schema, table.name) * (count_marks(sql) // 2 or 1))
