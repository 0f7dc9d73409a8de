"""What a DuckDB file has, as DuckDB's own functions say it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import duckdb

from tailrace.model import TableName
from tailrace.sql.catalogs import Catalog
from tailrace.sql.quoting import quoted_table

CATALOG = Catalog(
    columns="""
        SELECT c.column_name, c.data_type, c.is_nullable, c.column_default IS NOT NULL,
            list_position(k.constraint_column_names, c.column_name), t.comment, k.constraint_name,
            CASE WHEN c.is_generated THEN 'GENERATED' END
        FROM duckdb_columns() c
        JOIN duckdb_tables() t USING (database_oid, table_oid)
        LEFT JOIN duckdb_constraints() k
            ON k.database_oid = t.database_oid AND k.table_oid = t.table_oid AND k.constraint_type = 'PRIMARY KEY'
        WHERE c.database_name = current_database() AND lower(c.schema_name) = lower(coalesce(?, 'main'))
            AND lower(c.table_name) = lower(?)
        ORDER BY c.column_index
    """,
    tables="""
        SELECT schema_name, table_name FROM duckdb_tables()
        WHERE database_name = current_database() AND starts_with(table_name, ?)
    """,
    exists="""
        SELECT 1 FROM duckdb_tables()
        WHERE database_name = current_database() AND lower(schema_name) = lower(coalesce(?, 'main'))
            AND lower(table_name) = lower(?)
    """,
    schemas="""
        SELECT 1 FROM duckdb_schemas()
        WHERE database_name = current_database() AND lower(schema_name) = lower(?)
    """,
    digits="SELECT 38, 38",
    # An index keeps all columns as they are, not its own alone.
    pins="""
        WITH t AS (
            SELECT database_oid, table_oid, table_name FROM duckdb_tables()
            WHERE database_name = current_database() AND lower(schema_name) = lower(coalesce(?, 'main'))
                AND lower(table_name) = lower(?)
        )
        SELECT NULL, 'the index ' || index_name, 'null' FROM duckdb_indexes() JOIN t USING (database_oid, table_oid)
        UNION ALL
        SELECT NULL, 'the foreign key of the table ' || k.table_name, 'null' FROM duckdb_constraints() k, t
        WHERE k.database_oid = t.database_oid AND lower(k.referenced_table) = lower(t.table_name)
        UNION ALL
        SELECT unnest(constraint_column_names), 'the constraint ' || constraint_text, 'always'
        FROM duckdb_constraints() JOIN t USING (database_oid, table_oid) WHERE constraint_type <> 'NOT NULL'
        UNION ALL
        SELECT c.column_name, 'the generated column ' || g.column_name, 'always'
        FROM duckdb_columns() c JOIN t USING (database_oid, table_oid)
        JOIN duckdb_columns() g USING (database_oid, table_oid)
        WHERE g.is_generated AND contains(lower(g.column_default), lower(c.column_name))
    """,
    others="""
        SELECT 'a view' FROM duckdb_views()
        WHERE database_name = current_database() AND lower(schema_name) = lower(coalesce(?, 'main'))
            AND lower(view_name) = lower(?)
    """,
    dependents="""
        SELECT 'the foreign key of the table ' || table_name, 'refused' FROM duckdb_constraints()
        WHERE database_name = current_database() AND lower(schema_name) = lower(coalesce(?, 'main'))
            AND lower(referenced_table) = lower(?)
    """,
)

_COLUMNS = 'SELECT name, type, NOT "notnull", dflt_value IS NOT NULL, pk FROM pragma_table_info(?) ORDER BY cid'

_TABLES = """
    SELECT lower(schema_name), lower(table_name), comment, true FROM duckdb_tables()
    WHERE database_name = current_database()
    UNION ALL
    SELECT lower(schema_name), lower(view_name), NULL, false FROM duckdb_views()
    WHERE database_name = current_database()
"""

_CONSTRAINTS = """
    SELECT database_name = 'temp', lower(schema_name), lower(table_name), constraint_type, constraint_column_names,
        expression
    FROM duckdb_constraints()
    WHERE constraint_type <> 'NOT NULL' AND database_name IN ('temp', current_database())
    UNION ALL
    SELECT database_name = 'temp', lower(schema_name), lower(table_name), 'INDEX', expressions::VARCHAR[], NULL
    FROM duckdb_indexes()
    WHERE is_unique AND NOT is_primary AND database_name IN ('temp', current_database())
"""

_CHANGES_NO_TABLE = ("INSERT", "UPDATE", "DELETE")

_MAKES_TABLE = ("CREATE TABLE ", "CREATE TEMPORARY TABLE ")

_MAY_CONSTRAIN = re.compile(r"\b(CHECK|UNIQUE|PRIMARY|REFERENCES|GENERATED|DEFAULT|AS)\b", re.IGNORECASE)

Constraint = tuple[str, list[str], str]
"""The kind of a constraint, or of an index, that rows may break; its columns, or expressions; and its text."""


class TableReader:
    """Tells what tables there are. DuckDB's own functions look through all of them, so that these are asked once.

    What they have told holds until the session runs a statement that may change it, BEGIN and COMMIT among these. One
    that makes a table leaves the others as they are, and the new one has no more than that statement says.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._comments: dict[tuple[str, str], object] | None = None
        self._views: set[tuple[str, str]] = set()
        self._constraints: dict[tuple[bool, str, str], list[Constraint]] | None = None
        self._made: dict[str, str] = {}
        self._types: dict[TableName, list[tuple[str, str, bool]]] = {}

    def answers(self, sql: str) -> Callable[[object, object], list[tuple[object, ...]]] | None:
        """What answers a query of the catalog, by the parameters of that, in the place of DuckDB's own functions."""
        return {CATALOG.columns: self.columns, CATALOG.others: self.others}.get(sql)

    def note(self, sql: str) -> None:
        """Take notice of a statement that the session runs."""
        if sql.startswith(_MAKES_TABLE) and not _MAY_CONSTRAIN.search(sql):
            self._made[_begin_of(sql)] = sql
        elif not sql.startswith(_CHANGES_NO_TABLE) and not self._is_comment_on_made(sql):
            self._constraints = None
            if not sql.startswith("ALTER TABLE ") or " RENAME " in sql:
                self._comments = None
            self._made.clear()
            self._types.clear()

    def columns(self, schema: object, name: object) -> list[tuple[object, ...]]:
        """What the query CATALOG.columns gives."""
        table = TableName(str(name), str(schema or "main"))
        if self._create_of(table):  # its comment may be anything
            self._comments = None
        comments, key = self._all_comments(), _folded(table)
        if key not in comments:
            return []
        columns = self._columns(table)
        if any(has_default or is_key for *_, has_default, is_key in columns):  # it may be a generated column
            return self._connection.execute(CATALOG.columns, [schema, name]).fetchall()
        return [(*column, None, comments[key], None, None) for *column, _ in columns]

    def others(self, schema: object, name: object) -> list[tuple[object, ...]]:
        """What the query CATALOG.others gives."""
        self._all_comments()
        return [("a view",)] if _folded(TableName(str(name), str(schema or "main"))) in self._views else []

    def types(self, table: TableName) -> list[tuple[str, str, bool]]:
        """The name and the type of each column, and whether rows may lack it. Without a schema it is temporary."""
        if table not in self._types:
            self._types[table] = self._made_types(table) or [
                (str(name), str(what), bool(nullable or has_default))
                for name, what, nullable, has_default, _ in self._columns(table)
            ]
        return self._types[table]

    def constraints(self, table: TableName) -> list[Constraint]:
        """What rows may break but types and NOT NULL."""
        return [] if self._create_of(table) else self._all_constraints().get((not table.schema, *_folded(table)), [])

    def _columns(self, table: TableName) -> list[tuple[object, ...]]:
        return self._connection.execute(_COLUMNS, [_written(table)]).fetchall()

    def _made_types(self, table: TableName) -> list[tuple[str, str, bool]]:
        """The types of a table that the session has made without NOT NULL: these need no query."""
        create = self._create_of(table)
        if not create or "NOT NULL" in create:
            return []
        made = self._connection.table(_written(table))
        return [(name, str(what), True) for name, what in zip(made.columns, made.types, strict=True)]

    def _create_of(self, table: TableName) -> str:
        """The statement by which the session has made the table, without constraints; empty where it hasn't."""
        begin = f"{_MAKES_TABLE[not table.schema]}{_written(table)} ("
        create = self._made.get(_begin_of(begin), "")
        return create if create.startswith(begin) else ""

    def _is_comment_on_made(self, sql: str) -> bool:
        on, is_comment, _ = sql.partition(" IS ")
        return bool(is_comment) and on.replace("COMMENT ON TABLE ", _MAKES_TABLE[0], 1) in self._made

    def _all_comments(self) -> dict[tuple[str, str], object]:
        if self._comments is None:
            rows = self._connection.execute(_TABLES).fetchall()
            self._comments = {(schema, name): comment for schema, name, comment, is_table in rows if is_table}
            self._views = {(schema, name) for schema, name, _, is_table in rows if not is_table}
        return self._comments

    def _all_constraints(self) -> dict[tuple[bool, str, str], list[Constraint]]:
        if self._constraints is None:
            self._constraints = {}
            for is_temporary, schema, name, kind, of, text in self._connection.execute(_CONSTRAINTS).fetchall():
                known = self._constraints.setdefault((is_temporary, schema, name), [])
                known.append((str(kind), [*map(str, of or ())], str(text)))
        return self._constraints


def _folded(table: TableName) -> tuple[str, str]:
    """Schema and name as DuckDB tells tables apart."""
    return (table.schema or "main").lower(), table.name.lower()


def _begin_of(create: str) -> str:
    """A CREATE TABLE up to the name of the table, or up to a bracket in that name."""
    return create.partition(" (")[0]


@lru_cache(maxsize=1024)
def _written(table: TableName) -> str:
    return quoted_table(table, "duckdb")
