"""The target: messages go to their streams' pipelines, and checkpoints are asked for where the policy says."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime

import pyarrow as pa
from msgspec import structs

from tailrace.config import Settings
from tailrace.decode.columns import rows_of
from tailrace.destination import Destination
from tailrace.errors import ConfigError, MessageError, RecordsWithoutSchemaError
from tailrace.log import get_logger
from tailrace.model import Checkpoint, Clock, Column, Method, Published, Receipt, RecordBlock, Refused, Stream, unnamed
from tailrace.runtime.activations import Activations
from tailrace.runtime.adoption import Adopter, StagedInput
from tailrace.runtime.budget import Budget
from tailrace.runtime.checkpoint import CheckpointPolicy, SafePoint
from tailrace.runtime.drain import LINE_ERRORS, Drain, Observer
from tailrace.runtime.findings import Findings
from tailrace.runtime.invalid import Invalid
from tailrace.runtime.items import CheckpointRequest
from tailrace.runtime.pipeline import Shared, StreamPipeline
from tailrace.runtime.pipelines import Pipelines
from tailrace.runtime.report import Report, Tally
from tailrace.runtime.retry import Retry
from tailrace.runtime.sink import decoding_threads
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import ActivateVersionMessage, BatchMessage, Block, LogLine, Message, SchemaMessage
from tailrace.singer.messages import message_before as part_before
from tailrace.singer.states import PassedState, StateMessages

_log = get_logger("target")
_BEYOND = 2**63 - 1
"""A line beyond all."""


class Target:
    """One run of messages into a destination.

    `begin` recovers the pipeline, `accept` takes blocks of messages in order, `keep_time` is called when none come;
    `end` finishes the run, `stop` ends it early and commits what has a STATE. `close` closes everything; what isn't
    committed by then is discarded. `tell` is called with each state, as JSON, once it is true, from another thread.
    Everything else is to be called from one thread.
    """

    def __init__(
        self,
        destination: Destination,
        settings: Settings,
        *,
        tell: Callable[[bytes], None],
        tally: Tally | None = None,
        threads: Executor | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally = tally or Tally()
        self.budget = Budget(settings.max_memory_bytes)
        self.destination = destination
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
        self._activations = Activations()
        self._findings = Findings(self.tally, self._invalid, self._streams)
        self._policy = CheckpointPolicy(settings, monotonic_s())
        self._threads = threads or decoding_threads()
        self._drain = Drain(
            destination,
            self._retry,
            Observer(refused=self._findings.refuse_row, covering=self._cover, told=self._told),
            self.budget,
            pipeline=self._pipeline,
            max_parallelism=settings.max_parallelism,
            now=now,
        )
        parts = self._drain, self._streams, self._findings, self.tally
        self._pipelines = Pipelines(Shared(settings, self._clock, self._threads, self.budget, *parts))
        self._adopter = Adopter(self._streams, self._pipelines, self._drain, self._findings)
        self._next_seal_s = 0.0
        self._line = 0

    def begin(self) -> Checkpoint | None:
        """Recover the pipeline; gives its last committed checkpoint."""
        self._invalid.begin()
        last = self._retry.call(self.destination.recover, self._pipeline)
        self.tally.checkpoint = last.number if last else 0
        self._invalid.recover(self.tally.checkpoint)
        self._drain.begin(last)
        return last

    def replace_streams(self, patterns: Sequence[str]) -> None:
        """Replace the tables of the streams of these names or globs, but those whose `method` is set."""
        self._streams.replace(patterns)

    def accept(self, block: Block) -> None:
        """Take the next block of the input.

        Where one of its messages can't be taken, all that comes before its line is taken first; then the error of the
        earliest such line is raised.
        """
        failure, failed_line, taken = None, _BEYOND, list[Message]()
        for message in block.messages:
            if (before := part_before(message, failed_line)) is not None:
                try:
                    self._take(before)
                    taken.append(before)
                except (ConfigError, MessageError, *LINE_ERRORS) as error:
                    failure, failed_line = error, getattr(error, "line", None) or before.line
        self._note(taken, block.states.until(failed_line - 1))
        if failure is not None:
            self._line = failed_line
            raise failure
        self._take_due(self._monotonic_s())
        self._advance(message.stream for message in taken if isinstance(message, RecordBlock))
        self.keep_time()

    def plan(self, messages: Iterable[SchemaMessage]) -> list[Stream]:
        """Plan streams before their records come; gives the present plans of all, which are prepared on return."""
        for message in messages:
            self._take_schema(message)
        self.settle()
        return self._pipelines.plans()

    def adopt(self, staged: StagedInput, rows_of: Callable[[Receipt], Iterable[pa.Table]] | None) -> bool:
        """Take an input that workers have staged by the destination's stagers, behind all that was taken before.

        Without stagers, `rows_of` gives the rows of a receipt, with their lines. The end of the input is a safe point
        if it has a STATE. False, with nothing done, where its plans are gone.
        """
        for receipt in staged.receipts:
            self.plan_of(receipt.stream.name)  # its records before become rows, and may have it grow
        if not self._adopter.has_plans_of(staged):
            return False
        is_safe = staged.state is not None and not self._policy.is_held and not self._adopter.replaces(staged)
        if not is_safe and (point := self._policy.latest) is not None:
            self._take_checkpoint(point)
        for receipt in staged.receipts:
            pipeline = self._adopter.adopt(receipt, self._monotonic_s(), is_whole=rows_of is None)
            self._hold(pipeline.stream, receipt.first_line)
            for rows in rows_of(receipt) if rows_of else ():
                self._advance([receipt.stream.name])
                self.keep_time()
                pipeline.add_rows(rows, self._monotonic_s())
        self._adopter.count(staged)
        self._pass(staged)
        return True

    def _pass(self, staged: StagedInput) -> None:
        """Count what was staged elsewhere, and note the state that its end makes true."""
        read = staged.records, staged.bytes
        states = [] if staged.state is None else [PassedState(staged.last_line, staged.state, *read)]
        self._policy.read(*read, StateMessages.of(states))
        self._policy.supersede(staged.last_line)
        self._line = staged.last_line
        self.keep_time()

    def open_stream(self, name: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> None:
        """Take rows of a stream from here on that has these columns, named by their fields, and this key."""
        self.tally.add(name)
        self._pipelines.open(self._streams.accept_columns(name, columns, key), self._line + 1)

    def accept_rows(self, name: str, table: pa.Table) -> None:
        """Take rows of an opened stream, in columns named by its fields; they count as lines of the input."""
        if self.plan_of(name) is None or (pipeline := self._pipelines.of(name)) is None:
            raise RuntimeError(f"Target.open_stream({name!r}) comes first")
        pipeline.turn(self._monotonic_s(), is_adopting=False, line=self._line + 1)
        rows = rows_of(table, pipeline.stream, self._line + 1, self._clock)
        pipeline.add_rows(rows, self._monotonic_s())
        self._line += rows.num_rows
        self._count(pipeline.stream, rows.num_rows, rows.nbytes, self._line)
        self._policy.read(rows.num_rows, rows.nbytes)
        self._advance([name])
        self.keep_time()

    def plan_of(self, name: str) -> Stream | None:
        """The plan of a stream once all its records are decoded that were taken; None where it has none."""
        return self._pipelines.plan_of(name, self._monotonic_s())

    def refuse(self, name: str, refused: Sequence[Refused]) -> None:
        """Refuse what can't be a row of an opened stream."""
        if (pipeline := self._pipelines.of(name)) is not None and refused:
            self.tally.add(name, read=len(refused))
            self._findings.refuse(pipeline.stream, refused)

    def keep_time(self) -> None:
        """Ask for the checkpoint and seal the batches that are due, and wait while the memory budget is spent."""
        now_s = self._monotonic_s()
        self._take_due(now_s)
        if now_s >= self._next_seal_s:
            self._next_seal_s = now_s + min(1.0, self._settings.batch_age_s / 10)
            for pipeline in self._pipelines.old(now_s):
                self._relieve(pipeline)
        self._wait_for_memory()
        self._drain.raise_failure()

    def count_from(self, line: int) -> None:
        """Have rows from here on be counted as the lines behind that one."""
        self._line = line

    def settle(self) -> None:
        """Wait until the drain has done all that it was given."""
        self._drain.wait_until_idle()

    def end(self) -> Report:
        """Commit everything that was read as the run's last checkpoint."""
        self._take_checkpoint(None)
        self._activations.say_unmet()
        self._streams.say_unmatched()
        return self._finish()

    def stop(self, failed_line: int | None = None) -> Report:
        """Commit what was read up to the last STATE, before the line that failed if there is one; leave the rest.

        Raises what a line before that is refused with, if it can't be loaded either.
        """
        drained, point = self._drain, self._policy.last_before(failed_line)
        if drained.has_failed:
            if failed_line is None:
                drained.raise_failure()
            if point is None:
                return self.report()
            self._activations.put_back(drained.resume(point.line))
            self._policy.retreat()
        if point is not None and not self._policy.is_taken(point):
            self._take_checkpoint(point)
        return self._finish()

    def close(self) -> None:
        """Close the destination and the quarantine; repeatable."""
        self._drain.abandon()
        self._threads.shutdown(cancel_futures=True)
        self._invalid.close()
        self.destination.close()

    def report(self) -> Report:
        """What the run has done so far."""
        return self.tally.report(self._settings.pipeline, self._clock.started_at, self._now())

    def staged(self) -> Mapping[str, int]:
        """The rows of each stream that wait for their commit."""
        return self._drain.staged()

    @property
    def title(self) -> str:
        """The destination's name, and the pipeline's if it has one."""
        return " · pipeline ".join(filter(None, (self.destination.traits.name, self._settings.pipeline)))

    @property
    def line(self) -> int:
        """The last input line that was taken."""
        return self._line

    def _finish(self) -> Report:
        self._drain.finish()
        return self.report()

    def _take(self, message: Message) -> None:
        match message:
            case RecordBlock():
                self._take_records(message)
            case SchemaMessage():
                self._take_schema(message)
            case ActivateVersionMessage():
                self._activate(message)
            case BatchMessage():
                raise MessageError("BATCH messages can't be taken here; have the tap send RECORDs", line=message.line)

    def _note(self, taken: Sequence[Message], states: StateMessages) -> None:
        """Count what was taken of a block, and note the states that have passed with it."""
        blocks = [message for message in taken if isinstance(message, RecordBlock)]
        self._policy.read(sum(block.count for block in blocks), sum(block.size for block in blocks), states)
        last_lines = [message.last_line if isinstance(message, RecordBlock) else message.line for message in taken]
        self._findings.say_for_tap(message for message in taken if isinstance(message, LogLine))
        self._line = max([self._line, *last_lines, *states.lines[-1:]])

    def _take_records(self, block: RecordBlock) -> None:
        pipeline = self._pipelines.of(block.stream)
        if pipeline is not None:
            pipeline.turn(self._monotonic_s(), is_adopting=False, line=block.first_line)
            self._pipelines.add(pipeline, block, self._monotonic_s())
            self._count(pipeline.stream, block.count, block.size, block.first_line)
        elif self._streams.is_selected(block.stream):
            raise RecordsWithoutSchemaError(block.stream, line=block.first_line)
        else:
            self.tally.add(block.stream, read=block.count, filtered=block.count, bytes=block.size)

    def _count(self, stream: Stream, records: int, size: int, first_line: int) -> None:
        self.tally.add(stream.name, read=records, bytes=size)
        self._hold(stream, first_line)

    def _hold(self, stream: Stream, first_line: int) -> None:
        """Take no later STATE for a safe point where rows become visible only at the end."""
        if stream.method is Method.REPLACE:
            self._policy.hold(first_line)

    def _take_schema(self, message: SchemaMessage) -> None:
        self.tally.add(message.stream)
        stream = self._streams.accept(message)
        if stream is None:
            return
        self._pipelines.open(stream, message.line)
        early = self._activations.early(message.stream)
        if early is not None:
            self._activate(structs.replace(early, line=message.line))

    def _activate(self, message: ActivateVersionMessage) -> None:
        pipeline = self._pipelines.of(message.stream)
        if pipeline is not None:
            pipeline.activate(message.version, message.line, self._monotonic_s())
            self._activations.add(pipeline.stream, message)
        elif self._streams.is_selected(message.stream):
            self._activations.add_early(message)

    def _advance(self, streams: Iterable[str]) -> None:
        """Have records of these streams decoded, and seal batches, where there is enough of them."""
        if self._policy.is_crowded and (point := self._policy.last_before(None)) is not None:
            self._pipelines.decode(point.line, self._monotonic_s())
            self._policy.supersede(point.line)
        for pipeline in self._pipelines.advance(streams, self._monotonic_s()):
            self._relieve(pipeline)

    def _relieve(self, pipeline: StreamPipeline) -> None:
        """Stage a stream's rows before the latest STATE; if there are none, end a checkpoint, and stage what is behind.

        All streams are decoded up to there before: what they refuse may yet end the run at a STATE before.
        """
        now_s, point, sealed = self._monotonic_s(), self._policy.latest, 0
        if point is not None:
            self._pipelines.decode(point.line, now_s)
            sealed = pipeline.seal(point.line, now_s)
            if not sealed:
                self._take_checkpoint(point)
        if not sealed:
            pipeline.seal(None, now_s)
        if pipeline.opened_at is not None:
            pipeline.opened_at = now_s

    def _take_due(self, now_s: float) -> None:
        """Ask for the checkpoints that are due."""
        while (point := self._policy.due(now_s)) is not None:
            self._take_checkpoint(point)
        if self._policy.is_due_without_state(now_s):
            _log.warning("committing without a STATE: after a crash these records may come twice", line=self._line)
            self._take_checkpoint(SafePoint(self._line, None))

    def _take_checkpoint(self, point: SafePoint | None) -> None:
        """Stage everything up to the safe point and commit it; without one, all of it, as the run's last checkpoint."""
        until_line = point.line if point else None
        now_s = self._monotonic_s()
        self._pipelines.decode(until_line, now_s)  # may fail, and the safe points are needed then
        state = self._policy.take(point, now_s)
        self._pipelines.seal(until_line, now_s)
        self._drain.put(
            CheckpointRequest(
                until_line=point.line if point else self._line,
                state=state,
                activate=self._activations.take(until_line),
                replace=() if point else self._streams.replaced(),
                final=point is None,
            )
        )

    def _wait_for_memory(self) -> None:
        """While the budget is spent, seal what is largest, and wait for the drain."""
        while self.budget.is_spent:
            self._drain.raise_failure()
            is_idle, largest = self._drain.is_idle, self._pipelines.largest()
            if is_idle and largest is None:
                return
            if largest is not None and (is_idle or largest.held_bytes * 4 >= self.budget.held):
                self._relieve(largest)
            self.budget.wait(timeout_s=0.1)

    def _cover(self, number: int, request: CheckpointRequest) -> None:
        self._invalid.cover(number, request.until_line)

    def _told(self, checkpoint: Checkpoint, request: CheckpointRequest, published: Mapping[str, Published]) -> None:
        self.tally.add_published(published)
        self.tally.checkpoints += 1
        self.tally.checkpoint = checkpoint.number
        self._policy.committed(request.until_line)
        if request.state is not None:
            self.tally.state = request.state
            self._tell(request.state)
        records = sum(receipt.rows for receipt in checkpoint.publish)
        _log.info("checkpoint", number=checkpoint.number, records=records, line=request.until_line)
