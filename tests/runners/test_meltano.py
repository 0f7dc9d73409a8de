"""The real Meltano, with a tap from PyPI, a real PostgreSQL as source, and `target-tailrace` as the loader."""

import json
import os
from datetime import datetime

import duckdb
import psycopg
import pytest
from services.meltano import MeltanoProject
from services.processes import MissingServiceError

ORDERS = "public-orders"


@pytest.fixture
def project(tmp_path, postgres_url):
    """A project whose source has an empty table of orders."""
    with psycopg.connect(postgres_url, autocommit=True) as source:
        source.execute("CREATE TABLE orders (id bigint, total numeric(10,2), updated_at timestamp NOT NULL)")
    metadata = {ORDERS: {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}}
    try:
        return MeltanoProject(tmp_path, postgres_url, f"duckdb:///{tmp_path}/shop.duckdb", metadata)
    except MissingServiceError as missing:
        if os.environ.get("SERVICES_REQUIRED"):
            raise
        pytest.skip(str(missing))


def order(url, number, day):
    with psycopg.connect(url, autocommit=True) as source:
        source.execute("INSERT INTO orders VALUES (%s, %s, %s)", (number, "12.50", datetime(2026, 1, day)))


def loaded(folder):
    """The ids in the table, each as often as it stands there."""
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        (table,) = (name for name in tables if "orders" in name)
        return [number for (number,) in connection.execute(f'SELECT id FROM "{table}" ORDER BY id').fetchall()]


def test_meltano_keeps_the_state_as_the_tap_sent_it_and_the_second_run_reads_only_what_is_new(
    project, postgres_url, tmp_path
):
    for day in (1, 2, 3):
        order(postgres_url, day, day)
    project.meltano("run", "tap-postgres", "target-tailrace")
    assert loaded(tmp_path) == [1, 2, 3]
    (name,) = project.meltano("state", "list").split()
    kept = json.loads(project.meltano("state", "get", name))
    bookmark = kept["singer_state"]["bookmarks"][ORDERS]
    assert (bookmark["replication_key"], bookmark["replication_key_value"][:10]) == ("updated_at", "2026-01-03")

    # What comes a day before the bookmark is what only a run from the beginning would find.
    order(postgres_url, 100, 2)
    order(postgres_url, 4, 4)
    project.meltano("run", "tap-postgres", "target-tailrace")
    # The table has no key, and the tap sends the row of the bookmark once more.
    assert loaded(tmp_path) == [1, 2, 3, 3, 4]
    kept = json.loads(project.meltano("state", "get", name))
    assert kept["singer_state"]["bookmarks"][ORDERS]["replication_key_value"][:10] == "2026-01-04"
