"""Databases that runs are killed over, each read with nothing but its driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import duckdb
import mysql.connector
import psycopg
import snowflake.connector
from mysql.connector.errorcode import ER_NO_SUCH_TABLE

from tailrace.destination import Destination
from tailrace.destinations import open_destination
from tailrace.destinations.snowflake.stage import StageFiles
from tailrace.objects import Folder
from tailrace.sql.session import LoggedSession
from tailrace.testing import Seam, Subject

CHECKPOINTS, EXCHANGES = "_tailrace_checkpoints", "_tailrace_exchanges"

SEAMS = (
    Seam(LoggedSession, ("execute", "load")),
    Seam(Folder, ("put", "put_file", "remove")),
    Seam(StageFiles, ("put", "remove")),
)
"""What changes something in a database, or in the bucket or on the stage from which it copies."""
_NO_SUCH_TABLE = 2003


class Reader(Protocol):
    """Reads a database."""

    @property
    def url(self) -> str:
        """The address that tailrace loads into."""

    def names(self) -> set[str]:
        """The names of its tables."""

    def read(self, table: str) -> list[dict[str, Any]]:
        """The visible rows of a table, by column name; none where it isn't there."""

    def users(self) -> int:
        """How many sessions of others the database still serves."""


@dataclass(frozen=True, slots=True)
class Place:
    """A new, empty place, by the address that tailrace loads into, and as the laws see it."""

    url: str
    subject: Subject


Places = Callable[[], Place]
"""Gives a new, empty place at each call."""


@dataclass(frozen=True, slots=True)
class DuckDB:
    """A DuckDB file."""

    path: Path

    @property
    def url(self) -> str:
        """See Reader."""
        return f"duckdb:///{self.path}?threads=1"

    def names(self) -> set[str]:
        """See Reader."""
        return {row["name"] for row in self._rows("SELECT table_name AS name FROM information_schema.tables")}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        try:
            return self._rows(f'SELECT * FROM "{table}"')
        except duckdb.CatalogException:
            return []

    def users(self) -> int:
        """See Reader."""
        return 0

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return KEPT.rows(str(self.path), _of_duckdb, query) if self.path.exists() else []


@dataclass(frozen=True, slots=True)
class SQLite:
    """A SQLite file."""

    path: Path

    @property
    def url(self) -> str:
        """See Reader."""
        return f"sqlite:///{self.path}"

    def names(self) -> set[str]:
        """See Reader."""
        return {row["name"] for row in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        try:
            return self._rows(f'SELECT * FROM "{table}"')
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise

    def users(self) -> int:
        """See Reader."""
        return 0

    def _rows(self, query: str) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database of a PostgreSQL server; `address` leads to it directly."""

    address: str
    url: str

    def names(self) -> set[str]:
        """See Reader."""
        listing = (
            "SELECT c.relname AS name FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return {row["name"] for row in self._rows(listing)}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        try:
            return self._rows(f'SELECT * FROM public."{table}"')
        except psycopg.errors.UndefinedTable:
            return []

    def users(self) -> int:
        """See Reader."""
        listing = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tailrace'"
        return len(self._rows(listing))

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return KEPT.rows(self.address, _of_postgres, query)


@dataclass(frozen=True, slots=True)
class MySQL:
    """A database of a server of MariaDB or MySQL; `address` leads to it directly."""

    address: str
    url: str

    def names(self) -> set[str]:
        """See Reader."""
        return {
            row["table_name"]
            for row in self._rows(
                "SELECT table_name AS table_name FROM information_schema.tables WHERE table_schema = database()"
            )
        }

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        try:
            return self._rows(f"SELECT * FROM `{table}`")
        except mysql.connector.errors.ProgrammingError as error:
            if error.errno == ER_NO_SUCH_TABLE:
                return []
            raise

    def users(self) -> int:
        """See Reader."""
        listing = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        return len(self._rows(listing))

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return KEPT.rows(self.address, _of_mysql, query)


@dataclass(frozen=True, slots=True)
class Snowflake:
    """A database of what stands in for Snowflake."""

    server: Any
    url: str

    def names(self) -> set[str]:
        """See Reader."""
        return {row["name"] for row in self._rows("SHOW TABLES IN SCHEMA PUBLIC")}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        try:
            return self._rows(f'SELECT * FROM PUBLIC."{table}"')
        except snowflake.connector.errors.ProgrammingError as error:
            if error.errno == _NO_SUCH_TABLE:
                return []
            raise

    def users(self) -> int:
        """See Reader."""
        return int(self.server.end_sessions())

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return KEPT.rows(self.url, lambda _: self._connected(), query)

    def _connected(self) -> Any:
        database = urlsplit(self.url).path.split("/")[1]
        return snowflake.connector.connect(**self.server.login, database=database)


class Kept:
    """One connection that is kept for reading, since to make one takes longer than to read.

    A file of DuckDB is locked as long as it is open, so that it is closed before anyone else opens it.
    """

    def __init__(self) -> None:
        self._address = ""
        self._connection: Any = None

    def rows(self, address: str, connect: Callable[[str], Any], query: str) -> list[dict[str, Any]]:
        """The rows of a query; one that fails with its connection, as when its server was started anew, is repeated."""
        try:
            return self._rows(address, connect, query)
        except (
            psycopg.errors.UndefinedTable,
            mysql.connector.errors.ProgrammingError,
            snowflake.connector.errors.ProgrammingError,
        ):
            raise
        except (psycopg.Error, mysql.connector.Error, snowflake.connector.errors.Error):
            self.close()
            return self._rows(address, connect, query)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _rows(self, address: str, connect: Callable[[str], Any], query: str) -> list[dict[str, Any]]:
        if address != self._address or self._connection is None:
            self.close()
            self._address, self._connection = address, connect(address)
        if isinstance(self._connection, duckdb.DuckDBPyConnection):
            return self._connection.sql(query).to_arrow_table().to_pylist()
        with closing(_cursor_of(self._connection)) as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


KEPT = Kept()


def _cursor_of(connection: Any) -> Any:
    if isinstance(connection, snowflake.connector.SnowflakeConnection):
        return connection.cursor(snowflake.connector.DictCursor)
    is_mysql = isinstance(connection, mysql.connector.MySQLConnection)
    return connection.cursor(dictionary=True) if is_mysql else connection.cursor(row_factory=psycopg.rows.dict_row)


def _of_duckdb(path: str) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path, read_only=True, config={"threads": 1})


def _of_postgres(address: str) -> psycopg.Connection[Any]:
    return psycopg.connect(address, autocommit=True)


def _of_mysql(address: str) -> Any:
    parts = urlsplit(address)
    login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    return mysql.connector.connect(**login, database=parts.path[1:], use_pure=True, autocommit=True)


def file(kind: str, path: Path) -> Place:
    """The database in a file."""
    return _place(DuckDB(path) if kind == "duckdb" else SQLite(path))


def files(kind: str, folder: Path) -> Places:
    """New database files in the folder."""
    numbers = count(1)
    return lambda: file(kind, folder / f"{next(numbers)}.{kind}")


def databases(server: Any) -> Places:
    """New databases of a server."""
    return lambda: database(server, server.database())


def database(server: Any, url: str) -> Place:
    """The database of a server at that address."""
    return _place(_reader(server, url, url))


def through(server: Any, port: int) -> Place:
    """A new database of the server, to which tailrace connects through another port."""
    url = server.database()
    return _place(
        _reader(
            server, url, url.replace(f":{server.port}/", f":{port}/").replace(f"port={server.port}&", f"port={port}&")
        )
    )


def _reader(server: Any, address: str, url: str) -> Reader:
    if url.startswith("snowflake"):
        return Snowflake(server, url)
    if url.startswith("redshift"):
        return Postgres(server.behind(address), url)
    return (MySQL if url.startswith("mysql") else Postgres)(address, url)


def _place(reader: Reader) -> Place:
    def rows(table: str, schema: str | None = None) -> list[dict[str, Any]]:
        assert schema is None
        return reader.read(table)

    def opened() -> Destination:
        if isinstance(reader, DuckDB):
            KEPT.close()
        return open_destination(reader.url, {})

    subject = Subject(
        open=opened,
        rows=rows,
        seams=SEAMS,
        remembered=lambda pipeline: [row["state"] for row in rows(CHECKPOINTS) if row["pipeline"] == pipeline],
        leftovers=lambda tables: reader.names() - {*tables, CHECKPOINTS, EXCHANGES},
        is_settled=lambda: not reader.users(),
    )
    return Place(reader.url, subject)
