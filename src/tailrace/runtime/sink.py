"""A sink: the open batch of one stream, from its first record until it is sealed."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa

from tailrace import compute as pc
from tailrace.config import Settings
from tailrace.decode import Decoder
from tailrace.model import Decoded, RecordBlock, Stream
from tailrace.runtime.parting import rows_parted

DECODE_BYTES = 4 * 2**20
"""Bytes of one stream's records that are decoded together."""

DECODING_THREADS = min(4, os.cpu_count() or 1)
"""Runs that are decoded at once, of all streams; more than the reader can keep busy are of no use."""

MAX_AHEAD = 3
"""Runs of one stream that are decoded at once, while the reader goes on."""

_VALUE_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A run that is being decoded, or has been."""

    run: RecordBlock
    decoded: Future[Decoded]


def decoding_threads() -> Executor:
    """The threads in which runs are decoded; they are started when they are needed."""
    return ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="tailrace-decoder")


class Sink:
    """Runs that wait to be decoded, runs that are being decoded, and rows that wait to be sealed; in this order.

    Rows have the lowest lines, waiting runs the highest. Runs are gathered and decoded together, so that streams which
    take turns line by line cost no more than others. `opened_at` is the monotonic time of the first record since the
    sink was last empty, in seconds.
    """

    def __init__(self, stream: Stream, decoder: Decoder, threads: Executor) -> None:
        self.stream = stream
        self.decoder = decoder
        self.opened_at: float | None = None
        self._threads = threads
        self._ahead: deque[_Ahead] = deque()
        self.run_bytes = 0
        self.run_count = 0
        self.row_bytes = 0
        self.row_count = 0
        self._runs: list[RecordBlock] = []
        self._tables: list[pa.Table] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return not self._runs and not self._ahead and not self._tables

    @property
    def record_count(self) -> int:
        """Records that are here, decoded or not."""
        return self.run_count + sum(ahead.run.count for ahead in self._ahead) + self.row_count

    @property
    def held_bytes(self) -> int:
        """Bytes of everything that is here."""
        return self.run_bytes + sum(ahead.run.size for ahead in self._ahead) + self.row_bytes

    @property
    def has_decoded(self) -> bool:
        """Whether a run that was begun is to be taken: it is decoded, or more can't be begun before it is."""
        return bool(self._ahead) and (len(self._ahead) >= MAX_AHEAD or self._ahead[0].decoded.done())

    def is_worth_decoding(self, settings: Settings) -> bool:
        """Whether the waiting records are enough to decode together, in bytes of input or of the columns they make."""
        column_bytes = self.run_count * len(self.stream.columns) * _VALUE_BYTES
        return self.run_bytes >= DECODE_BYTES or column_bytes >= settings.batch_bytes

    def is_full(self, settings: Settings) -> bool:
        """Whether there are rows enough for a batch."""
        return self.row_count >= settings.batch_rows or self.row_bytes >= settings.batch_bytes

    def is_old(self, settings: Settings, now_s: float) -> bool:
        """Whether the first record has waited long enough."""
        return self.opened_at is not None and now_s - self.opened_at >= settings.batch_age_s

    def add(self, run: RecordBlock, now_s: float) -> None:
        """Take in records that aren't decoded yet."""
        if self.opened_at is None:
            self.opened_at = now_s
        self._runs.append(run)
        self.run_bytes += run.size
        self.run_count += run.count

    def decode_ahead(self, until_line: int | None = None) -> None:
        """Begin to decode the records that wait, up to that input line."""
        run = self._take_run(until_line)
        if run is not None:
            self._ahead.append(self._begun(run))

    def take_decoded(self, until_line: int | None = None) -> tuple[RecordBlock, Decoded] | None:
        """The next run that was begun, if it begins up to that input line, and what it comes to; they leave the sink.

        What a run says of records beyond that line is held back: it is parted there then.
        """
        if not self._ahead or (until_line is not None and self._ahead[0].run.first_line > until_line):
            return None
        run, decoded = self._ahead[0].run, self._ahead[0].decoded.result()
        self._ahead.popleft()
        if until_line is None or run.last_line <= until_line or not _says_more(decoded, until_line):
            self._note_empty()
            return run, decoded
        self._ahead.extendleft(self._begun(part) for part in reversed(run.until(until_line)) if part is not None)
        return self.take_decoded(until_line)

    def put_back(self, run: RecordBlock) -> None:
        """Take in again the run that was taken last; it waits to be decoded, and so do those that were begun."""
        self._runs = [run, *(ahead.run for ahead in self._ahead), *self._runs]
        self._ahead.clear()
        self.run_bytes = sum(run.size for run in self._runs)
        self.run_count = sum(run.count for run in self._runs)

    def take_runs(self) -> RecordBlock:
        """The records that wait to be decoded, of which there is one at least; they leave the sink."""
        run = RecordBlock.join(self._runs)
        self._take_run(None)
        return run

    def add_rows(self, decoded: pa.Table, now_s: float) -> int:
        """Take in decoded rows, later than all that are here; gives how many of them aren't worth a row."""
        rows = rows_with_values(self.stream, decoded)
        if not rows.num_rows:
            return int(decoded.num_rows)
        if self.opened_at is None:
            self.opened_at = now_s
        self._tables.append(rows)
        self.row_count += rows.num_rows
        self.row_bytes += rows.nbytes
        return int(decoded.num_rows - rows.num_rows)

    def take_rows(self, until_line: int | None = None) -> pa.Table | None:
        """The decoded rows up to that input line; they leave the sink."""
        if not self._tables:
            return None
        rows = pa.concat_tables(self._tables)
        rest = None
        if until_line is not None:
            rows, rest = rows_parted(rows, until_line)
        self._tables = [rest] if rest is not None and rest.num_rows else []
        self.row_count = sum(table.num_rows for table in self._tables)
        self.row_bytes = sum(table.nbytes for table in self._tables)
        self._note_empty()
        return rows if rows.num_rows else None

    def _begun(self, run: RecordBlock) -> _Ahead:
        return _Ahead(run, self._threads.submit(self.decoder.decode, run))

    def _take_run(self, until_line: int | None) -> RecordBlock | None:
        """The records that wait to be decoded, up to that input line, which wait no more."""
        if not self._runs or (until_line is not None and self._runs[0].first_line > until_line):
            return None
        run, rest = RecordBlock.join(self._runs), None
        if until_line is not None:
            run_until, rest = run.until(until_line)
            if run_until is None:
                return None
            run = run_until
        self._runs = [rest] if rest else []
        self.run_bytes = rest.size if rest else 0
        self.run_count = rest.count if rest else 0
        self._note_empty()
        return run

    def _note_empty(self) -> None:
        if self.is_empty:
            self.opened_at = None


def rows_with_values(stream: Stream, rows: pa.Table) -> pa.Table:
    """The rows; of a stream whose fields no schema describes, those that have a value in any field.

    So it makes no difference in which batch the first field comes.
    """
    fields = [column for column in stream.columns if column.path]
    if not all(len(column.path) == 1 and column.path[0] in stream.evolved for column in fields):
        return rows
    if not fields:
        return rows.slice(0, 0)
    has_value = reduce(pc.or_, (pc.is_valid(rows[column.name]) for column in fields))
    return rows.filter(has_value)


def _says_more(decoded: Decoded, until_line: int) -> bool:
    """Whether more came of a run than rows, beyond that line."""
    return decoded.growth is not None or any(refused.line > until_line for refused in decoded.refused)
