"""Tables that Mage has made, which are loaded into as they are, and new ones as Mage would make them."""

from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from mage_runs import logged, state, upserted

from tailrace.compat.mage_streams import array_types

FIELDS = {
    "id": {"type": ["null", "string"]},
    "Tags": {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
    "numbers": {"type": "array", "items": {"type": "integer"}},
    "docs": {"type": ["null", "array"], "items": {"type": "object"}},
    "profile": {"type": ["null", "object"]},
    "USER": {"type": ["null", "string"]},
}
ROW = {"id": 1, "Tags": ['a,"b\\', None], "numbers": [1, 2], "docs": [{"z": 1}], "profile": {"z": 1}, "USER": "u"}
LOADED = ("1", ['a,"b\\', None], [1, 2], [{"z": 1}], {"z": 1}, "u")
MADE = """
    CREATE TABLE "public"."dim_users_v1" ("id" TEXT, "tags" TEXT[], "numbers" BIGINT[], "docs" JSONB[],
        "profile" JSONB, "_user" TEXT, "_mage_created_at" TIMESTAMPTZ, "_mage_updated_at" TIMESTAMPTZ,
        CONSTRAINT unique_public___dim_users_v1__id UNIQUE ("id"))
"""


@pytest.fixture
def server(postgres_url, mage):
    """A session of somebody else, where runs load into the same database."""
    parts = urlsplit(postgres_url)
    login = {"host": parts.hostname, "port": parts.port, "username": parts.username}
    database = {"database": parts.path[1:], "schema": "public", "password": unquote(parts.password or "")}
    mage.config = {**login, **database, "table": "dim_users_v1"}
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def record(**fields):
    return {"type": "RECORD", "stream": "demo_users", "record": {**ROW, **fields}}


def loaded(server):
    return server.execute('SELECT id, tags, numbers, docs, profile, "_user" FROM dim_users_v1 ORDER BY id').fetchall()


@pytest.mark.parametrize("made", [MADE, ""], ids=["Mage's own", "a new one"])
def test_rows_are_merged_into_a_table_of_mages(server, mage, capsys, made):
    server.execute(made)
    sent = upserted(properties=FIELDS)
    assert mage(sent, record(), state(id=1), destination="postgresql") == 0, capsys.readouterr().out
    assert mage(sent, record(numbers=[3]), record(id=2, Tags=None), state(id=2), destination="postgresql") == 0
    first, second = loaded(server)
    assert first == (*LOADED[:2], [3], *LOADED[3:])
    assert second[:2] == ("2", None)
    assert mage.state() == state(id=2)["value"]
    types = server.execute(
        "SELECT column_name, udt_name FROM information_schema.columns WHERE table_name = %s", ["dim_users_v1"]
    )
    assert {"tags": "_text", "numbers": "_int8", "docs": "_jsonb", "profile": "jsonb"}.items() <= dict(types).items()


def test_a_table_that_has_json_where_mage_would_have_arrays_keeps_it(server, mage, capsys):
    server.execute(MADE.replace("BIGINT[]", "JSONB"))
    assert mage(upserted(properties=FIELDS), record(), destination="postgresql") == 0, capsys.readouterr().out
    assert loaded(server) == [LOADED]


def test_a_value_that_is_no_array_is_refused_by_its_line(server, mage, capsys):
    server.execute(MADE.replace("JSONB[]", "BIGINT[]"))
    assert mage(upserted(properties=FIELDS), record(docs=[]), record(id=2), destination="postgresql") == 4
    [told] = [line for line in logged(capsys.readouterr().out) if line["level"] == "EXCEPTION"]
    assert "line 3" in told["message"]


def test_a_connection_to_postgresql_is_tested(server, mage, capsys):
    assert mage(destination="postgresql", options=["--test_connection"]) == 0
    assert any("PostgreSQL" in line["message"] for line in logged(capsys.readouterr().out))
    mage.config["password"] = "another$$"
    assert mage(destination="postgresql", options=["--test_connection"]) == 6


def test_fields_that_may_be_more_than_arrays_get_no_type_of_arrays():
    properties = {
        "a": {"type": ["null", "array"], "items": {"type": "boolean"}},
        "b": {"type": ["array", "string"], "items": {"type": "string"}},
        "c": {"type": "array"},
        "d": {"anyOf": [{"type": "array"}]},
    }
    assert array_types({"schema": {"properties": properties}}) == {"a": "BOOLEAN[]"}
    assert array_types({"schema": True}) == {}
