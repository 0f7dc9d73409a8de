"""What a DuckDB file has, as DuckDB's own functions say it."""

from __future__ import annotations

from tailrace.sql.catalogs import Catalog

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
