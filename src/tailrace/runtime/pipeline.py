"""A stream's pipeline: raw blocks are decoded ahead, become rows, and are sealed as batches."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc
from tailrace.config import Settings
from tailrace.decode import Decoder, decoder
from tailrace.errors import SchemaError, naming_line
from tailrace.model import Batch, Clock, Fill, Growth, RecordBlock, Stream
from tailrace.runtime.budget import Budget
from tailrace.runtime.drain import Drain
from tailrace.runtime.findings import Findings
from tailrace.runtime.items import Preparation
from tailrace.runtime.report import Tally
from tailrace.runtime.sink import DECODE_BYTES, Sink
from tailrace.runtime.streams import Streams

_MAX_DECODERS = 100
_FIRST_ROWS, _FIRST_BYTES = 10_000, 2 * 2**20
"""What the first batch of a stream has at most, and each later one more, so that the destination begins early."""


class Shared(Struct, frozen=True):
    """What the pipelines of a run share."""

    settings: Settings
    clock: Clock
    threads: Executor
    budget: Budget
    drain: Drain
    streams: Streams
    findings: Findings
    tally: Tally


class StreamPipeline:
    """The records of one stream, from raw blocks to batches that the drain has.

    Each plan of the stream has a sink. Where rows are merged in the order of their plans, a plan that comes again has a
    new sink, behind the others; elsewhere it has the one that it had. `opened_at` is the monotonic time of the first
    record since nothing was here, in seconds.
    """

    def __init__(self, shared: Shared, stream: Stream, line: int) -> None:
        self.opened_at: float | None = None
        self._shared = shared
        self._decoders: dict[Stream, Decoder] = {}
        self._announced: set[int] = set()
        self._prepared = 0
        self._activated: int | None = None
        self._is_adopting: bool | None = None
        self._held_bytes = 0
        self._batches = 0
        self._open = self._sink(stream)
        self._sinks = [self._open]
        self._announce(stream, line)

    @property
    def stream(self) -> Stream:
        """The present plan."""
        return self._open.stream

    @property
    def held_bytes(self) -> int:
        """Bytes of everything that is here."""
        return self._held_bytes

    @property
    def waiting_bytes(self) -> int:
        """Bytes of records that wait to be decoded."""
        return sum(sink.waiting_bytes for sink in self._sinks)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return all(sink.is_empty for sink in self._sinks)

    @property
    def is_full(self) -> bool:
        """Whether there are rows enough for a batch."""
        settings, number = self._shared.settings, self._batches + 1
        rows = min(settings.batch_rows, number * _FIRST_ROWS)
        size = min(settings.batch_bytes, number * _FIRST_BYTES)
        return any(sink.row_count >= rows or sink.row_bytes >= size for sink in self._sinks)

    def is_old(self, now_s: float) -> bool:
        """Whether the first record has waited long enough."""
        return self.opened_at is not None and now_s - self.opened_at >= self._shared.settings.batch_age_s

    def open(self, stream: Stream, line: int) -> None:
        """Take records under this plan from that line on."""
        known = [sink for sink in self._sinks if sink.stream is stream]
        sink = known[0] if known else self._sink(stream)
        self._sinks = [each for each in self._sinks if each is not sink and not each.is_empty]
        self._sinks.append(sink)
        self._open = sink
        self._announce(stream, line)

    def add(self, block: RecordBlock, now_s: float) -> None:
        """Take in records that aren't decoded yet."""
        with self._accounted(now_s):
            self._open.add(block)

    def add_rows(self, rows: pa.Table, now_s: float) -> None:
        """Take in rows of the present plan."""
        with self._accounted(now_s):
            self._open.add_rows(rows)

    def turn(self, now_s: float, *, is_adopting: bool, line: int) -> None:
        """Take rows of the other origin from that line on: staged by workers, or added here.

        Where rows are merged in the order of plans, the plan comes again, behind all rows before.
        """
        before, self._is_adopting = self._is_adopting, is_adopting
        if before not in {None, is_adopting} and self.stream.waits_for_commit:
            self.seal(None, now_s)
            self.open(self._shared.streams.again(self.stream), line)

    def advance(self, now_s: float) -> None:
        """Begin to decode what is worth it, and take in what is decoded."""
        settings = self._shared.settings
        with self._accounted(now_s):
            for sink in [*self._sinks]:
                if sink.waiting_bytes >= DECODE_BYTES or sink.column_bytes >= settings.batch_bytes:
                    sink.decode_ahead()
            at = 0
            while at < len(self._sinks) and (at == 0 or self._may_pass(self._sinks[at - 1])):
                while self._sinks[at].has_decoded:
                    self._settle(at, None)
                at += 1

    def begin_decoding(self, until_line: int | None = None) -> None:
        """Begin to decode all records up to that line."""
        for sink in self._sinks:
            sink.decode_ahead(until_line)

    def decode(self, until_line: int | None, now_s: float) -> None:
        """Turn all records up to that line into rows."""
        with self._accounted(now_s):
            at = 0
            while at < len(self._sinks):
                self._sinks[at].decode_ahead(until_line)
                while self._settle(at, until_line):
                    pass
                at += 1

    def seal(self, until_line: int | None, now_s: float) -> int:
        """Decode all records up to that line, and hand their rows to the drain; gives how many they are."""
        self.decode(until_line, now_s)
        sealed = 0
        with self._accounted(now_s):
            for sink in self._in_order():
                rows = sink.take_rows(until_line)
                if rows is not None:
                    sealed += rows.num_rows
                    self._put(sink.stream, rows)
            self._sinks = [sink for sink in self._sinks if sink is self._open or not sink.is_empty]
        return sealed

    def activate(self, version: int, line: int, now_s: float) -> None:
        """Have a column for versions from that line on, and rows of older ones wait for the commit."""
        self._activated = max(version, self._activated or version)
        if not self.stream.versioned:
            self.decode(None, now_s)
        if not self.stream.versioned:
            self.open(self._grown(self.stream, Growth(fields={}, versioned=True, line=line)), line)

    @contextmanager
    def _accounted(self, now_s: float) -> Iterator[None]:
        """Have what is here afterwards counted in the budget, and its age begun or ended."""
        try:
            yield
        finally:
            held = sum(sink.held_bytes for sink in self._sinks)
            self._shared.budget.change(held - self._held_bytes)
            self._held_bytes = held
            if self.is_empty:
                self.opened_at = None
            elif self.opened_at is None:
                self.opened_at = now_s

    def _in_order(self) -> list[Sink]:
        """The sinks in the order of sealing: where that of plans doesn't count, the one prepared last comes first."""
        if any(sink.stream.waits_for_commit for sink in self._sinks):
            return self._sinks
        return sorted(self._sinks, key=lambda sink: sink.stream.revision != self._prepared)

    def _may_pass(self, sink: Sink) -> bool:
        """Whether rows of later sinks may be taken in before that one's records are all decoded.

        Where the order of plans counts they may yet make the stream grow, and the later plans with it.
        """
        return sink.is_decoded or not sink.stream.waits_for_commit

    def _settle(self, at: int, until_line: int | None) -> bool:
        """Take in the next block of a sink that was decoded, if it begins up to that line; gives whether there was one.

        Where the stream has to grow first, what is left of the sink's records moves to a sink behind it.
        """
        sink = self._sinks[at]
        found = sink.take_decoded(until_line)
        if found is None:
            return False
        block, decoded = found
        if decoded.growth is not None:
            sink.put_back(block)
            self._grow(at, decoded.growth)
            return True
        self._shared.tally.add(sink.stream.name, filtered=sink.add_rows(decoded.rows))
        # A refusal may end the run here; the rows before it are then still to be committed.
        self._shared.findings.note(sink.stream, decoded)
        return True

    def _grow(self, at: int, growth: Growth) -> None:
        sink = self._sinks[at]
        grown = self._moved(sink, self._grown(sink.stream, growth))
        self._sinks.insert(at + 1, grown)
        for place in range(at + 2, len(self._sinks)):
            later = self._sinks[place]
            if later.stream.waits_for_commit:
                replanned = self._grown(later.stream, Growth(fields={}, line=growth.line))
                self._sinks[place] = self._moved(later, self._shared.streams.again(replanned))
        self._announce(grown.stream, growth.line)

    def _moved(self, sink: Sink, stream: Stream) -> Sink:
        """A sink of that plan, which gets the records of another one that aren't decoded yet."""
        moved = self._sink(stream)
        sink.put_back_all()
        waiting = sink.take_waiting()
        if waiting is not None:
            moved.add(waiting)
        if sink is self._open:
            self._open = moved
        return moved

    def _grown(self, stream: Stream, growth: Growth) -> Stream:
        """The grown plan; where that can't be, the run ends at the line that asks for it."""
        try:
            return self._shared.streams.grow(stream, growth)
        except SchemaError as error:
            error.line = growth.line
            raise

    def _sink(self, stream: Stream) -> Sink:
        of_any_revision = replace(stream, revision=0)
        if of_any_revision not in self._decoders:
            if len(self._decoders) >= _MAX_DECODERS:
                self._decoders.clear()
            with naming_line(self._shared.streams.message(stream).line):
                self._decoders[of_any_revision] = decoder(stream, self._shared.clock)
        return Sink(stream, self._decoders[of_any_revision], self._shared.threads)

    def _announce(self, stream: Stream, line: int) -> None:
        """Have a plan prepared as soon as it comes."""
        if stream.revision not in self._announced:
            self._announced.add(stream.revision)
            self._prepare(stream, line)

    def _prepare(self, stream: Stream, line: int) -> None:
        self._prepared = stream.revision
        self._shared.drain.put(Preparation(stream, line))

    def _is_outdated(self, stream: Stream, rows: pa.Table) -> bool:
        """Whether rows are of an older version than one that was activated, in this checkpoint or an earlier one."""
        column = stream.filled_with(Fill.TABLE_VERSION)
        if column is None or self._activated is None:
            return False
        oldest = pc.min(rows[column.name]).as_py()
        return oldest is not None and oldest < self._activated

    def _put(self, stream: Stream, rows: pa.Table) -> None:
        """Hand rows to the drain, behind a plan that is prepared again where another one was prepared since."""
        batch = Batch(stream, rows, self._shared.drain.next_number, is_outdated=self._is_outdated(stream, rows))
        if self._prepared != stream.revision:
            self._prepare(stream, batch.first_line)
        self._shared.drain.put(batch)
        self._batches += 1
