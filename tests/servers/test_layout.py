"""Where tailrace's own tables stand, how streams' tables are laid out, and what runs beside a checkpoint."""

import json
import sqlite3
from urllib.parse import urlsplit

import duckdb
import mysqls
import psycopg
import pytest

import tailrace
from tailrace.errors import ConfigError, DestinationError
from tailrace.testing.messages import INT, TEXT, record, schema, state

MESSAGES = [
    schema({"id": INT, "name": TEXT}, ["id"]),
    record({"id": 1, "name": "a"}),
    record({"id": 2, "name": "b"}),
    state(1),
]


def load(url, **settings):
    return tailrace.load((json.dumps(message).encode() for message in MESSAGES), url, **settings)


@pytest.fixture(params=["duckdb", "sqlite", "postgres", "mariadb", "mysql"])
def place(request, tmp_path):
    """The address of a new, empty place, and what asks it."""
    if request.param == "duckdb":
        path = tmp_path / "x.duckdb"
        return f"duckdb:///{path}", lambda sql: _asked(duckdb.connect(str(path)), sql)
    if request.param == "sqlite":
        path = tmp_path / "x.db"
        return f"sqlite:///{path}", lambda sql: _asked(sqlite3.connect(path), sql)
    url = request.getfixturevalue(f"{request.param}_url")
    if request.param == "postgres":
        return url, lambda sql: _asked(psycopg.connect(url), sql)
    return url, lambda sql: [tuple(row) for row in mysqls.query(url, sql)]


def _asked(connection, sql):
    try:
        return [tuple(row) for row in connection.execute(sql).fetchall()]
    finally:
        connection.close()


INDEXED = {
    "duckdb": "SELECT expressions FROM duckdb_indexes()",
    "sqlite": "SELECT i.name FROM pragma_index_list('things') l JOIN pragma_index_info(l.name) i WHERE l.origin = 'c'",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE tablename = 'things' AND indexname LIKE 'ix%'",
    "mysql": "SELECT column_name FROM information_schema.statistics WHERE table_schema = database() "
    "AND table_name = 'things' AND index_name LIKE 'ix%' ORDER BY seq_in_index",
}


@pytest.mark.parametrize("method", ["upsert", "replace"])
def test_a_new_table_has_the_indexes_that_are_asked_for_and_is_loaded_again(place, method):
    url, asked = place
    for _ in range(2):
        load(url, pipeline="p", method=method, design={"thing*": {"indexes": [["name", "id"]]}})
    found = str(asked(INDEXED[url.partition(":")[0]]))
    assert found.index("name") < found.index("id")
    assert asked("SELECT id, name FROM things ORDER BY id") == [(1, "a"), (2, "b")]


def test_statements_of_ones_own_run_in_the_transaction_of_each_checkpoint(place):
    url, asked = place
    load(url, pipeline="p", streams={"things": {"table": "things"}})
    before, after = "DELETE FROM things WHERE id = 2", "UPDATE things SET name = 'was ' WHERE name = 'a'"
    load(url, pipeline="p", before_sql=before, after_sql=[after, "INSERT INTO things (id, name) VALUES (3, '100%?')"])
    assert asked("SELECT id, name FROM things ORDER BY id") == [(1, "was "), (2, "b"), (3, "100%?")]


def test_statements_of_ones_own_come_before_rows_that_are_appended(place):
    url, asked = place
    load(url, pipeline="p", method="append")
    load(url, pipeline="p", method="append", before_sql="DELETE FROM things")
    assert asked("SELECT id, name FROM things ORDER BY id") == [(1, "a"), (2, "b")]


def test_a_statement_that_fails_is_named_and_nothing_is_committed(place):
    url, asked = place
    load(url, pipeline="p")
    with pytest.raises(DestinationError, match="`after_sql`, 'UPDATE nothing SET a = 1': "):
        load(url, pipeline="p", before_sql=["DELETE FROM things"], after_sql=["UPDATE nothing SET a = 1"])
    assert asked("SELECT count(*) FROM things") == [(2,)]


@pytest.mark.parametrize(
    ("design", "says"),
    [
        ({"things": {"indexes": [["nome"]]}}, "stream 'things' has no column 'nome'"),
        ({"*": {"dist_key": "id"}}, "has no dist_key"),
        ({"*": {"indices": [["id"]]}}, "indices"),
    ],
)
def test_a_layout_that_can_not_be_had_is_refused_before_any_row(place, design, says):
    url, _ = place
    with pytest.raises(ConfigError, match=says):
        load(url, design=design)


def test_options_of_a_table_are_those_of_postgres(postgres_url):
    load(postgres_url, design={"*": {"options": {"fillfactor": 70, "autovacuum_enabled": False}}})
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT reloptions FROM pg_class WHERE relname = 'things'").fetchone()
    assert found == (["fillfactor=70", "autovacuum_enabled=false"],)


def test_a_name_of_an_option_is_a_word(postgres_url):
    with pytest.raises(ConfigError, match="options"):
        load(postgres_url, design={"*": {"options": {"a) --": 1}}})


def test_a_role_that_may_make_nothing_beside_the_tables_loads_them(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE things (id bigint PRIMARY KEY, name text)")
        owner.execute("CREATE SCHEMA ours")
        owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        owner.execute("DROP ROLE IF EXISTS loading")
        owner.execute("CREATE ROLE loading LOGIN PASSWORD 'x'")
        owner.execute("GRANT USAGE, CREATE ON SCHEMA ours TO loading")
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON things TO loading")
        parts = urlsplit(postgres_url)
        url = parts._replace(netloc=f"loading:x@{parts.hostname}:{parts.port}").geturl()
        try:
            for _ in range(2):
                load(url, pipeline="p", staging_schema="ours", checkpoint_schema="ours")
            assert owner.execute("SELECT * FROM things ORDER BY id").fetchall() == [(1, "a"), (2, "b")]
            made = owner.execute("SELECT schemaname, tablename FROM pg_tables WHERE tablename LIKE '\\_tailrace%'")
            assert made.fetchall() == [("ours", "_tailrace_checkpoints")]
        finally:
            owner.execute("DROP OWNED BY loading")
            owner.execute("DROP ROLE loading")


def test_rows_wait_and_checkpoints_stand_in_databases_of_their_own(any_mysql_url):
    own = f"{urlsplit(any_mysql_url).path[1:]}_own"
    try:
        load(any_mysql_url, pipeline="p", staging_schema=own, checkpoint_schema=own, method="replace")
        load(any_mysql_url, pipeline="p", staging_schema=own, checkpoint_schema=own)
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = {}"
        assert [tuple(row) for row in mysqls.query(any_mysql_url, tables.format("database()"))] == [("things",)]
        found = {row[0] for row in mysqls.query(any_mysql_url, tables.format(f"'{own}'"))}
        assert found == {"_tailrace_checkpoints", "_tailrace_exchanges"}
    finally:
        mysqls.query(any_mysql_url, f"DROP DATABASE IF EXISTS {own}")


LOADS = "SELECT pipeline, checkpoint, stream, inserted, updated, deduplicated FROM _tailrace_loads ORDER BY checkpoint"


def test_each_checkpoint_tells_in_its_own_transaction_what_it_did(place):
    url, ask = place
    load(url, pipeline="p", loads=True)
    load(url, pipeline="p", loads=True)
    with pytest.raises(DestinationError):
        load(url, pipeline="p", loads=True, after_sql="INSERT INTO nowhere VALUES (1)")
    quoted = LOADS.replace("checkpoint", "`checkpoint`") if url.startswith("mysql") else LOADS
    assert ask(quoted) == [("p", 1, "things", 2, 0, 0), ("p", 2, "things", 0, 2, 0)]
    assert ask("SELECT count(DISTINCT run) FROM _tailrace_loads WHERE committed_at >= started_at") == [(2,)]
    load(url, loads=True)
    assert ask("SELECT count(*) FROM _tailrace_loads WHERE pipeline IS NULL") == [(1,)]


def test_no_loads_are_told_unless_that_is_asked_for(place):
    url, ask = place
    load(url)
    with pytest.raises(Exception, match=r"_tailrace_loads|relation"):
        ask("SELECT * FROM _tailrace_loads")
