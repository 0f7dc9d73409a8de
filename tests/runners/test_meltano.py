"""The real Meltano, with taps from PyPI, a real PostgreSQL as source and end, and `target-tailrace` as its loaders."""

import json
import os
from datetime import datetime

import duckdb
import psycopg
import pytest
from services.meltano import MeltanoProject
from services.processes import MissingServiceError

ORDERS, PEOPLE = "public-orders", "public-people"
SLOT = "tappostgres"
BY_TIME = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
RUN = ("run", "tap-postgres", "target-postgres", "tap-files", "target-duckdb", "tap-files", "target-parquet")


@pytest.fixture
def source(postgres_url):
    """A database with an empty table of orders, and one of people whose changes are kept for a tap."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id bigint, total numeric(10,2), updated_at timestamp NOT NULL)")
        connection.execute("CREATE TABLE people (id bigint PRIMARY KEY, name text)")
        try:
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'wal2json')", [SLOT])
        except psycopg.errors.UndefinedFile:
            if os.environ.get("SERVICES_REQUIRED"):
                raise
            pytest.skip("wal2json isn't here: run make services")
        yield connection
        connection.execute("SELECT pg_drop_replication_slot(%s)", [SLOT])


@pytest.fixture
def project(tmp_path, postgres_url, source):
    """A project that reads both tables and a folder of files, into DuckDB, PostgreSQL and Parquet."""
    try:
        made = MeltanoProject(tmp_path)
    except MissingServiceError as missing:
        if os.environ.get("SERVICES_REQUIRED"):
            raise
        pytest.skip(str(missing))
    both = {ORDERS: BY_TIME, PEOPLE: {"replication-method": "LOG_BASED"}}
    made.read_postgres("tap-postgres", postgres_url, both, replication_idle_exit_seconds=1, replication_slot_name=SLOT)
    (tmp_path / "csv").mkdir()
    made.read_files("tap-files", tmp_path / "csv")
    columns = {"total": {"name": "sum", "kind": "DECIMAL(10,2)"}}
    nested = {"streams": {PEOPLE: {"hard_delete": True, "table": "people"}, ORDERS: {"columns": columns}}}
    made.load_into("target-postgres", {"to": postgres_url, "schema": "ends", "table": "{table}", **nested})
    dotted = {"streams.cities.table": "towns", "streams.cities.columns.size.name": "people"}
    made.load_into("target-duckdb", {"to": f"duckdb:///{tmp_path}/shop.duckdb", **dotted})
    made.load_into("target-parquet", {"url": str(tmp_path / "lake")})
    made.environment |= {"TARGET_PARQUET_TO": "files", "TARGET_PARQUET_FORMAT": "parquet"}
    made.environment["TARGET_PARQUET_CONSTANTS"] = '{"origin": "shop"}'
    return made


def order(source, number, day):
    source.execute("INSERT INTO orders VALUES (%s, %s, %s)", [number, f"{number}.50", datetime(2026, 1, day)])


def bookmark(project, stream):
    return project.states()["tap-postgres-to-target-postgres"]["bookmarks"][stream]["replication_key_value"]


def same(source, query):
    """The rows that a query finds in the source, where it finds the same at the end."""
    rows = source.execute(query.format("public")).fetchall()
    assert source.execute(query.format("ends")).fetchall() == rows
    return rows


def test_two_runs_of_meltano_bring_what_is_new_changed_and_deleted_into_three_ends(project, source, tmp_path):
    for day in (1, 2, 3):
        order(source, day, day)
    source.execute("INSERT INTO people VALUES (1, 'Ada'), (2, 'Bob')")
    (tmp_path / "csv" / "cities.csv").write_text("name,size\nUlm,128\n")
    project.meltano(*RUN)
    assert same(source, "SELECT id, name FROM {}.people ORDER BY id") == [(1, "Ada"), (2, "Bob")]
    assert bookmark(project, ORDERS)[:10] == "2026-01-03"
    lsn = bookmark(project, PEOPLE)

    # What comes a day before the bookmark is what only a run from the beginning would find.
    order(source, 100, 2)
    order(source, 4, 4)
    source.execute("DELETE FROM people WHERE id = 2")
    source.execute("UPDATE people SET name = 'Ada L.' WHERE id = 1")
    (tmp_path / "csv" / "cities.csv").write_text("name,size\nBonn,330\n")
    project.meltano(*RUN)
    assert same(source, "SELECT id, name FROM {}.people ORDER BY id") == [(1, "Ada L.")]
    rows = source.execute("SELECT id, total, updated_at FROM orders WHERE id < 100 ORDER BY id").fetchall()
    found = source.execute("SELECT id, \"sum\", updated_at AT TIME ZONE 'UTC' FROM ends.orders ORDER BY id").fetchall()
    # The table has no key, and the tap sends the row of the bookmark once more.
    assert found == sorted([*rows, rows[2]])
    assert bookmark(project, ORDERS)[:10] == "2026-01-04"
    assert bookmark(project, PEOPLE) > lsn
    with duckdb.connect(str(tmp_path / "shop.duckdb"), read_only=True) as connection:
        towns = connection.execute("SELECT name, people FROM towns ORDER BY name").fetchall()
        assert towns == [("Bonn", "330")]  # its key is the line of the file
        files = f"'{tmp_path}/lake/cities/**/*.parquet'"
        cities = connection.execute(f"SELECT name, size, origin FROM {files} ORDER BY name").fetchall()
        assert cities == [("Bonn", "330", "shop"), ("Ulm", "128", "shop")]

    said = [json.loads(line) for line in project.log.splitlines() if line.startswith("{")]
    ours = [line for line in said if str(line.get("plugin_logger", "")).startswith("tailrace.")]
    assert {line["level"] for line in ours} == {"info", "warning"}  # that streams with keys are appended to files
    assert not any("timestamp" in line["event"] or "info" in line["event"] for line in ours)

    facts = json.loads(project.meltano("invoke", "target-tailrace", "--about", "--format=json"))
    assert (facts["name"], "batch_rows" in facts["settings"]["properties"]) == ("target-tailrace", True)
