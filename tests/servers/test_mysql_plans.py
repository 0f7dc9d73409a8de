"""Where a table has no index on the key, MySQL still finds a row's match without reading the table for each row."""

import mysqls
import pytest

from tailrace.destinations.mysql import CATALOG
from tailrace.destinations.mysql.table_checks import TABLE_CHECKS
from tailrace.sql.placeholders import count_marks, percent
from tailrace.testing.messages import INT, TEXT, record, schema

ROWS = 3_000
DELETED = {"type": ["string", "null"], "format": "date-time"}


def reads(url):
    """How many rows the server has read so far, one after another."""
    return int(mysqls.query(url, "SHOW GLOBAL STATUS LIKE 'Handler_read_rnd_next'")[0][1])


@pytest.mark.parametrize("of", ["bigint", "varchar(40)"])
@pytest.mark.parametrize("method", ["upsert", "insert_ignore"])
def test_a_second_load_reads_a_table_without_an_index_a_few_times(any_mysql, any_mysql_url, of, method):
    url = any_mysql_url
    collation = "utf8mb4_0900_bin" if any_mysql == "mysql" else "utf8mb4_nopad_bin"
    text = f" CHARACTER SET utf8mb4 COLLATE {collation}" if of != "bigint" else ""
    mysqls.query(url, f"CREATE TABLE things (id {of}{text}, name varchar(20))")
    properties = {"id": INT if of == "bigint" else TEXT, "name": TEXT, "_sdc_deleted_at": DELETED}
    rows = [record({"id": n if of == "bigint" else f"k{n}", "name": "x"}) for n in range(ROWS)]
    gone = [{**row, "record": row["record"] | {"_sdc_deleted_at": "2024-01-01T00:00:00Z"}} for row in rows[::2]]
    mysqls.load(url, schema(properties, ["id"]), *rows, method=method)
    before = reads(url)
    mysqls.load(url, schema(properties, ["id"]), *rows, method=method)
    mysqls.load(url, schema(properties, ["id"]), *gone, method=method, hard_delete=True)
    assert reads(url) - before < 100 * ROWS
    assert mysqls.query(url, "SELECT count(*) FROM things") == [(ROWS // 2,)]


@pytest.mark.parametrize("sql", [CATALOG.columns, CATALOG.others, TABLE_CHECKS], ids=["columns", "others", "checks"])
def test_what_is_asked_of_a_table_has_mariadb_look_at_no_other_table(mariadb_url, sql):
    mysqls.query(mariadb_url, "CREATE TABLE things (id int PRIMARY KEY, data json)")
    with mysqls.connected(mariadb_url) as connection:
        cursor = connection.cursor()
        cursor.execute(f"EXPLAIN {percent(sql)}", (None, "things") * (count_marks(sql) // 2))
        extras = [row[-1] for row in cursor.fetchall()]
    assert [extra for extra in extras if "Scanned" in extra and "Scanned 0 databases" not in extra] == []
