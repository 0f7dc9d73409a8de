"""What a SQLite file has, as its pragmas and its own table of tables say it."""

from __future__ import annotations

from tailrace.sql.catalogs import Catalog

CATALOG = Catalog(
    columns="""
        SELECT name, type, "notnull" = 0 AND pk = 0, dflt_value IS NOT NULL, nullif(pk, 0),
            (SELECT substr(s.sql, nullif(instr(s.sql, '/* key: '), 0) + 3) FROM main.sqlite_master s
                WHERE s.type = 'table' AND lower(s.name) = lower(?2)), 'PRIMARY KEY',
            CASE WHEN hidden IN (2, 3) THEN 'GENERATED' END
        FROM pragma_table_xinfo(?2, coalesce(?1, 'main'))
        WHERE hidden <> 1
        ORDER BY cid
    """,
    tables="SELECT NULL, name FROM main.sqlite_master WHERE type = 'table' AND substr(name, 1, length(?1)) = ?1",
    others="""
        SELECT CASE type WHEN 'view' THEN 'a view' ELSE 'an index' END FROM sqlite_master v
        WHERE coalesce(?1, 'main') IS NOT NULL AND type IN ('view', 'index') AND lower(name) = lower(?2)
            AND NOT EXISTS (
                SELECT 1 FROM sqlite_master
                WHERE type = 'trigger' AND tbl_name = v.name AND upper(sql) LIKE '%INSTEAD%OF%INSERT%'
            )
    """,
)
