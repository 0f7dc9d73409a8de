"""Tables of one column: null, empty texts and texts that mean something to loaders stay apart."""

from contextlib import closing
from urllib.parse import urlsplit

import mysql.connector
import psycopg
import pytest

from tailrace import load
from tailrace.testing.messages import TEXT, record, schema

TEXTS = ["x", None, "", "\\.", "\\N", "NULL", " ", "\n", 'a "b"', "a,b", '""', None, ""]


def column(url):
    """What the column of the table has."""
    parts = urlsplit(url)
    login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    if parts.scheme.startswith(("mysql", "mariadb")):
        opened = mysql.connector.connect(**login, database=parts.path[1:], use_pure=True)
    else:
        opened = psycopg.connect(**login, dbname=parts.path[1:])
    with closing(opened) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT a FROM things")
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url", "redshift_url"])
def test_texts_and_nulls_of_a_table_of_one_column_are_what_was_sent(request, server):
    url = request.getfixturevalue(server)
    load([schema({"a": TEXT}), *(record({"a": text}) for text in TEXTS)], url)
    assert sorted(column(url), key=repr) == sorted(TEXTS, key=repr)
