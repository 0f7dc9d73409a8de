"""The target: the loop that turns messages into batches and boundaries, and hands them to the drain."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from tailrace.config import Settings
from tailrace.decode import decoder
from tailrace.decode.columns import rows_of
from tailrace.destination import Destination
from tailrace.errors import RecordsWithoutSchemaError, SchemaError, naming_line
from tailrace.log import get_logger
from tailrace.model import Batch, Checkpoint, Clock, Column, Growth, Method, Published, RecordBlock, Stream, unnamed
from tailrace.runtime.activations import Activations
from tailrace.runtime.budget import Budget
from tailrace.runtime.checkpoint import CheckpointPolicy, SafePoint
from tailrace.runtime.drain import Boundary, Drain, Observer, Preparation
from tailrace.runtime.findings import Findings
from tailrace.runtime.invalid import Invalid
from tailrace.runtime.report import Report, Tally
from tailrace.runtime.retry import Retry
from tailrace.runtime.sink import Sink, decoding_threads
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import ActivateVersionMessage, LogLine, Message, SchemaMessage, StateMessage

_log = get_logger("target")


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
        self._pipeline = settings.pipeline or unnamed(self._run)
        self._retry = Retry(destination, settings.retry_s)
        self._invalid = Invalid(settings, self.tally, self._pipeline, self._run)
        self._streams = Streams(settings, destination.traits)
        self._sinks: dict[str, Sink] = {}
        self._activations = Activations()
        self._findings = Findings(self.tally, self._invalid, self._streams)
        self._policy = CheckpointPolicy(settings, monotonic_s())
        self._threads = decoding_threads()
        self._next_seal_s = 0.0
        self._line = 0
        self._drain: Drain | None = None

    def begin(self) -> Checkpoint | None:
        """Recover the pipeline; gives its last committed checkpoint."""
        self._invalid.begin()
        last = self._retry.call(self._destination.recover, self._pipeline)
        number = last.number if last else 0
        self.tally.checkpoint = number
        self._invalid.recover(number)
        self._drain = Drain(
            self._destination,
            self._retry,
            Observer(refused=self._findings.refuse_row, covering=self._cover, told=self._told),
            self.budget,
            pipeline=self._pipeline,
            last=last,
            max_parallelism=self._settings.max_parallelism,
            now=self._now,
        )
        return last

    def accept(self, message: Message) -> None:
        """Take the next message of the input."""
        self._line = message.last_line if isinstance(message, RecordBlock) else message.line
        match message:
            case RecordBlock():
                self._accept_run(message)
            case StateMessage():
                self._pass_state(SafePoint(message.line, message.value))
            case SchemaMessage():
                self._accept_schema(message)
            case ActivateVersionMessage():
                self._activate(message)
            case LogLine():
                self._findings.say_for_tap(message)
        self.keep_time()

    def open_stream(self, name: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> None:
        """Take rows of a stream from here on that has these columns, named by their fields, and this key."""
        self.tally.add(name)
        self._open(self._sink(self._streams.accept_columns(name, columns, key)), self._line + 1)

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
        if self._policy.is_due(now_s):
            self._take_boundary(self._policy.latest)
        elif self._policy.is_due_without_state(now_s):
            _log.warning("committing without a STATE: after a crash these records may come twice", line=self._line)
            self._take_boundary(SafePoint(self._line, None))
        if now_s >= self._next_seal_s:
            self._next_seal_s = now_s + min(1.0, self._settings.batch_age_s / 10)
            for name in [n for n, sink in self._sinks.items() if sink.is_old(self._settings, now_s)]:
                self._relieve(name)
        self._wait_for_memory()
        self._drained.raise_failure()

    def end(self) -> Report:
        """Commit everything that was read as the run's last checkpoint."""
        self._take_boundary(None)
        self._activations.say_unmet()
        return self._finish()

    def stop(self, failed_line: int | None = None) -> Report:
        """Commit what was read up to the last STATE, before the line that failed if there is one; leave the rest.

        Raises what a line before that is refused with, if it can't be loaded either.
        """
        drained, point = self._drained, self._policy.last_before(failed_line)
        if drained.has_failed:
            if failed_line is None:
                drained.raise_failure()
            if point is None:
                return self.report()
            self._activations.put_back(drained.resume(point.line))
            self._policy.retreat()
        if point is not None and not self._policy.is_taken(point):
            self._take_boundary(point)
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
        return self.tally.report(self._settings.pipeline, self._clock.started_at, self._now())

    @property
    def line(self) -> int:
        """The input line of the message that was taken last; of several lines, the last."""
        return self._line

    @property
    def _drained(self) -> Drain:
        if self._drain is None:
            raise RuntimeError("Target.begin() comes first")
        return self._drain

    def _finish(self) -> Report:
        self._drained.finish()
        return self.report()

    def _pass_state(self, point: SafePoint) -> None:
        self._policy.pass_state(point)
        if self._policy.is_crowded:
            self._decode_all(point.line)
            self._policy.supersede(point.line)

    def _accept_schema(self, message: SchemaMessage) -> None:
        self.tally.add(message.stream)
        if message.stream in self._sinks and self._streams.is_news(message):
            self._decode(message.stream, None)  # what came before the message keeps its plan, and may yet grow it
        stream = self._streams.accept(message)
        if stream is not None:
            self._open(self._sink(stream), message.line)
            early = self._activations.early(message.stream)
            if early is not None:
                self._activate(replace(early, line=message.line))

    def _sink(self, stream: Stream) -> Sink:
        with naming_line(self._streams.message(stream.name).line):
            return Sink(stream, decoder(stream, self._clock), self._threads)

    def _open(self, sink: Sink, line: int) -> None:
        """Put a sink for a stream's new plan, which that line brings, in the place of the old one, emptied first."""
        if sink.stream.name in self._sinks:
            self._empty(sink.stream.name)
        self._sinks[sink.stream.name] = sink
        self._drained.put(Preparation(sink.stream, line))

    def _accept_run(self, run: RecordBlock) -> None:
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
        self._policy.read(records, size)
        if sink.stream.method is Method.REPLACE:
            self._policy.hold()
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

    def _decode_all(self, until_line: int | None) -> None:
        """Turn the records of every stream into rows, up to that line."""
        for sink in self._sinks.values():
            sink.decode_ahead(until_line)
        for name in list(self._sinks):
            self._decode(name, until_line)

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
            self.tally.add(name, filtered=sink.add_rows(decoded.rows, self._monotonic_s()))
        if decoded.growth is not None:
            self._grow(sink, decoded.growth, run)
        # A refusal may end the run here; the rows before it are then still to be committed.
        self._findings.note(sink.stream, decoded)
        return True

    def _grow(self, sink: Sink, growth: Growth, run: RecordBlock) -> None:
        """Open a sink for the grown stream, which gets the records of the old one, from this run on."""
        with self._budgeted(sink):
            sink.put_back(run)
        grown = self._grown(sink.stream.name, growth)
        with self._budgeted(sink):
            waiting = sink.take_runs()
        try:
            self._open(grown, growth.line)
        finally:
            opened = self._sinks[grown.stream.name]
            with self._budgeted(opened):
                opened.add(waiting, self._monotonic_s())

    def _grown(self, name: str, growth: Growth) -> Sink:
        """A sink for the grown stream; where that can't be, the run ends at the line that asks for it."""
        try:
            return self._sink(self._streams.grow(name, growth))
        except SchemaError as error:
            error.line = growth.line
            raise

    def _relieve(self, name: str) -> None:
        """Make room in a sink: stage what comes before the latest STATE or, if that is nothing, end a checkpoint first.

        All streams are decoded up to there before: what they refuse may yet end the run at a STATE before.
        """
        point, staged = self._policy.latest, 0
        if point is not None:
            self._decode_all(point.line)
            staged = self._stage(name, point.line)
            if not staged:
                self._take_boundary(point)
        if not staged:
            self._stage(name, None)
        sink = self._sinks[name]
        if sink.opened_at is not None:
            sink.opened_at = self._monotonic_s()

    def _empty(self, name: str) -> None:
        """Stage all that a sink holds; a checkpoint ends first where that goes beyond the latest STATE."""
        point = self._policy.latest
        if point is not None:
            self._decode_all(point.line)
            self._stage(name, point.line)
            if not self._sinks[name].is_empty:
                self._take_boundary(point)
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

    def _take_boundary(self, point: SafePoint | None) -> None:
        """Stage everything up to the safe point and commit it; without one, all of it, as the run's last checkpoint."""
        until_line = point.line if point else None
        self._decode_all(until_line)  # may fail, and the safe points are needed then
        state = self._policy.take(point)
        for name in list(self._sinks):
            self._stage(name, until_line)
        self._drained.put(
            Boundary(
                until_line=point.line if point else self._line,
                state=state,
                activate=self._activations.take(until_line),
                replace=() if point else self._streams.replaced(),
                final=point is None,
            )
        )
        left = self._sinks.values()
        self._policy.restart(
            sum(sink.record_count for sink in left), sum(sink.held_bytes for sink in left), self._monotonic_s()
        )

    def _activate(self, message: ActivateVersionMessage) -> None:
        sink = self._sinks.get(message.stream)
        if sink is None:
            if self._streams.is_selected(message.stream):
                self._activations.add_early(message)
            return
        if not sink.stream.versioned:
            self._decode(message.stream, None)
            growth = Growth(fields={}, versioned=True, line=message.line)
            self._open(self._grown(message.stream, growth), message.line)
        self._activations.add(self._sinks[message.stream].stream, message)

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

    def _cover(self, number: int, boundary: Boundary) -> None:
        self._invalid.cover(number, boundary.until_line)

    def _told(self, checkpoint: Checkpoint, boundary: Boundary, published: Mapping[str, Published]) -> None:
        self.tally.add_published(published)
        self.tally.checkpoints += 1
        self.tally.checkpoint = checkpoint.number
        self._policy.committed(boundary.until_line)
        if boundary.state is not None:
            self.tally.state = boundary.state
            self._tell(boundary.state)
        _log.info(
            "checkpoint",
            number=checkpoint.number,
            records=sum(receipt.rows for receipt in checkpoint.publish),
            line=boundary.until_line,
        )
