"""The query of what is wrong with a table of MySQL or MariaDB, for tailrace: see sql/table_checks."""

TABLE_CHECKS = """
    SELECT '' COLLATE utf8mb4_bin, 'always',
        concat('has the engine ' COLLATE utf8mb4_bin, engine, ', whose rows aren''t committed with the checkpoint'),
        'ENGINE = InnoDB' COLLATE utf8mb4_bin
    FROM information_schema.tables
    WHERE table_schema = coalesce(?, database()) AND table_name = ? AND engine <> 'InnoDB'
    UNION ALL
    SELECT convert(constraint_name USING utf8mb4) COLLATE utf8mb4_bin, 'altered', 'CHECK', ''
    FROM information_schema.check_constraints
    WHERE constraint_schema = coalesce(?, database())
        AND /*M!100600 level = 'Column' AND table_name = */ ? /*!80000 IS NULL AND FALSE */
        AND check_clause <> concat('json_valid(`', replace(constraint_name, '`', '``'), '`)')
    UNION ALL
    SELECT convert(c.column_name USING utf8mb4) COLLATE utf8mb4_bin, o.matters,
        CASE o.matters
            WHEN 'loaded' THEN concat('as ' COLLATE utf8mb4_bin, c.column_type, ', which changes values')
            WHEN 'key' THEN concat('in the collation ', c.collation_name, ', in which texts are the same that differ')
            ELSE concat_ws(', ',
                if(c.column_default IS NOT NULL /*M!100600 AND c.column_default <> 'NULL' */, 'DEFAULT', NULL),
                nullif(c.extra, ''), if(c.column_comment IN ('', 'in UTC'), NULL, 'COMMENT'))
        END,
        CASE o.matters
            WHEN 'key' THEN concat(c.column_type, ' CHARACTER SET utf8mb4 COLLATE utf8mb4_',
                if(version() LIKE '%MariaDB%', 'nopad', '0900'), '_bin')
            WHEN 'loaded' THEN CASE c.data_type
                WHEN 'bit' THEN 'bigint unsigned'
                WHEN 'year' THEN 'smallint'
                WHEN 'binary' THEN concat('var', c.column_type)
                WHEN 'float' THEN 'double'
                WHEN 'double' THEN 'double'
                ELSE 'text'
            END
            ELSE ''
        END
    FROM information_schema.columns c
    JOIN (SELECT 'loaded' AS matters UNION ALL SELECT 'key' UNION ALL SELECT 'altered') o
    WHERE c.table_schema = coalesce(?, database()) AND c.table_name = ?
        AND CASE o.matters
            WHEN 'loaded' THEN c.data_type IN ('bit', 'year', 'set', 'binary', 'inet4', 'inet6')
                OR c.column_type REGEXP '^(float|double)[(]'
            WHEN 'key' THEN c.data_type <> 'enum'
                AND c.collation_name NOT REGEXP if(c.data_type = 'char', '_bin$', '_(nopad|0900)_bin$')
            ELSE c.extra <> '' OR c.column_comment NOT IN ('', 'in UTC')
                OR c.column_default IS NOT NULL /*M!100600 AND c.column_default <> 'NULL' */
        END
"""
"""In MySQL and MariaDB. The latter writes NULL for no default, and it alone has CHECKs that belong to a column.

A collation is given since those of MySQL's own tables don't go together.
"""
