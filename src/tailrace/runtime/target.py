"""The target: the loop that turns messages into batches and boundaries, and hands them to the drain."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow as pa

from tailrace.config import Settings
from tailrace.decode import decoder
from tailrace.decode.columns import rows_of
from tailrace.decode.records import record_line
from tailrace.destination import Destination
from tailrace.errors import RecordsWithoutSchemaError, Violation
from tailrace.log import get_logger
from tailrace.model import (
    LINE,
    Activation,
    Batch,
    Checkpoint,
    Clock,
    Column,
    Decoded,
    Growth,
    Method,
    Published,
    RecordRun,
    Refused,
    Stream,
)
from tailrace.runtime.budget import Budget
from tailrace.runtime.checkpoint import Boundaries, Mark
from tailrace.runtime.drain import Boundary, Drain, Observer
from tailrace.runtime.invalid import Invalid
from tailrace.runtime.notes import note
from tailrace.runtime.report import Report, Tally
from tailrace.runtime.retry import Retry
from tailrace.runtime.sink import Sink, decoding_threads
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import ActivateVersionMessage, LogLine, Message, SchemaMessage, StateMessage

_log = get_logger("target")

_LEVELS = logging.getLevelNamesMapping()


class Target:
    """One run of messages into a destination.

    `begin` recovers the pipeline, `accept` takes messages in order, `keep_time` is called when none come; `end`
    finishes the run, `stop` ends it early and commits what has a STATE. `close` lets go of everything; what isn't
    committed by then is discarded. `tell` is called with each state, as JSON, once it is true, from another thread.
    Everything else is to be called from one thread.
    """

    def __init__(
        self,
        destination: Destination,
        settings: Settings,
        *,
        tell: Callable[[bytes], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally = Tally()
        self.budget = Budget(settings.max_memory_bytes)
        self._destination = destination
        self._settings = settings
        self._tell = tell
        self._now = now
        self._monotonic_s = monotonic_s
        self._clock = Clock(started_at=now(), now=now)
        self._run = uuid.uuid4().hex
        self._pipeline = settings.pipeline or f"~{self._run}"
        self._retry = Retry(destination, settings.retry_s)
        self._invalid = Invalid(settings, self.tally, self._pipeline, self._run)
        self._streams = Streams(settings, destination.traits)
        self._sinks: dict[str, Sink] = {}
        self._activations: list[Activation] = []
        self._boundaries = Boundaries(settings, monotonic_s())
        self._threads = decoding_threads()
        self._next_seal_s = 0.0
        self._line = 0
        self._drain: Drain | None = None

    def begin(self) -> Checkpoint | None:
        """Recover the pipeline; gives its last committed checkpoint."""
        last = self._retry.call(self._destination.recover, self._pipeline)
        number = last.number if last else 0
        self.tally.checkpoint = number
        self._invalid.recover(number)
        self._drain = Drain(
            self._destination,
            self._retry,
            Observer(refused=self._refuse_row, covering=self._cover, told=self._told),
            self.budget,
            pipeline=self._pipeline,
            last=last,
            max_parallelism=self._settings.max_parallelism,
            now=self._now,
        )
        return last

    def accept(self, message: Message) -> None:
        """Take the next message of the input."""
        match message:
            case RecordRun():
                self._accept_run(message)
            case StateMessage():
                self._line = message.line
                self._boundaries.pass_state(Mark(message.line, message.value))
            case SchemaMessage():
                self._line = message.line
                self._accept_schema(message)
            case ActivateVersionMessage():
                self._line = message.line
                self._activate(message)
            case LogLine():
                _log.log(_LEVELS.get(message.level.upper(), logging.INFO), message.message, of="tap")
        self.keep_time()

    def open_stream(self, name: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> None:
        """Take rows of a stream from here on that has these columns, named by their fields, and this key."""
        self.tally.add(name)
        self._open(self._sink(self._streams.accept_columns(name, columns, key)))

    def accept_rows(self, name: str, table: pa.Table) -> None:
        """Take rows of an opened stream, in columns named by its fields; they count as lines of the input."""
        sink = self._sinks[name]
        rows = rows_of(table, sink.stream, self._line + 1, self._clock)
        with self._budgeted(sink):
            sink.add_rows(rows, self._monotonic_s())
        self._line += rows.num_rows
        self._count(sink, rows.num_rows, rows.nbytes)
        self.keep_time()

    def keep_time(self) -> None:
        """Take the boundary and seal the batches that are due, and wait while the memory budget is spent."""
        now_s = self._monotonic_s()
        if self._boundaries.is_due(now_s):
            self._take_boundary(self._boundaries.mark)
        elif self._boundaries.is_due_without_state(now_s):
            _log.warning("committing without a STATE: after a crash these records may come twice", line=self._line)
            self._take_boundary(Mark(self._line, None))
        if now_s >= self._next_seal_s:
            self._next_seal_s = now_s + min(1.0, self._settings.batch_age_s / 10)
            for name in [n for n, sink in self._sinks.items() if sink.is_old(self._settings, now_s)]:
                self._relieve(name)
        self._wait_for_memory()
        self._drained.raise_failure()

    def end(self) -> Report:
        """Commit everything that was read as the run's last checkpoint."""
        self._take_boundary(None)
        return self._finish()

    def stop(self, failed_line: int | None = None) -> Report:
        """Commit what was read up to the last STATE, and leave the rest; nothing if that covers a line that failed."""
        mark = self._boundaries.mark
        if mark is not None and (failed_line is None or mark.line < failed_line):
            self._take_boundary(mark)
        return self._finish()

    def close(self) -> None:
        """Let go of the destination and the quarantine; repeatable."""
        if self._drain is not None:
            self._drain.abandon()
        self._threads.shutdown(cancel_futures=True)
        self._invalid.close()
        self._destination.close()

    def report(self) -> Report:
        """What the run has done so far."""
        state = self.tally.state
        return Report(
            pipeline=self._settings.pipeline,
            streams=self.tally.streams(),
            checkpoints=self.tally.checkpoints,
            checkpoint=self.tally.checkpoint,
            state=None if state is None else state.decode(),
            started_at=self._clock.started_at,
            finished_at=self._now(),
        )

    @property
    def _drained(self) -> Drain:
        if self._drain is None:
            raise RuntimeError("Target.begin() comes first")
        return self._drain

    def _finish(self) -> Report:
        self._drained.finish()
        return self.report()

    def _accept_schema(self, message: SchemaMessage) -> None:
        self.tally.add(message.stream)
        if message.stream in self._sinks and self._streams.is_news(message):
            self._decode(message.stream, None)  # what came before the message keeps its plan, and may yet grow it
        stream = self._streams.accept(message)
        if stream is not None:
            self._open(self._sink(stream))

    def _sink(self, stream: Stream) -> Sink:
        return Sink(stream, decoder(stream, self._clock), self._threads)

    def _open(self, sink: Sink) -> None:
        """Put a sink for a stream's new plan in the place of the old one, which is emptied first."""
        if sink.stream.name in self._sinks:
            self._empty(sink.stream.name)
        self._sinks[sink.stream.name] = sink
        self._drained.put(sink.stream)

    def _accept_run(self, run: RecordRun) -> None:
        self._line = run.last_line
        sink = self._sinks.get(run.stream)
        if sink is None:
            if self._streams.is_selected(run.stream):
                raise RecordsWithoutSchemaError(run.stream, line=run.first_line)
            self.tally.add(run.stream, read=run.count, filtered=run.count, bytes=run.size)
            return
        with self._budgeted(sink):
            sink.add(run, self._monotonic_s())
        self._count(sink, run.count, run.size)

    def _count(self, sink: Sink, records: int, size: int) -> None:
        """Count what a sink has taken in; decode it, and seal the sink, when there is enough."""
        name = sink.stream.name
        self.tally.add(name, read=records, bytes=size)
        self._boundaries.read(records, size)
        if sink.stream.method is Method.REPLACE:
            self._boundaries.hold()
        if sink.is_worth_decoding(self._settings):
            sink.decode_ahead()
        while self._sinks[name].has_decoded:
            self._settle(name, None)
        if self._sinks[name].is_full(self._settings):
            self._relieve(name)

    @contextmanager
    def _budgeted(self, sink: Sink) -> Iterator[None]:
        """Account for what the sink holds more, or less, afterwards."""
        before = sink.held_bytes
        yield
        self.budget.change(sink.held_bytes - before)

    def _decode(self, name: str, until_line: int | None) -> None:
        """Turn the stream's records into rows, up to that line."""
        self._sinks[name].decode_ahead(until_line)
        while self._settle(name, until_line):
            self._sinks[name].decode_ahead(until_line)  # it may be the sink of a stream that has grown

    def _settle(self, name: str, until_line: int | None) -> bool:
        """Take in the next run that was decoded ahead, if it begins up to that line; gives whether there was one."""
        sink = self._sinks[name]
        with self._budgeted(sink):
            found = sink.take_decoded(until_line)
            if found is None:
                return False
            run, decoded = found
            sink.add_rows(decoded.rows, self._monotonic_s())
        if decoded.growth is not None:
            self._grow(sink, decoded.growth, run)
        # A refusal may end the run here; the rows before it are then still to be committed.
        self._note(sink.stream, decoded)
        return True

    def _grow(self, sink: Sink, growth: Growth, run: RecordRun) -> None:
        """Open a sink for the grown stream, which gets the records of the old one, from this run on."""
        with self._budgeted(sink):
            sink.put_back(run)
        grown = self._sink(self._streams.grow(sink.stream.name, growth))
        with self._budgeted(sink):
            waiting = sink.take_runs()
        self._open(grown)
        with self._budgeted(grown):
            grown.add(waiting, self._monotonic_s())

    def _note(self, stream: Stream, decoded: Decoded) -> None:
        """Count and say what decoding found."""
        for refused in decoded.refused:
            self._invalid.refuse(stream, self._streams.message(stream.name), refused)
        note(self.tally, stream, decoded)

    def _relieve(self, name: str) -> None:
        """Make room in a sink: stage what comes before the mark or, if that is nothing, take the boundary first."""
        mark = self._boundaries.mark
        staged = self._stage(name, mark.line) if mark else 0
        if mark and not staged:
            self._take_boundary(mark)
        if not staged:
            self._stage(name, None)
        sink = self._sinks[name]
        if sink.opened_at is not None:
            sink.opened_at = self._monotonic_s()

    def _empty(self, name: str) -> None:
        """Stage all that a sink holds; a boundary is taken first where it goes beyond the mark."""
        mark = self._boundaries.mark
        if mark is not None:
            self._stage(name, mark.line)
            if not self._sinks[name].is_empty:
                self._take_boundary(mark)
        self._stage(name, None)

    def _stage(self, name: str, until_line: int | None) -> int:
        """Seal the stream's batch up to that line and hand it to the drain; gives the number of its rows."""
        self._decode(name, until_line)
        sink = self._sinks[name]
        with self._budgeted(sink):
            rows = sink.take_rows(until_line)
        if rows is None:
            return 0
        self._drained.put(Batch(sink.stream, rows, self._drained.next_number))
        return int(rows.num_rows)

    def _take_boundary(self, mark: Mark | None) -> None:
        """Stage everything up to the mark and commit it; without a mark, everything, as the run's last checkpoint."""
        until_line = mark.line if mark else None
        for name in list(self._sinks):
            self._decode(name, until_line)  # may fail, and the last STATE's mark is needed then
        state = self._boundaries.take(mark)
        for name in list(self._sinks):
            self._stage(name, until_line)
        activations = [a for a in self._activations if mark is None or a.line <= mark.line]
        self._activations = self._activations[len(activations) :]
        self._drained.put(
            Boundary(
                until_line=mark.line if mark else self._line,
                state=state,
                activate=tuple(activations),
                replace=() if mark else self._streams.replaced(),
                final=mark is None,
            )
        )
        left = self._sinks.values()
        self._boundaries.restart(
            sum(sink.record_count for sink in left), sum(sink.held_bytes for sink in left), self._monotonic_s()
        )

    def _activate(self, message: ActivateVersionMessage) -> None:
        sink = self._sinks.get(message.stream)
        if sink is None:
            if self._streams.is_selected(message.stream):
                raise RecordsWithoutSchemaError(message.stream, line=message.line)
            return
        if not sink.stream.versioned:
            self._decode(message.stream, None)
            self._open(self._sink(self._streams.grow(message.stream, Growth(fields={}, versioned=True))))
        stream = self._sinks[message.stream].stream
        self._activations.append(Activation(stream, message.version, message.line))

    def _wait_for_memory(self) -> None:
        """While the budget is spent, seal what is largest, and wait for the drain."""
        while self.budget.is_spent and self._sinks:
            self._drained.raise_failure()
            is_idle = self._drained.is_idle
            largest = max(self._sinks.values(), key=lambda sink: sink.held_bytes)
            if is_idle and largest.is_empty:
                return
            if is_idle or largest.held_bytes * 4 >= self.budget.held:
                self._relieve(largest.stream.name)
            self.budget.wait(timeout_s=0.1)

    def _refuse_row(self, batch: Batch, line: int, reason: str) -> None:
        """Refuse a row that the destination doesn't take."""
        at = batch.rows[LINE].to_pylist().index(line)
        raw = record_line(batch.stream, batch.rows.slice(at, 1))
        violation = Violation("destination", "$", "a row that the destination takes", reason)
        refused = Refused(batch.stream.name, line, raw, (violation,))
        self._invalid.refuse(batch.stream, self._streams.message(batch.stream.name), refused)

    def _cover(self, number: int, boundary: Boundary) -> None:
        self._invalid.cover(number, boundary.until_line)

    def _told(self, checkpoint: Checkpoint, boundary: Boundary, published: Mapping[str, Published]) -> None:
        self.tally.add_published(published)
        self.tally.checkpoints += 1
        self.tally.checkpoint = checkpoint.number
        if boundary.state is not None:
            self.tally.state = boundary.state
            self._tell(boundary.state)
        _log.info(
            "checkpoint",
            number=checkpoint.number,
            records=sum(receipt.rows for receipt in checkpoint.publish),
            line=boundary.until_line,
        )
