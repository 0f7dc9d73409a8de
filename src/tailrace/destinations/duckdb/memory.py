"""DuckDB's memory: more for rows that need it, and no more kept than what is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import duckdb
import pyarrow as pa

from tailrace.sql.room import needed_bytes

LEAST_BYTES = 384 * 10**6
"""What DuckDB may keep in memory, unless rows need more, or the settings say how much."""

_MUCH_BYTES = 96 * 2**20
"""From so many bytes that DuckDB keeps in memory on, it is worth its time to release them amid a transaction."""

_WRITING_BYTES = 64 * 2**20
"""What it takes to write a file, and more: 16 MiB have been enough, and with 4 MiB the file had to be opened anew."""

_CACHED_BYTES = 16 * 2**20
"""From so many bytes on it is worth its time to release what a merge has read, where as many wait to be merged."""

_HELD = "SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory()"
_CACHED = f"{_HELD} WHERE tag = 'BASE_TABLE'"


class Memory:
    """The memory of a connection on which no statement is at work. Raises DuckDB's errors.

    `limit_bytes` is DuckDB's limit, where it may be raised. A column that was added or altered stays in memory, for all
    rows of its table, until the file is checkpointed.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, limit_bytes: int | None) -> None:
        self._connection = connection
        self._limit_bytes = limit_bytes
        self._has_altered = False
        self._waiting_bytes = 0

    def lacks_room(self, rows: pa.Table) -> bool:
        """Whether rows like these need more than the limit, where that may be raised."""
        return self._limit_bytes is not None and needed_bytes(rows) > self._limit_bytes

    def make_room(self, rows: pa.Table) -> None:
        """Raise the limit for rows like these."""
        self._limit_bytes = needed_bytes(rows)
        self._connection.execute("SET memory_limit = ?", (f"{self._limit_bytes}B",))

    def loaded(self, rows: pa.Table) -> None:
        """Note rows that wait until the next release."""
        self._waiting_bytes += rows.nbytes

    def searched(self) -> None:
        """Release the blocks of tables that a statement has read, or they would add up to what the next one needs.

        They grow with the table, up to the limit. What waits in temporary tables stays in memory.
        """
        if self._waiting_bytes >= _CACHED_BYTES and (cached_bytes := self._bytes(_CACHED)) >= _CACHED_BYTES:
            with self._limited_to(f"{self._bytes(_HELD) - cached_bytes}B"):
                pass

    def altered(self) -> None:
        """Release what an ALTER TABLE has left in memory, where that is much."""
        self._has_altered = True
        if self._bytes(_HELD) > _MUCH_BYTES:
            self._evict()

    def release(self) -> None:
        """Keep nothing behind a commit: the cached blocks of tables would grow with the file up to the limit."""
        self._evict()
        self._waiting_bytes = 0
        if self._has_altered:
            self._has_altered = False
            self._checkpoint()
            self._evict()

    def _checkpoint(self) -> None:
        """Have the file take what was altered, with little more memory than that takes now, unless rows need more."""
        is_plain = self._limit_bytes == LEAST_BYTES
        with (
            self._limited_to(f"{self._bytes(_HELD) + _WRITING_BYTES}B") if is_plain else nullcontext(),
            suppress(duckdb.Error),  # the rows are committed all the same
        ):
            self._connection.execute("CHECKPOINT")

    def _evict(self) -> None:
        """Release what can be read again, or put on the disk."""
        with self._limited_to("1MB"):
            pass

    @contextmanager
    def _limited_to(self, limit: str) -> Iterator[None]:
        """Have DuckDB keep as little in memory for a while, or as near to that as it can."""
        [(usual,)] = self._connection.execute("SELECT current_setting('memory_limit')").fetchall()
        with self._connection.cursor() as aside:  # an error would end the transaction here
            with suppress(duckdb.Error):  # it has released what it could: there may be no space to spill the rest
                aside.execute("SET memory_limit = ?", (limit,))
            try:
                yield
            finally:
                aside.execute("SET memory_limit = ?", (usual,))

    def _bytes(self, query: str) -> int:
        return int(self._connection.execute(query).fetchall()[0][0])
