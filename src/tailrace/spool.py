"""Tables that wait for a commit: in memory while they are small, in a temporary file beyond that."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

MEMORY_BYTES = 2**22

Place = tuple[int, int, int]
"""Where a table is: the line of its first row, its offset in the file, and its bytes."""


class Spool:
    """Tables, added in any order by any thread, and given in the order of their first lines.

    A temporary file has no name, so that a process that is killed leaves none.
    """

    def __init__(self, file: IO[bytes] | None = None, places: Sequence[Place] = ()) -> None:
        self._given = file
        self._places = [*places]
        self._lock = threading.Lock()

    def add(self, first_line: int, rows: pa.Table) -> None:
        """Keep the rows; raises OSError where the disk can't take them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        content = sink.getvalue()
        with self._lock:
            file = self._file()
            offset = file.seek(0, os.SEEK_END)
            file.write(content)
            self._places.append((first_line, offset, len(content)))

    def __iter__(self) -> Iterator[pa.Table]:
        for _, offset, size in sorted(self._places):
            with self._lock:
                file = self._file()
                file.seek(offset)
                content = file.read(size)
            yield pa.ipc.open_stream(content).read_all()

    def save(self, path: Path) -> Sequence[Place]:
        """Write a durable copy, which `saved` reads; where the tables are in it."""
        with self._lock, path.open("wb") as copy:
            file = self._file()
            file.seek(0)
            shutil.copyfileobj(file, copy, 2**20)
            copy.flush()
            os.fsync(copy.fileno())
        return self._places

    @classmethod
    def saved(cls, path: Path, places: Sequence[Place]) -> Spool:
        """What was saved there."""
        return cls(path.open("rb"), places)

    def close(self) -> None:
        """Remove the temporary file; repeatable."""
        if self._given is not None:
            self._given.close()

    def _file(self) -> IO[bytes]:
        if self._given is None:
            self._given = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES))  # noqa: SIM115 close() does
        return self._given
