"""What MySQL and MariaDB have, as information_schema says it."""

from __future__ import annotations

from tailrace.destinations.mysql.table_checks import TABLE_CHECKS
from tailrace.sql.catalogs import Catalog

_PINS = """
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

_OTHERS = """
    SELECT if(t.table_type = 'SEQUENCE', 'a sequence', 'a view')
    FROM information_schema.tables t
    WHERE t.table_schema = coalesce(?, database()) AND t.table_name = ?
        AND (t.table_type IN ('SEQUENCE', 'SYSTEM VIEW') OR EXISTS (
            SELECT 1 FROM information_schema.views v
            WHERE v.table_schema = coalesce(?, database()) AND v.table_name = ? AND v.is_updatable = 'NO'
        ))
"""

_DEPENDENTS = """
    SELECT concat('the foreign key ', k.constraint_name, ' of the table ', k.table_name), 'refused'
    FROM information_schema.key_column_usage k
    WHERE k.referenced_table_schema = coalesce(?, database()) AND k.referenced_table_name = ?
"""

# Galera may be set to commit each 10,000 rows of LOAD DATA by themselves.
_GUARDS = """
    SELECT 1 FROM information_schema.tables
    WHERE table_schema = coalesce(?, database()) AND table_name = ?
        AND (table_type <> 'BASE TABLE' OR create_options LIKE '%partitioned%')
    UNION ALL
    SELECT 1 FROM information_schema.table_constraints
    WHERE table_schema = coalesce(?, database()) AND table_name = ? /*M!100600 AND constraint_type <> 'CHECK' */
    UNION ALL
    SELECT 1 FROM information_schema.check_constraints
    WHERE constraint_schema = coalesce(?, database()) AND /*M!100600 table_name = */ ? /*!80000 IS NULL AND FALSE */
        /*M!100600 AND (level = 'Table'
            OR check_clause <> concat('json_valid(`', replace(constraint_name, '`', '``'), '`)')) */
    UNION ALL
    SELECT 1 FROM information_schema.triggers
    WHERE event_object_schema = coalesce(?, database()) AND event_object_table = ?
    UNION ALL
    SELECT 1 FROM /*M!100600 information_schema.global_variables */ /*!80000 performance_schema.global_variables */
    WHERE variable_name = 'wsrep_load_data_splitting' AND variable_value = 'ON'
"""

CATALOG = Catalog(
    # MariaDB looks at every table of the server for what it joins, unless that is DISTINCT and names the table itself.
    columns="""
        SELECT c.column_name,
            CASE WHEN c.column_type = 'tinyint(1)' THEN 'boolean'
                WHEN k.constraint_name IS NOT NULL THEN 'json'
                ELSE concat(c.column_type,
                    coalesce(concat(' CHARACTER SET ', c.character_set_name, ' COLLATE ', c.collation_name), ''),
                    if(c.column_comment = 'in UTC', ' COMMENT ''in UTC''', ''))
            END,
            c.is_nullable = 'YES', c.column_default IS NOT NULL OR c.extra LIKE '%auto_increment%', s.seq_in_index,
            t.table_comment, s.index_name, if(coalesce(c.generation_expression, '') = '', NULL, 'GENERATED')
        FROM information_schema.columns c
        JOIN (
            SELECT DISTINCT table_comment FROM information_schema.tables
            WHERE table_schema = coalesce(?, database()) AND table_name = ?
        ) t
        LEFT JOIN (
            SELECT DISTINCT column_name, seq_in_index, index_name FROM information_schema.statistics
            WHERE table_schema = coalesce(?, database()) AND table_name = ? AND index_name = 'PRIMARY'
        ) s ON s.column_name = c.column_name
        LEFT JOIN (
            SELECT DISTINCT constraint_name, check_clause FROM information_schema.check_constraints
            WHERE constraint_schema = coalesce(?, database())
                AND /*M!100600 level = 'Column' AND table_name = */ ? /*!80000 IS NULL AND FALSE */
        ) k ON k.constraint_name = c.column_name AND c.data_type = 'longtext'
            AND k.check_clause = concat('json_valid(`', replace(c.column_name, '`', '``'), '`)')
        WHERE c.table_schema = coalesce(?, database()) AND c.table_name = ?
        ORDER BY c.ordinal_position
    """,
    tables="SELECT table_schema, table_name FROM information_schema.tables WHERE instr(table_name, ?) = 1",
    schemas="SELECT 1 FROM information_schema.schemata WHERE schema_name = ?",
    pins=_PINS,
    others=_OTHERS,
    dependents=_DEPENDENTS,
    digits="SELECT 65, if(version() LIKE '%MariaDB%', 38, 30)",
    problems=TABLE_CHECKS,
    guards=_GUARDS,
)
