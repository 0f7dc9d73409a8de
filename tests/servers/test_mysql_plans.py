"""Where a table has no index on the key, MySQL still finds a row's match without reading the table for each row."""

import mysqls
import pytest

from tailrace.testing.messages import INT, TEXT, record, schema

ROWS = 8_000
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
