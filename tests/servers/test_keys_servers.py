"""A key that changes between runs, on servers: the statement in the error is the database's own, and does it."""

import re
from contextlib import closing
from urllib.parse import urlsplit

import mysql.connector
import psycopg
import pytest

from tailrace import load
from tailrace.errors import SchemaError
from tailrace.testing.messages import INT, TEXT, record, schema

CHANGES = [(["id"], []), ([], ["id"]), (["id"], ["name", "id"])]


def run(url, key, *ids, **settings):
    """A run in which the stream has that key."""
    return load(
        [schema({"id": INT, "name": TEXT}, key), *(record({"id": n, "name": "x"}) for n in ids)], url, **settings
    )


def refused(url, key):
    """The statement that a run is told whose key isn't the table's."""
    with pytest.raises(SchemaError) as caught:
        run(url, key, 1)
    assert "its key changes" in str(caught.value)
    return re.search(r"run `(.*)`( once|$)", str(caught.value))[1]


@pytest.fixture(params=["postgres", "mariadb", "mysql", "redshift"])
def database(request):
    """The address of a database, and what runs a statement in it."""
    url = request.getfixturevalue(f"{request.param}_url")
    server = request.getfixturevalue(f"{request.param}_server")

    def execute(sql):
        if request.param in {"mariadb", "mysql"}:
            parts = urlsplit(url)
            login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
            with closing(mysql.connector.connect(**login, database=parts.path[1:], use_pure=True)) as connection:
                connection.cursor().execute(sql)
            return
        address = server.behind(url) if request.param == "redshift" else url
        with psycopg.connect(address, autocommit=True) as connection:
            for one in sql.split("; "):
                connection.execute(one)

    return url, execute


@pytest.mark.parametrize("method", [None, "append"])
@pytest.mark.parametrize(("before", "after"), CHANGES, ids=["dropped", "added", "changed"])
def test_the_statement_in_the_error_gives_the_table_the_new_key(database, before, after, method):
    url, execute = database
    settings = {"method": method} if method else {}
    run(url, before, 1, **settings)
    with pytest.raises(SchemaError, match="its key changes") as caught:
        run(url, after, 1, **settings)
    execute(re.search(r"run `(.*)`( once|$)", str(caught.value))[1])
    assert run(url, after, 1, 2, **settings).total.loaded == 2


def test_the_primary_key_of_somebody_elses_table_is_called_by_its_name(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            'CREATE TABLE things (id bigint, name text NOT NULL, CONSTRAINT "my ""key" PRIMARY KEY (id))'
        )
    assert refused(postgres_url, ["name"]) == (
        'ALTER TABLE "things" DROP CONSTRAINT "my ""key", ADD PRIMARY KEY ("name")'
    )


def test_a_stream_without_key_leaves_a_key_that_the_table_fills_itself_to_it(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE things (number bigserial PRIMARY KEY, id bigint, name text)")
    assert run(postgres_url, [], 1, 1).total.loaded == 2
