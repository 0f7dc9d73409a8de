"""Databases on files: DuckDB and SQLite by one fixture, read and written by other means than the destination's."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tailrace.destinations import open_destination


@dataclass(frozen=True)
class File:
    """A database file of one kind."""

    name: str
    path: Path

    def open(self, **settings):
        return open_destination(self.name, {"path": str(self.path), **settings})

    def connect(self):
        return duckdb.connect(str(self.path)) if self.name == "duckdb" else sqlite3.connect(self.path)

    def run(self, *statements):
        """Run statements as somebody else, and commit them."""
        with closing(self.connect()) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def rows(self, query):
        with closing(self.connect()) as connection:
            return connection.execute(query).fetchall()

    def tables(self):
        catalog = "duckdb_tables()" if self.name == "duckdb" else "sqlite_master WHERE type = 'table'"
        name = "table_name" if self.name == "duckdb" else "name"
        return sorted(row[0] for row in self.rows(f"SELECT {name} FROM {catalog}"))


@pytest.fixture(params=["duckdb", "sqlite"])
def file(request, tmp_path):
    return File(request.param, tmp_path / "things.file")


@pytest.fixture
def duckdb_file(tmp_path):
    return File("duckdb", tmp_path / "things.duckdb")


@pytest.fixture
def sqlite_file(tmp_path):
    return File("sqlite", tmp_path / "things.db")
