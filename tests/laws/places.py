"""Databases that runs are killed over, each read with nothing but its driver."""

from __future__ import annotations

import re
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
from kept import KEPT
from mysql.connector.errorcode import ER_NO_SUCH_TABLE
from stores import SEAMS as SEAMS_OF_STORES
from stores import Mongo, Search
from warehouses import CHECKPOINTS, BigQuery, Snowflake

from tailrace.destination import Destination
from tailrace.destinations import open_destination
from tailrace.destinations.bigquery.landing import Landing
from tailrace.destinations.snowflake.stage import StageFiles
from tailrace.objects import Folder
from tailrace.sql.session import LoggedSession
from tailrace.testing import Seam, Subject

EXCHANGES = "_tailrace_exchanges"

SEAMS = (
    Seam(LoggedSession, ("execute", "load")),
    Seam(Folder, ("put", "put_file", "remove")),
    Seam(StageFiles, ("put", "remove")),
    Seam(Landing, ("put", "remove")),
    *SEAMS_OF_STORES,
)
"""What changes something in a database, or in the bucket or on the stage from which it copies."""


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
    led = re.sub(rf"(:|%3A|port=){server.port}(/|&)", rf"\g<1>{port}\g<2>", url)
    # A replica set says by itself where its servers are.
    return _place(_reader(server, url, re.sub(r"replicaSet=\w+", "directConnection=true", led)))


def _reader(server: Any, address: str, url: str) -> Reader | Mongo | Search:
    if url.startswith("mongodb"):
        return Mongo(address, url)
    if url.startswith(("opensearch", "elasticsearch")):
        return Search(address, url)
    if url.startswith("bigquery"):
        return BigQuery(server, url)
    if url.startswith("snowflake"):
        return Snowflake(server, url)
    if url.startswith("redshift"):
        return Postgres(server.behind(address), url)
    return (MySQL if url.startswith("mysql") else Postgres)(address, url)


def _place(reader: Reader | Mongo | Search) -> Place:
    if isinstance(reader, Mongo | Search):
        return _store(reader)

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


def _store(reader: Mongo | Search) -> Place:
    """A place whose recovery undoes what no checkpoint covers: before it, anything may be seen."""

    def rows(table: str, schema: str | None = None) -> list[dict[str, Any]]:
        assert schema is None
        return reader.read(table)

    subject = Subject(
        open=lambda: open_destination(reader.url, {}),
        rows=rows,
        seams=SEAMS,
        leftovers=lambda tables: reader.names() - {*tables},
    )
    return Place(reader.url, subject)
