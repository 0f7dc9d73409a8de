"""Databases made as new ones are, for the test that comes next: to make one takes longer than most tests."""

import mysql.connector
import psycopg
from mysql.connector.errorcode import ER_NO_SUCH_THREAD
from psycopg import sql


def empty_postgres(url, then=""):
    """Drop all that is in the database, whoever uses it, and run `then` in its new schema `public`."""
    with psycopg.connect(url) as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'"
        for (name,) in connection.execute(schemas).fetchall():
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        connection.execute(f"CREATE SCHEMA public; {then}")


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
