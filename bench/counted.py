"""How many rows a load has left in all of its tables: `counted.py ADDRESS` prints their number."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
from deltalake import DeltaTable

TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('main', 'public')"
SQLITE_TABLES = "SELECT 'main', name FROM sqlite_master WHERE type = 'table'"
OURS = "_tailrace"
"""How the names of tailrace's own tables begin."""

Query = Callable[[str], Iterable[Sequence[Any]]]


def in_tables(query: Query, tables: str) -> int:
    """The rows in all tables but tailrace's own."""
    found = [(schema, table) for schema, table in query(tables) if not table.startswith(OURS)]
    return sum(next(iter(query(f'SELECT count(*) FROM "{schema}"."{table}"')))[0] for schema, table in found)


def in_folder(folder: Path) -> int:
    """The rows of all Parquet files of a folder."""
    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


def counted(address: str) -> int:
    """The rows behind an address of tailrace's."""
    scheme, _, at = address.partition("://")
    if scheme == "postgresql":
        with psycopg.connect(address) as server:
            return in_tables(lambda text: server.execute(text).fetchall(), TABLES)
    if scheme == "duckdb":
        with duckdb.connect(at[1:], read_only=True) as file:
            return in_tables(lambda text: file.execute(text).fetchall(), TABLES)
    if scheme == "sqlite":
        lite = sqlite3.connect(at[1:])
        return in_tables(lambda text: lite.execute(text).fetchall(), SQLITE_TABLES)
    if scheme == "delta":
        return sum(DeltaTable(log.parent).to_pyarrow_dataset().count_rows() for log in Path(at).rglob("_delta_log"))
    return in_folder(Path(at))


if __name__ == "__main__":
    sys.stdout.write(str(counted(sys.argv[1])))
