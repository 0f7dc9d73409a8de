"""Queries of catalogs: tables' columns, what has a table's name and isn't one, what stands on tables; see Dialect.

Servers that share a catalog share them.
"""

from __future__ import annotations

from tailrace.model import TableName
from tailrace.sql.placeholders import count_marks
from tailrace.sql.session import Session


def query_of(session: Session, sql: str, table: TableName) -> list[tuple[object, ...]]:
    """All rows of a query whose parameters are a table's schema (or null) and its name, once or several times."""
    return session.query(sql, (table.schema, table.name) * (count_marks(sql) // 2))


_POSTGRES_TABLE = """
    WITH t AS (
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = coalesce(?, current_schema()) AND c.relname = ?
    )
"""

POSTGRES_PINS = (
    _POSTGRES_TABLE  # noqa: S608 a query of its own
    + """
    SELECT a.attname,
        CASE WHEN w.ev_class IS NULL THEN 'the ' || pg_describe_object(d.classid, d.objid, d.objsubid)
            ELSE 'the view ' || w.ev_class::regclass END,
        CASE WHEN k.contype = 'c' OR d.classid = 'pg_class'::regclass THEN 'text' ELSE 'always' END
    FROM t
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    LEFT JOIN pg_catalog.pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    WHERE w.ev_class IS NOT NULL OR k.contype IN ('f', 'c')
        OR (f.oid IS NOT NULL AND f.adnum <> a.attnum)
        OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
        OR d.classid IN ('pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_publication_rel'::regclass)
    UNION
    SELECT a.attname, 'its IDENTITY', 'always' FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
    WHERE a.attidentity <> ''
    UNION
    SELECT a.attname, 'the partitioning', 'always'
    FROM t JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (p.partattrs)
    ORDER BY 1, 2
"""
)

POSTGRES_OTHERS = (
    _POSTGRES_TABLE  # noqa: S608 a query of its own
    + """
    SELECT CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'S' THEN 'a sequence'
        WHEN 'c' THEN 'a type' WHEN 'f' THEN 'a foreign table' ELSE 'an index' END
    FROM t JOIN pg_catalog.pg_class c USING (oid)
    WHERE c.relkind NOT IN ('r', 'p') AND (c.relkind NOT IN ('v', 'f') OR pg_relation_is_updatable(c.oid, true) & 8 = 0)
"""
)

POSTGRES_DEPENDENTS = (
    _POSTGRES_TABLE  # noqa: S608 a query of its own
    + """
    SELECT 'the foreign key ' || k.conname || ' of the table ' || k.conrelid::regclass, 'refused'
    FROM t JOIN pg_catalog.pg_constraint k ON k.confrelid = t.oid AND k.contype = 'f' AND k.conrelid <> t.oid
    UNION ALL
    SELECT DISTINCT 'the view ' || w.ev_class::regclass, 'broken'
    FROM t JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
    JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.ev_class <> t.oid
    UNION ALL
    SELECT 'the index ' || i.indexrelid::regclass, 'lost'
    FROM t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND NOT i.indisprimary
    UNION ALL
    SELECT 'the trigger ' || g.tgname, 'lost'
    FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
    UNION ALL
    SELECT 'the policy ' || p.polname, 'lost' FROM t JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
    UNION ALL
    SELECT 'the publication ' || p.pubname, 'lost'
    FROM t JOIN pg_catalog.pg_publication_rel r ON r.prrelid = t.oid
    JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
    UNION ALL
    SELECT 'its partitioning', 'lost' FROM t JOIN pg_catalog.pg_class c USING (oid) WHERE c.relkind = 'p'
    UNION ALL
    SELECT 'its grants', 'lost' FROM t JOIN pg_catalog.pg_class c USING (oid)
    WHERE EXISTS (SELECT 1 FROM aclexplode(c.relacl) WHERE grantee <> c.relowner)
"""
)

REDSHIFT_OTHERS = """
    SELECT CASE WHEN c.relkind = 'v' THEN 'a view' ELSE 'something else' END
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind <> 'r'
"""

REDSHIFT_DEPENDENTS = """
    SELECT DISTINCT 'the view ' || v.relname, 'broken'
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_depend d ON d.refobjid = c.oid
    JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid AND w.ev_class <> c.oid
    JOIN pg_catalog.pg_class v ON v.oid = w.ev_class
    WHERE n.nspname = %s AND c.relname = %s
"""

MYSQL_PINS = """
    SELECT convert(k.column_name USING utf8mb4) COLLATE utf8mb4_bin,
        convert(concat('the foreign key ', k.constraint_name) USING utf8mb4) COLLATE utf8mb4_bin, 'always'
    FROM information_schema.key_column_usage k
    WHERE k.table_schema = coalesce(?, database()) AND k.table_name = ? AND k.referenced_table_name IS NOT NULL
    UNION ALL
    SELECT convert(i.column_name USING utf8mb4) COLLATE utf8mb4_bin,
        convert(concat('the index ', i.index_name) USING utf8mb4) COLLATE utf8mb4_bin, 'text'
    FROM information_schema.statistics i
    WHERE i.table_schema = coalesce(?, database()) AND i.table_name = ? AND i.index_name <> 'PRIMARY'
    UNION ALL
    SELECT convert(k.referenced_column_name USING utf8mb4) COLLATE utf8mb4_bin,
        convert(concat('the foreign key ', k.constraint_name) USING utf8mb4) COLLATE utf8mb4_bin, 'always'
    FROM information_schema.key_column_usage k
    WHERE k.referenced_table_schema = coalesce(?, database()) AND k.referenced_table_name = ?
"""

MYSQL_OTHERS = """
    SELECT if(t.table_type = 'SEQUENCE', 'a sequence', 'a view')
    FROM information_schema.tables t
    WHERE t.table_schema = coalesce(?, database()) AND t.table_name = ?
        AND (t.table_type IN ('SEQUENCE', 'SYSTEM VIEW') OR EXISTS (
            SELECT 1 FROM information_schema.views v
            WHERE v.table_schema = coalesce(?, database()) AND v.table_name = ? AND v.is_updatable = 'NO'
        ))
"""

MYSQL_DEPENDENTS = """
    SELECT concat('the foreign key ', k.constraint_name, ' of the table ', k.table_name), 'refused'
    FROM information_schema.key_column_usage k
    WHERE k.referenced_table_schema = coalesce(?, database()) AND k.referenced_table_name = ?
"""

POSTGRES_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.atthasdef OR a.attidentity <> '',
        array_position((i.indkey::smallint[])[0:i.indnkeyatts - 1], a.attnum),
        obj_description(c.oid, 'pg_class'),
        (SELECT k.relname FROM pg_catalog.pg_class k WHERE k.oid = i.indexrelid),
        CASE WHEN a.attgenerated <> '' THEN 'GENERATED' WHEN a.attidentity = 'a' THEN 'GENERATED ALWAYS AS IDENTITY' END
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE n.nspname = coalesce(?, current_schema()) AND c.relname = ? AND c.relkind IN ('r', 'p', 'v', 'f')
    ORDER BY a.attnum
"""

REDSHIFT_COLUMNS = """
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
