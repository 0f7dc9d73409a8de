"""Files that rows are gathered into: one at a time for each partition, sealed when it is large enough."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from tailrace.errors import DestinationError
from tailrace.lake.entries import Part
from tailrace.lake.formats import RowsFile, opened, suffix
from tailrace.lake.partitions import Partition, folder_of_partition, partitioned
from tailrace.lake.statistics import statistics
from tailrace.lake.tables import Layout

_HELD_BYTES = 48 * 2**20
"""Bytes of columns, of all partitions of one stream, that wait to be written."""

_GROUP_BYTES = 16 * 2**20
"""Bytes of columns, of one partition, that are written at once."""


@dataclass(slots=True)
class _Open:
    """The file of one partition that is being filled, on this machine, and rows that wait to be written to it."""

    path: Path
    number: int
    waiting: list[pa.Table] = field(default_factory=list)
    file: RowsFile | None = None
    rows: int = 0

    @property
    def waiting_bytes(self) -> int:
        """The bytes of the columns that wait."""
        return sum(rows.nbytes for rows in self.waiting)


class Parts:
    """Rows of one layout on their way into files.

    Files are written on this machine first, and uploaded whole once they are sealed: an upload can be repeated.
    `name` gives the name, without ending, of the file of a number. Thread-safe.
    """

    def __init__(self, layout: Layout, name: Callable[[int], str]) -> None:
        self._layout = layout
        self._name = name
        self._group_bytes = min(_GROUP_BYTES, layout.max_bytes)
        self._folder = Path(tempfile.mkdtemp(prefix="tailrace-parts-"))
        self._lock = threading.Lock()
        self._open: dict[Partition, _Open] = {}
        self._sealed: list[tuple[Part, Path]] = []
        self._uploaded: list[Part] = []
        self._made = 0

    @property
    def schema(self) -> pa.Schema:
        """The columns that rows must have."""
        return self._layout.schema

    def add(self, rows: pa.Table) -> None:
        """Take rows in, which have the layout's columns. An upload that fails is left to seal()."""
        with self._lock, _told():
            for partition, part in partitioned(rows, self._layout.partition_by):
                self._of(partition).waiting.append(part)
            self._write_what_is_much()
        with self._lock, suppress(DestinationError):
            self._upload()

    def seal(self) -> list[Part]:
        """The parts that all rows so far are in, uploaded. When that fails it can be repeated."""
        with self._lock:
            with _told():
                for partition in [*self._open]:
                    self._close(partition)
            self._upload()
            return [*self._uploaded]

    def discard(self) -> None:
        """Remove what isn't part of anything, here and in the store."""
        with self._lock:
            for opened_file in self._open.values():
                if opened_file.file:
                    opened_file.file.close()
            self._open.clear()
            self._sealed.clear()
            shutil.rmtree(self._folder, ignore_errors=True)
            uploaded, self._uploaded = self._uploaded, []
        self._layout.store.remove(part.path for part in uploaded)

    def close(self) -> None:
        """Let go of what is on this machine; what is uploaded stays."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _of(self, partition: Partition) -> _Open:
        if partition not in self._open:
            self._made += 1
            self._open[partition] = _Open(self._folder / str(self._made), self._made)
        return self._open[partition]

    def _write_what_is_much(self) -> None:
        """Write partitions that have much, and the one that has most while all have too much; seal what is large."""
        sizes = {partition: one.waiting_bytes for partition, one in self._open.items()}
        while sizes:
            partition = max(sizes, key=sizes.__getitem__)
            if sizes[partition] < self._group_bytes and sum(sizes.values()) < _HELD_BYTES:
                break
            del sizes[partition]
            self._write(self._open[partition])
            if self._size(self._open[partition]) >= self._layout.max_bytes:
                self._close(partition)

    def _write(self, one: _Open) -> None:
        if not one.waiting:
            return
        rows, one.waiting = pa.concat_tables(one.waiting), []
        if one.file is None:
            one.file = opened(one.path, self._layout)
        if self._layout.drops_partitions:
            rows = rows.drop_columns(list(self._layout.partition_by))
        one.file.write(rows.combine_chunks())
        one.rows += rows.num_rows

    @staticmethod
    def _size(one: _Open) -> int:
        return one.file.size if one.file else 0

    def _close(self, partition: Partition) -> None:
        """Seal the partition's file."""
        one = self._open.pop(partition)
        self._write(one)
        if one.file is None:
            return
        one.file.close()
        layout = self._layout
        folder = "/".join(filter(None, (layout.folder, folder_of_partition(partition))))
        name = f"{self._name(one.number)}{suffix(layout)}"
        path = f"{folder}/{name}" if folder else name
        told = statistics(pa.parquet.read_metadata(one.path)) if layout.format == "parquet" else {}
        self._sealed.append((Part(path, one.rows, one.path.stat().st_size, dict(partition), told), one.path))

    def _upload(self) -> None:
        while self._sealed:
            part, path = self._sealed[0]
            self._layout.store.put_file(part.path, str(path))
            self._uploaded.append(part)
            del self._sealed[0]
            path.unlink()


@contextmanager
def _told() -> Iterator[None]:
    """Raise what this machine's disk has against a file as our error."""
    try:
        yield
    except OSError as error:
        raise DestinationError(f"files can't be written to {tempfile.gettempdir()}: {error}") from error
