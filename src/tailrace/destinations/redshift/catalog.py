"""What Redshift has, as the part of PostgreSQL's catalog says it that it has."""

from __future__ import annotations

from tailrace.sql.catalogs import Catalog

_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.atthasdef,
        CASE WHEN a.attnum = ANY(k.conkey) THEN a.attnum END, d.description, k.conname, NULL
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
    LEFT JOIN pg_catalog.pg_description d
        ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_catalog.pg_class'::regclass
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'v')
    ORDER BY a.attnum
"""

_OTHERS = """
    SELECT CASE WHEN c.relkind = 'v' THEN 'a view' ELSE 'something else' END
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind <> 'r'
"""

_DEPENDENTS = """
    SELECT DISTINCT 'the view ' || v.relname, 'broken'
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_depend d ON d.refobjid = c.oid
    JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid AND w.ev_class <> c.oid
    JOIN pg_catalog.pg_class v ON v.oid = w.ev_class
    WHERE n.nspname = %s AND c.relname = %s
"""

CATALOG = Catalog(
    columns=_COLUMNS,
    tables="""
        SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND strpos(n.nspname, 'pg_temp') <> 1 AND strpos(c.relname, %s) = 1
    """,
    schemas="SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s",
    others=_OTHERS,
    dependents=_DEPENDENTS,
    digits="SELECT 38, 37",
)
