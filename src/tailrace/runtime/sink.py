"""A sink: the open batch of one stream, from its first record until it is sealed."""

from __future__ import annotations

from bisect import bisect_right

import pyarrow as pa

from tailrace.config import Settings
from tailrace.decode import Decoder
from tailrace.model import LINE, RecordRun, Stream

DECODE_BYTES = 4 * 2**20
"""Bytes of one stream's records that are decoded together."""

_VALUE_BYTES = 8


class Sink:
    """Runs that wait to be decoded, and rows that wait to be sealed; all in the order of their lines.

    Runs are gathered and decoded together, so that streams which take turns line by line cost no more than others.
    `opened_at` is the monotonic time of the first record since the sink was last empty, in seconds.
    """

    def __init__(self, stream: Stream, decoder: Decoder) -> None:
        self.stream = stream
        self.decoder = decoder
        self.opened_at: float | None = None
        self.run_bytes = 0
        self.run_count = 0
        self.row_bytes = 0
        self.row_count = 0
        self._runs: list[RecordRun] = []
        self._tables: list[pa.Table] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return not self._runs and not self._tables

    @property
    def record_count(self) -> int:
        """Records that wait here, decoded or not."""
        return self.run_count + self.row_count

    @property
    def held_bytes(self) -> int:
        """Bytes of everything that waits here."""
        return self.run_bytes + self.row_bytes

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

    def add(self, run: RecordRun, now_s: float) -> None:
        """Take in records that aren't decoded yet."""
        if self.opened_at is None:
            self.opened_at = now_s
        self._runs.append(run)
        self.run_bytes += len(run.data)
        self.run_count += run.count

    def put_back(self, run: RecordRun, now_s: float) -> None:
        """Take in again the records that were taken out last."""
        self.add(run, now_s)
        self._runs.insert(0, self._runs.pop())

    def add_rows(self, rows: pa.Table, now_s: float) -> None:
        """Take in decoded rows, later than all that are here."""
        if not rows.num_rows:
            return
        if self.opened_at is None:
            self.opened_at = now_s
        self._tables.append(rows)
        self.row_count += rows.num_rows
        self.row_bytes += rows.nbytes

    def take_run(self, until_line: int | None = None) -> RecordRun | None:
        """The records that wait to be decoded, up to that input line; they leave the sink."""
        if not self._runs or (until_line is not None and self._runs[0].first_line > until_line):
            return None
        run, rest = RecordRun.join(self._runs), None
        if until_line is not None:
            run_until, rest = run.until(until_line)
            if run_until is None:
                return None
            run = run_until
        self._runs = [rest] if rest else []
        self.run_bytes = len(rest.data) if rest else 0
        self.run_count = rest.count if rest else 0
        self._note_empty()
        return run

    def take_rows(self, until_line: int | None = None) -> pa.Table | None:
        """The decoded rows up to that input line; they leave the sink."""
        if not self._tables:
            return None
        rows = pa.concat_tables(self._tables)
        rest = None
        if until_line is not None:
            before = bisect_right(range(rows.num_rows), until_line, key=lambda at: rows[LINE][at].as_py())
            rows, rest = rows.slice(0, before), rows.slice(before)
        self._tables = [rest] if rest is not None and rest.num_rows else []
        self.row_count = sum(table.num_rows for table in self._tables)
        self.row_bytes = sum(table.nbytes for table in self._tables)
        self._note_empty()
        return rows if rows.num_rows else None

    def _note_empty(self) -> None:
        if self.is_empty:
            self.opened_at = None
