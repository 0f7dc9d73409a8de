"""Ready types and catalogs, for databases that spell types as the standard does, or have information_schema."""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.model import Kind
from tailrace.sql.catalogs import Catalog

TYPES: Mapping[Kind, str] = {
    Kind.BOOL: "boolean",
    Kind.INT: "bigint",
    Kind.FLOAT: "double precision",
    Kind.DECIMAL: "numeric({precision},{scale})",
    Kind.TEXT: "text",
    Kind.JSON: "jsonb",
    Kind.BINARY: "bytea",
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.TIMESTAMP: "timestamp without time zone",
    Kind.TIMESTAMPTZ: "timestamp with time zone",
    Kind.UUID: "uuid",
}
"""Types as the standard spells them, and as most call those that it doesn't have."""

KINDS: Mapping[str, Kind] = {
    "BOOLEAN": Kind.BOOL,
    **dict.fromkeys(("SMALLINT", "INTEGER", "BIGINT"), Kind.INT),
    **dict.fromkeys(("REAL", "DOUBLE PRECISION"), Kind.FLOAT),
    "NUMERIC": Kind.DECIMAL,
    **dict.fromkeys(("TEXT", "CHARACTER VARYING", "CHARACTER"), Kind.TEXT),
    "DATE": Kind.DATE,
    "TIME WITHOUT TIME ZONE": Kind.TIME,
    "TIMESTAMP WITHOUT TIME ZONE": Kind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ,
}
"""The types of the standard that tables may have."""

SPELLED = """
    CASE WHEN c.numeric_scale > 0 OR lower(c.data_type) IN ('numeric', 'decimal', 'number')
        THEN c.data_type || '(' || c.numeric_precision || ',' || c.numeric_scale || ')' ELSE c.data_type END
"""
"""A column's type, with the digits of a decimal."""

_KEYS = """
    LEFT JOIN (
        SELECT u.table_schema, u.table_name, u.column_name, u.ordinal_position, u.constraint_name
        FROM information_schema.key_column_usage u
        JOIN information_schema.table_constraints p
            ON p.constraint_schema = u.constraint_schema AND p.constraint_name = u.constraint_name
            AND p.table_schema = u.table_schema AND p.table_name = u.table_name AND p.constraint_type = 'PRIMARY KEY'
    ) k ON k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name
"""


def information_schema(
    *,
    spelled: str = SPELLED,
    has_default: str = "c.column_default IS NOT NULL",
    comment: str = "NULL",
    generated: str = "NULL",
    has_keys: bool = True,
    digits: str = "",
    name: str = "?",
) -> Catalog:
    """The catalog of such a database. The texts are SQL on columns `c`, and the table's row `t`; none is from outside.

    `has_keys` says whether it knows PRIMARY KEYs by their columns; `digits` is as in Catalog; `name` is what stands for
    a name that is asked for, as it is in the catalog.
    """
    place, constraint = ("k.ordinal_position", "k.constraint_name") if has_keys else ("NULL", "NULL")
    at = f"table_schema = coalesce({name}, current_schema()) AND table_name = {name}"
    there = "FROM information_schema.tables WHERE"
    columns = (
        f"SELECT c.column_name, {spelled}, c.is_nullable = 'YES', {has_default}, {place}, {comment}, {constraint}, "  # noqa: S608 a query of its own
        f"{generated} FROM information_schema.columns c JOIN information_schema.tables t "
        "ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
        f"{_KEYS if has_keys else ''} WHERE c.table_schema = coalesce({name}, current_schema()) "
        f"AND c.table_name = {name} ORDER BY c.ordinal_position"
    )
    return Catalog(
        columns=columns,
        exists=f"SELECT 1 {there} {at}",
        tables=f"SELECT table_schema, table_name {there} position({name} IN table_name) = 1",
        schemas=f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {name}",  # noqa: S608 as above
        others=f"SELECT 'a view' {there} {at} AND table_type LIKE '%VIEW%'",
        digits=digits,
    )
