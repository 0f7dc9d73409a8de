"""Databases that runs are killed over, each read with nothing but its driver."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import duckdb
import mysql.connector
import psycopg
from replaying_tap import SCHEMAS
from services.processes import wait_until

PIPELINE = "p"
CHECKPOINTS = "_tailrace_checkpoints"


class Reader(Protocol):
    """Reads a database."""

    @property
    def url(self) -> str:
        """The address that tailrace loads into."""

    def names(self) -> set[str]:
        """The names of its tables."""

    def read(self, table: str) -> list[dict[str, Any]]:
        """The visible rows of a table that is there, by column name."""

    def users(self) -> int:
        """How many sessions of others the database still serves."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database as the laws see it."""

    reader: Reader
    upserts: bool = True
    """Whether a stream with a key has one row for each; otherwise it has a row for each record."""

    @property
    def url(self) -> str:
        """The address that tailrace loads into."""
        return self.reader.url

    def position(self) -> int:
        """The position in the state that the database remembers for the pipeline; 0 when it remembers none."""
        remembered = [row["state"] for row in self.rows(CHECKPOINTS) if row["pipeline"] == PIPELINE]
        return json.loads(remembered[0])["position"] if remembered and remembered[0] else 0

    def positions(self) -> list[int]:
        """The positions that a table may be at when a run was interrupted, the newest first."""
        return [self.position()]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The visible rows of each table of the source, sorted."""
        return {table: ordered(tuple(row.values()) for row in self.rows(table)) for table in SCHEMAS}

    def leftovers(self) -> list[str]:
        """Tables that are neither the source's nor those in which tailrace remembers."""
        return sorted(self.reader.names() - {*SCHEMAS, CHECKPOINTS, "_tailrace_exchanges"})

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The visible rows of a table by column name; none where it isn't there."""
        return self.reader.read(table) if table in self.reader.names() else []

    def wait_until_let_go(self) -> None:
        """Wait for a server to notice that a process which was killed is gone; it may be committing until then."""
        wait_until(lambda: not self.reader.users(), lambda: "the database still serves a process that is gone")


Places = Callable[[], Database]
"""Gives a new, empty database at each call."""


@dataclass(frozen=True, slots=True)
class DuckDB:
    """A DuckDB file."""

    path: Path

    @property
    def url(self) -> str:
        """See Reader."""
        return f"duckdb:///{self.path}"

    def names(self) -> set[str]:
        """See Reader."""
        return {row["name"] for row in self._rows("SELECT table_name AS name FROM information_schema.tables")}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        return self._rows(f'SELECT * FROM "{table}"')

    def users(self) -> int:
        """See Reader."""
        return 0

    def _rows(self, query: str) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.sql(query).to_arrow_table().to_pylist()


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
        return self._rows(f'SELECT * FROM "{table}"')

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
        return self._rows(f'SELECT * FROM public."{table}"')

    def users(self) -> int:
        """See Reader."""
        listing = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tailrace'"
        return len(self._rows(listing))

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.address, row_factory=psycopg.rows.dict_row) as connection:
            return connection.execute(query).fetchall()


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
        return self._rows(f"SELECT * FROM `{table}`")

    def users(self) -> int:
        """See Reader."""
        listing = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        return len(self._rows(listing))

    def _rows(self, query: str) -> list[dict[str, Any]]:
        parts = urlsplit(self.address)
        login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        with closing(mysql.connector.connect(**login, database=parts.path[1:], use_pure=True)) as connection:
            cursor = connection.cursor(dictionary=True)
            cursor.execute(query)
            return list(cursor.fetchall())


def ordered(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows in the order of how they are written."""
    return sorted(rows, key=repr)


def file(kind: str, path: Path) -> Database:
    """The database in a file."""
    return Database(DuckDB(path) if kind == "duckdb" else SQLite(path))


def files(kind: str, folder: Path) -> Places:
    """New database files in the folder."""
    made = 0

    def place() -> Database:
        nonlocal made
        made += 1
        return file(kind, folder / f"{made}.{kind}")

    return place


def databases(server: Any) -> Places:
    """New databases of a server."""
    return lambda: database(server, server.database())


def database(server: Any, url: str) -> Database:
    """The database of a server at that address."""
    return Database(_reader(server, url, url))


def through(server: Any, port: int) -> Database:
    """A new database of the server, to which tailrace connects through another port."""
    url = server.database()
    return Database(_reader(server, url, url.replace(f":{server.port}/", f":{port}/")))


def _reader(server: Any, address: str, url: str) -> Reader:
    if url.startswith("redshift"):
        return Postgres(server.behind(address), url)
    return (MySQL if url.startswith("mysql") else Postgres)(address, url)
