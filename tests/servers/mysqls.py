"""Loads into MySQL and MariaDB, and what else their tests ask of a server."""

import json
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import mysql.connector

import tailrace


def load(url, *messages, **settings):
    """Load the messages; errors that pass aren't waited for."""
    lines = (message if isinstance(message, bytes) else json.dumps(message).encode() for message in messages)
    return tailrace.load(lines, url, **{"retry_s": 5} | settings)


def connected(url, **login):
    """A connection of somebody else."""
    parts = urlsplit(url)
    given = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password} | login
    return closing(mysql.connector.connect(**given, database=parts.path[1:], use_pure=True, autocommit=True))


def query(url, statement):
    """The rows of a statement of somebody else's."""
    with connected(url) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall() if cursor.with_rows else []


@contextmanager
def globally(url, **variables):
    """The server's own variables, for new sessions, and in the end as they were."""
    with connected(url) as connection:
        cursor = connection.cursor()
        before = {}
        try:
            for name, value in variables.items():
                cursor.execute(f"SELECT @@GLOBAL.{name}")
                before[name] = cursor.fetchone()[0]
                cursor.execute(f"SET GLOBAL {name} = {value!r}")
            yield
        finally:
            for name, value in before.items():
                cursor.execute(f"SET GLOBAL {name} = {'DEFAULT' if value is None else repr(value)}")
