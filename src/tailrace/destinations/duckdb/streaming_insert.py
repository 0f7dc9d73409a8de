"""A statement that runs in a thread of its own while rows are fed to it, batch by batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pyarrow as pa

Run = Callable[[pa.RecordBatchReader], None]
"""Runs the statement on rows, which it reads to their end."""


class StreamingInsert:
    """One statement and the rows that it is fed; used by one thread. It never holds more than two batches."""

    def __init__(self, run: Run, schema: pa.Schema) -> None:
        self._run = run
        self._schema = schema
        self._changed = threading.Condition()
        self._next: pa.Table | None = None
        self._is_ending = False
        self._is_done = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="tailrace-insert", daemon=True)
        self._thread.start()

    def feed(self, rows: pa.Table) -> None:
        """Hand rows on, once those before them are taken; raises what the statement has failed with."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is None or self._is_done)
            self._next = rows
            self._changed.notify_all()
        if self._is_done:
            self.end()

    def end(self) -> None:
        """Wait until the statement is done with all rows; raises what it has failed with."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            self._run(pa.RecordBatchReader.from_batches(self._schema, self._batches()))
        except BaseException as error:  # noqa: BLE001 it is raised again in the thread that feeds
            self._failure = error
        finally:
            with self._changed:
                self._is_done = True
                self._next = None
                self._changed.notify_all()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (rows := self._taken()) is not None:
            yield from rows.to_batches()

    def _taken(self) -> pa.Table | None:
        """The next rows; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is not None or self._is_ending)
            rows, self._next = self._next, None
            self._changed.notify_all()
            return rows
