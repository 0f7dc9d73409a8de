"""What PostgreSQL has, as its own catalog says it."""

from __future__ import annotations

from tailrace.sql.catalogs import Catalog

_TABLE = """
    WITH t AS (
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = coalesce(?, current_schema()) AND c.relname = ?
    )
"""

_COLUMNS = """
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

_PINS = (
    _TABLE  # noqa: S608 a query of its own
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

_OTHERS = (
    _TABLE  # noqa: S608 a query of its own
    + """
    SELECT CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'S' THEN 'a sequence'
        WHEN 'c' THEN 'a type' WHEN 'f' THEN 'a foreign table' ELSE 'an index' END
    FROM t JOIN pg_catalog.pg_class c USING (oid)
    WHERE c.relkind NOT IN ('r', 'p') AND (c.relkind NOT IN ('v', 'f') OR pg_relation_is_updatable(c.oid, true) & 8 = 0)
"""
)

_DEPENDENTS = (
    _TABLE  # noqa: S608 a query of its own
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

CATALOG = Catalog(
    columns=_COLUMNS,
    tables="""
        SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND starts_with(c.relname, ?)
    """,
    schemas="SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?",
    pins=_PINS,
    others=_OTHERS,
    dependents=_DEPENDENTS,
    digits="SELECT 1000, 1000",
)
