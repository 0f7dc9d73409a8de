"""Databases made as new ones are, for the test that comes next: to make one takes longer than most tests."""

from contextlib import contextmanager

import mysql.connector
import psycopg
from mysql.connector.errorcode import ER_NO_SUCH_THREAD
from psycopg import sql
from psycopg.types.json import set_json_loads


@contextmanager
def reading_postgres(url):
    """A session that reads what is there: to open one takes longer than to read. Tables change, so no plan is kept."""
    with psycopg.connect(url, options="-c TimeZone=UTC", autocommit=True, prepare_threshold=None) as connection:
        set_json_loads(lambda text: text.decode() if isinstance(text, bytes) else text, connection)
        yield connection


def empty_postgres(connection):
    """Drop all tables, views and other schemas of the session's database, whoever uses it.

    What else its schema `public` has is left, as what is in every new one: no destination makes types and functions.
    """
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|public$)'"
    dropped = [
        sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)) for (name,) in connection.execute(schemas)
    ]
    kinds = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE", "S": "SEQUENCE"}
    relations = (
        "SELECT relkind, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = ANY(%s)"
    )
    for kind, name in connection.execute(relations, ([*kinds],)).fetchall():
        drop = f"DROP {kinds[kind.decode() if isinstance(kind, bytes) else kind]} IF EXISTS public.{{}} CASCADE"
        dropped.append(sql.SQL(drop).format(sql.Identifier(name)))
    connection.execute(sql.SQL("; ").join(dropped))


def empty_mysql(connection, name):
    """Drop the database, whoever else uses it, and make it anew."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW PROCESSLIST")
        others = [row[0] for row in cursor.fetchall() if row[3] == name and row[0] != connection.connection_id]
        for session in others:
            try:
                cursor.execute(f"KILL {session}")
            except mysql.connector.Error as error:
                if error.errno != ER_NO_SUCH_THREAD:  # its client has just closed it
                    raise
        cursor.execute(f"DROP DATABASE {name}")
        cursor.execute(f"CREATE DATABASE {name}")
