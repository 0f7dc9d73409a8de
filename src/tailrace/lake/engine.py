"""Tables in memory that rows are merged in: DuckDB, as the SQL kit asks for it, spilling to this machine's disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from tailrace.errors import DestinationError
from tailrace.model import TableName
from tailrace.scratch import ScratchFolder
from tailrace.sql.dialect import Dialect, Merge
from tailrace.sql.expressions import table_of
from tailrace.sql.glot import exp
from tailrace.sql.room import needed_bytes
from tailrace.sql.statements import Statements

_DIALECT = Dialect(
    sqlglot="duckdb",
    types={},
    kinds={},
    alterable=frozenset(),
    relaxes=False,
    merge=Merge.REWRITE,
    keeps_key_in_comment=False,
)
STATEMENTS = Statements(_DIALECT)
"""DuckDB's, as far as merging needs them."""

_ROWS = TableName("_tailrace_rows")
_BATCH_ROWS = 50_000
_LEAST_BYTES, _THREADS = 256 * 10**6, 2
_FLUSH = "8MB"
"""Freed memory that DuckDB's allocator may keep."""


class Engine:
    """A Session whose tables are gone when it is closed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._limit_bytes = _LEAST_BYTES

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; see Session."""
        with _translated_errors():
            return max(self._connection.execute(sql, list(parameters)).rowcount, 0)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query; see Session."""
        with _translated_errors():
            return self._connection.execute(sql, list(parameters)).fetchall()

    def read(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query, some at a time. No other statement may run until they are read."""
        with _translated_errors():
            reader: pa.RecordBatchReader = self._connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
            yield from reader

    def create(self, table: TableName, schema: pa.Schema) -> None:
        """Make a table with these columns."""
        with self.rows_as(_ROWS, schema.empty_table()):
            made = exp.Create(this=table_of(table), kind="TABLE", expression=exp.select("*").from_(table_of(_ROWS)))
            self.execute(STATEMENTS.written(made))

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert these columns of the rows; see Session."""
        with self.rows_as(_ROWS, rows):
            self.execute(STATEMENTS.insert_from(table, columns, _ROWS))

    @contextmanager
    def rows_as(self, table: TableName, rows: pa.Table) -> Iterator[None]:
        """Make rows readable as a table of that name for a while."""
        if (needed := needed_bytes(rows)) > self._limit_bytes:
            self.execute("SET memory_limit = ?", (f"{needed}B",))
            self._limit_bytes = needed
        with _translated_errors():
            self._connection.register(table.name, rows)
        try:
            yield
        finally:
            self._connection.unregister(table.name)

    def release_memory(self) -> None:
        """Nothing, since the engine is short-lived; see Session."""

    def close(self) -> None:
        """Drop the tables; see Session."""
        self._connection.close()


@contextmanager
def engine() -> Iterator[Engine]:
    """An empty engine, closed at the end."""
    with _spilling_folder() as folder:
        config: dict[str, Any] = {"memory_limit": f"{_LEAST_BYTES}B", "threads": _THREADS, "temp_directory": folder}
        config |= dict.fromkeys(("allocator_flush_threshold", "allocator_bulk_deallocation_flush_threshold"), _FLUSH)
        made = Engine(duckdb.connect(":memory:", config=config))
        try:
            made.execute("SET TimeZone = 'UTC'")
            made.execute("SET preserve_insertion_order = false")
            made.execute("SET python_enable_replacements = false")
            yield made
        finally:
            made.close()


@contextmanager
def _spilling_folder() -> Iterator[str]:
    """A temporary folder, removed at the end; raises DestinationError if none can be made."""
    try:
        folder = ScratchFolder("merge")
    except OSError as error:
        raise DestinationError(f"merging: no temporary folder can be made: {error.strerror}") from error
    with folder:
        yield str(folder.path)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise DuckDB's errors as ours."""
    try:
        yield
    except duckdb.Error as error:
        raise DestinationError(f"merging: {str(error).strip().partition(chr(10))[0]}") from error
