"""The rows of the open checkpoint, which wait on this machine's disk until they are written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow as pa
from msgspec import Struct, field

from tailrace.errors import DestinationError
from tailrace.model import Batch, Stream
from tailrace.scratch import ScratchFolder

_IN_MEMORY_BYTES = 8 << 20
"""Up to so many bytes of rows wait in memory; most runs are small."""


class _Waiting(Struct):
    """A batch's rows, in memory or in a file."""

    first_line: int
    rows: int
    table: pa.Table | None
    path: Path | None = None

    def read(self) -> pa.Table:
        if self.table is not None:
            return self.table
        with pa.memory_map(str(self.path)) as source:
            return pa.ipc.open_file(source).read_all()


class Spool(Struct):
    """Batches by the stream's revision. Thread-safe, but for `clear`."""

    _batches: dict[Stream, list[_Waiting]] = field(default_factory=dict)
    _bytes: int = 0
    _folder: ScratchFolder | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, batch: Batch) -> None:
        """Let a batch's rows wait; raises DestinationError where the disk doesn't take them."""
        waiting = _Waiting(batch.first_line, batch.rows.num_rows, batch.rows)
        with self._lock:
            is_kept = self._bytes + batch.rows.nbytes <= _IN_MEMORY_BYTES
            if is_kept:
                self._bytes += batch.rows.nbytes
            else:
                waiting.path = self._next_path()
        if waiting.path is not None:
            _write(waiting.path, batch.rows)
            waiting.table = None
        with self._lock:
            self._batches.setdefault(batch.stream, []).append(waiting)

    @property
    def streams(self) -> list[Stream]:
        """The revisions of which rows wait."""
        return [*self._batches]

    def rows(self) -> int:
        """How many rows wait."""
        return sum(waiting.rows for several in self._batches.values() for waiting in several)

    def read(self, stream: Stream) -> Iterator[pa.Table]:
        """The rows of a revision, in the order of their lines, a batch at a time."""
        for waiting in sorted(self._batches.get(stream, ()), key=lambda each: each.first_line):
            yield waiting.read()

    def clear(self) -> None:
        """Drop all rows."""
        self._batches.clear()
        self._bytes = 0
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.close()

    def _next_path(self) -> Path:
        if self._folder is None:
            try:
                self._folder = ScratchFolder("spool")
            except OSError as error:
                raise DestinationError(f"no temporary folder can be made: {error.strerror}") from error
        return self._folder.path / f"{next(self._numbers)}.arrow"


def _write(path: Path, rows: pa.Table) -> None:
    try:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema, options=options) as writer:
            writer.write_table(rows)
    except OSError as error:
        raise DestinationError(f"rows can't wait in {path.parent}: {error.strerror or error}") from error
