"""Files that rows are written into: one open file for each partition, sealed when it is large enough."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext, suppress
from typing import IO

import pyarrow as pa
import pyarrow.parquet
from msgspec import Struct, field

from tailrace.errors import DestinationError
from tailrace.lake.entries import ESCAPE, Part
from tailrace.lake.formats import RowsFile, suffix, written_to
from tailrace.lake.partitions import Partition, folder_of_partition, partitioned
from tailrace.lake.statistics import statistics
from tailrace.lake.tables import Layout

_HELD_BYTES = 48 * 2**20
"""How many bytes of columns of one stream may wait to be written, in all its partitions."""

_MAX_FILES = 100
"""How many files may be open for writing; more come near the limit of a process."""

_UPLOADS_AT_ONCE = 4

_GROUP_BYTES = 10 * 2**20
"""How many bytes of columns of one partition are written at once."""


class _Open(Struct):
    """The open local file of one partition, and rows that wait to be written to it.

    The file has no name, so that nothing is left of it however the process ends.
    """

    number: int
    waiting: list[pa.Table] = field(default_factory=list)
    waiting_bytes: int = 0
    file: IO[bytes] | None = None
    writer: RowsFile | None = None
    rows: int = 0

    def take(self, rows: pa.Table) -> None:
        """Have these rows wait, too."""
        self.waiting.append(rows)
        self.waiting_bytes += rows.nbytes

    def give(self) -> list[pa.Table]:
        """The rows that wait, which don't from now on."""
        waiting, self.waiting, self.waiting_bytes = self.waiting, [], 0
        return waiting

    def close(self) -> None:
        """Close the file, which takes the end of its rows first."""
        with closing(self.file) if self.file else nullcontext():
            if self.writer:
                self.writer.close()


class Parts:
    """Rows of one layout, written into files.

    A file is written on this machine first. Once sealed, it is uploaded whole, so that an upload can be repeated.
    `name` makes a file's name, without ending, from its number. Thread-safe: one thread writes and uploads, while rows
    of others wait for the next time that this is done, unless too much waits.
    """

    def __init__(self, layout: Layout, name: Callable[[int], str]) -> None:
        self._layout = layout
        self._name = name
        self._group_bytes = min(_GROUP_BYTES, layout.max_bytes)
        self._writing = threading.Lock()
        """For files, sealed and uploaded ones; taken before the other one."""
        self._lock = threading.Lock()
        """For partitions, and rows that wait."""
        self._open: dict[Partition, _Open] = {}
        self._sealed: list[tuple[Part, IO[bytes]]] = []
        self._is_broken = False
        self._uploaded: list[Part] = []
        self._made = 0

    @property
    def schema(self) -> pa.Schema:
        """The columns that rows must have."""
        return self._layout.schema

    def add(self, rows: pa.Table) -> None:
        """Add rows with the layout's columns. A failed upload is repeated by seal()."""
        parts = [*partitioned(rows, self._layout.partition_by)]
        with self._lock:
            for partition, part in parts:
                self._of(partition).take(part)
            is_too_much = sum(one.waiting_bytes for one in self._open.values()) >= _HELD_BYTES
        if self._writing.acquire(blocking=is_too_much):
            try:
                with self._translated_errors():
                    self._write_what_is_much()
                with suppress(DestinationError):
                    self._upload()
            finally:
                self._writing.release()

    def seal(self) -> list[Part]:
        """Upload all rows added so far; the parts that hold them. Repeatable after a failure."""
        with self._writing:
            with self._translated_errors():
                for partition in self._partitions():
                    self._close(partition)
            self._upload()
            return [*self._uploaded]

    def adopt(self, parts: Iterable[Part]) -> None:
        """Take files that were written and uploaded elsewhere for files of these."""
        with self._writing:
            self._uploaded += parts

    def discard(self) -> None:
        """Remove all files, here and in the store."""
        self.close()
        with self._writing:
            uploaded, self._uploaded = self._uploaded, []
        self._layout.store.remove(part.path for part in uploaded)

    def close(self) -> None:
        """Remove the local files; uploaded ones stay."""
        with self._writing, self._lock:
            for one in self._open.values():
                with suppress(OSError, pa.ArrowException):  # it may be what has failed before
                    one.close()
            for _, file in self._sealed:
                file.close()
            self._open.clear()
            self._sealed.clear()

    def _of(self, partition: Partition) -> _Open:
        if partition not in self._open:
            self._made += 1
            self._open[partition] = _Open(self._made)
        return self._open[partition]

    def _partitions(self) -> dict[Partition, _Open]:
        """All that are open now."""
        with self._lock:
            return {**self._open}

    def _write_what_is_much(self) -> None:
        """Write full partitions, and the fullest ones while too much waits in all; seal files that are large."""
        opened = self._partitions()
        sizes = {partition: one.waiting_bytes for partition, one in opened.items()}
        held = sum(sizes.values())
        for partition in sorted(sizes, key=sizes.__getitem__, reverse=True):
            if sizes[partition] < self._group_bytes and held < _HELD_BYTES:
                break
            held -= sizes[partition]
            self._write(opened[partition])
            if self._size(opened[partition]) >= self._layout.max_bytes:
                self._close(partition)
        begun = [partition for partition, one in self._partitions().items() if one.file]
        if len(begun) > _MAX_FILES:
            for partition in begun:
                self._close(partition)

    def _write(self, one: _Open) -> None:
        with self._lock:
            waiting = one.give()
        if not waiting:
            return
        rows = pa.concat_tables(waiting)
        if one.writer is None:
            one.file = tempfile.TemporaryFile()  # noqa: SIM115 closed after the upload
            one.writer = written_to(one.file, self._layout)
        if self._layout.drops_partitions:
            rows = rows.drop_columns(list(self._layout.partition_by))
        one.writer.write(rows)
        one.rows += rows.num_rows

    @staticmethod
    def _size(one: _Open) -> int:
        return one.writer.size if one.writer else 0

    def _close(self, partition: Partition) -> None:
        """Seal the partition's file."""
        one = self._open[partition]
        self._write(one)
        if one.writer is None or one.file is None:  # no rows came
            return
        one.writer.close()
        layout = self._layout
        within = folder_of_partition(partition).replace(ESCAPE, layout.escape)
        folder = "/".join(filter(None, (layout.folder, within)))
        name = f"{self._name(one.number)}{suffix(layout)}"
        size = one.file.seek(0, io.SEEK_END)
        column_statistics = statistics(pa.parquet.read_metadata(one.file)) if layout.format == "parquet" else {}
        path = f"{folder}/{name}" if folder else name
        self._sealed.append((Part(path, one.rows, size, dict(partition), column_statistics), one.file))
        with self._lock:
            del self._open[partition]
            for rows in one.give():  # they have come meanwhile
                self._of(partition).take(rows)

    def _upload(self) -> None:
        """Upload sealed files, several at once; those that fail stay, to be uploaded again."""
        if not self._sealed:
            return
        with ThreadPoolExecutor(min(_UPLOADS_AT_ONCE, len(self._sealed))) as threads:
            uploads = [(part, file, threads.submit(self._put, part, file)) for part, file in self._sealed]
        self._sealed = [(part, file) for part, file, upload in uploads if upload.exception()]
        for part, file, upload in uploads:
            if not upload.exception():
                self._uploaded.append(part)
                file.close()
        for _, _, upload in uploads:
            upload.result()

    def _put(self, part: Part, file: IO[bytes]) -> None:
        file.seek(0)
        self._layout.store.put_file(part.path, file)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise errors of the local disk as DestinationError, at every later call too."""
        folder = tempfile.gettempdir()
        if self._is_broken:
            raise DestinationError(f"a file in {folder} couldn't be written before; run again")
        try:
            yield
        except OSError as error:
            self._is_broken = True
            raise DestinationError(f"files can't be written to {folder}: {error}") from error
