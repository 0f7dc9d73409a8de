"""The drain: stages sealed batches in parallel and commits checkpoints, in order, behind the reader's back."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
from msgspec import Struct, field

from tailrace.destination import Destination, Distributed, RefusedAtCommitError
from tailrace.errors import RecordError, RowsRefusedError, SchemaError, naming_line
from tailrace.model import LINE, Activation, Batch, Checkpoint, Published, Receipt, Stream
from tailrace.runtime.budget import Budget
from tailrace.runtime.checkpoint import committed
from tailrace.runtime.heap import Heap
from tailrace.runtime.items import Adoption, CheckpointRequest, Item, Preparation, held_bytes, item_until
from tailrace.runtime.parting import Copies, batch_after
from tailrace.runtime.retry import Retry

LINE_ERRORS = (RecordError, SchemaError, RowsRefusedError)
"""The errors that are about lines of the input: what comes before may be loaded all the same."""


class Observer(Struct, frozen=True):
    """Whom the drain tells what it does; every function is called from the drain's thread.

    `refused` takes a batch whose row in that line the destination refuses, and the reason; it raises to end the run.
    `covering` comes before a checkpoint's commit, `told` after it.
    """

    refused: Callable[[Batch, int, str], None]
    covering: Callable[[int, CheckpointRequest], None]
    told: Callable[[Checkpoint, CheckpointRequest, Mapping[str, Published]], None]


class _Attempt(Struct):
    """What became of a batch that was to be staged: its parts that are, and why the rest isn't."""

    batch: Batch
    staged: list[tuple[Batch, Receipt]] = field(default_factory=list)
    failure: BaseException | None = None

    @property
    def rest(self) -> Batch | None:
        """The rows that come after those that are staged."""
        if self.failure is None:
            return None
        return batch_after(self.batch, self.staged[-1][0].last_line) if self.staged else self.batch


class Drain:
    """A thread that works off streams to prepare, batches to stage and checkpoints to commit, in the order they come.

    Batches that wait one behind the other are staged at once, up to `max_parallelism`. The first error halts the work;
    it is raised from the next `put` or `finish`. `resume` goes on up to a line, where a line beyond it was refused.
    """

    def __init__(
        self,
        destination: Destination,
        retry: Retry,
        observer: Observer,
        budget: Budget,
        *,
        pipeline: str,
        max_parallelism: int,
        now: Callable[[], datetime],
    ) -> None:
        self._destination = destination
        self._retry = retry
        self._observer = observer
        self._budget = budget
        self._pipeline = pipeline
        self._number = 1
        self._state: bytes | None = None
        self._max_parallelism = 1 if destination.traits.is_serial else max_parallelism
        self._now = now
        self._receipts: list[Receipt] = []
        self._copies = Copies(budget)
        self._heap = Heap()
        self._refused: set[int] = set()
        self._waiting: deque[Item] = deque()
        self._changed = threading.Condition()
        self._is_finishing = False
        self._is_busy = False
        self._failure: BaseException | None = None
        self._next_number = self._number
        self._thread = threading.Thread(target=self._work, name="tailrace-drain", daemon=True)

    def begin(self, last: Checkpoint | None) -> None:
        """Start the thread, behind the pipeline's last checkpoint."""
        if last is not None:
            self._number, self._state = last.number + 1, last.state
            self._next_number = self._number
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether everything that was put is done."""
        with self._changed:
            return not self._waiting and not self._is_busy

    def staged(self) -> Mapping[str, int]:
        """The rows of each stream that are staged and wait for their commit; from any thread."""
        rows: Counter[str] = Counter()
        for receipt in [*self._receipts]:
            rows[receipt.stream.name] += receipt.rows
        return rows

    @property
    def has_failed(self) -> bool:
        """Whether an error has halted the work."""
        return self._failure is not None

    @property
    def next_number(self) -> int:
        """The number of the checkpoint that a batch which is put now belongs to."""
        return self._next_number

    def put(self, item: Item) -> None:
        """Hand on a stream to prepare, a batch to stage, or a checkpoint to commit.

        Raises the error that halted the work, if one did; the item waits then all the same.
        """
        if self._thread.ident is None:
            raise RuntimeError("begin() comes first")
        with self._changed:
            if isinstance(item, Batch):
                self._budget.change(item.rows.nbytes)
            if isinstance(item, CheckpointRequest):
                self._next_number += 1
            self._waiting.append(item)
            self._changed.notify_all()
        self.raise_failure()

    def wait_until_idle(self) -> None:
        """Wait until everything that was put is done; raises the error that halted the work."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not (self._waiting or self._is_busy))
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise the error that halted the work, if one did."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait until all is done and end the thread; raises the error that halted the work."""
        self.wait_until_idle()
        self._end()

    def resume(self, until_line: int) -> tuple[Activation, ...]:
        """Go on behind a line that was refused, with the rows up to an earlier one; all are for one checkpoint now.

        The requests that wait are dropped; gives their activations. Raises the error that halted the work where it
        isn't about a later line, or where rows beyond that line are staged and no copies are left to stage anew.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._is_busy)
            if not isinstance(self._failure, LINE_ERRORS) or until_line >= (self._failure.line or 0):
                self.raise_failure()
            is_undone = isinstance(self._failure, RowsRefusedError)
            is_beyond = any(receipt.last_line > until_line for receipt in self._receipts)
            restaged = self._unstaged() if is_undone or is_beyond else []
            requests = [item for item in self._waiting if isinstance(item, CheckpointRequest)]
            kept = (item_until(item, until_line, self._number) for item in (*restaged, *self._waiting))
            self._budget.change(-held_bytes(self._waiting))
            self._waiting = deque(item for item in kept if item is not None)
            self._budget.change(held_bytes(self._waiting))
            self._next_number = self._number
            self._failure = None
            self._changed.notify_all()
        return tuple(activation for request in requests for activation in request.activate)

    def abandon(self) -> None:
        """Drop what waits and end the thread, once it has done what it is at. Repeatable."""
        with self._changed:
            self._budget.change(-held_bytes(self._waiting))
            self._waiting.clear()
        self._end()

    def _end(self) -> None:
        with self._changed:
            self._is_finishing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _unstaged(self) -> list[Batch]:
        """The batches of the checkpoint, which the destination has let go of."""
        copies = self._copies.take()
        if copies is None:
            self.raise_failure()
            return []
        self._retry.call(self._destination.recover, self._pipeline)
        self._receipts = []
        return copies

    def _work(self) -> None:
        while group := self._next_group():
            rests: list[Item] = []
            try:
                rests += self._do(group)
            except BaseException as error:  # noqa: BLE001 it is raised again in the reader's thread
                rests += [item for item in group if isinstance(item, CheckpointRequest)]
                self._failure = error
            finally:
                self._budget.change(held_bytes(rests))
                with self._changed:
                    self._waiting.extendleft(reversed(rests))
                    self._is_busy = False
                    self._changed.notify_all()

    def _next_group(self) -> list[Item]:
        """The next item, with the batches that wait right behind it if it is a batch; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_finishing or (self._waiting and self._failure is None))
            group: list[Item] = []
            while self._waiting and self._failure is None and len(group) < self._max_parallelism:
                if group and not (isinstance(group[0], Batch) and isinstance(self._waiting[0], Batch)):
                    break
                group.append(self._waiting.popleft())
            self._is_busy = bool(group)
            return group

    def _do(self, group: list[Item]) -> list[Batch]:
        """Do what the items ask for; gives the batches that aren't staged, since rows of theirs were refused."""
        match group[0]:
            case Preparation() as preparation if any(column.path for column in preparation.stream.columns):
                with naming_line(preparation.line):
                    self._retry.call(self._destination.prepare, preparation.stream)
            case CheckpointRequest() as request:
                self._commit(request)
            case Adoption(receipt):
                self._copies.refuse()
                self._receipts.append(self._adopted(receipt))
            case Batch():
                return self._stage([item for item in group if isinstance(item, Batch)])
        return []

    def _adopted(self, receipt: Receipt) -> Receipt:
        destination = self._destination
        if not isinstance(destination, Distributed):
            raise TypeError(f"{destination.traits.name} gives no stagers")
        return self._retry.call(destination.adopt, replace(receipt, checkpoint=self._number))

    def _stage(self, batches: list[Batch]) -> list[Batch]:
        if len(batches) == 1:
            attempts = [self._attempt(batches[0])]
        else:
            with ThreadPoolExecutor(len(batches), thread_name_prefix="tailrace-staging") as threads:
                attempts = [*threads.map(self._attempt, batches)]
        for part, receipt in (staged for attempt in attempts for staged in attempt.staged):
            self._receipts.append(receipt)
            self._copies.add(part)
        self._heap.staged(sum(batch.rows.nbytes for batch in batches))
        failures = [attempt.failure for attempt in attempts if attempt.failure is not None]
        if failures:
            self._failure = min(failures, key=_place_of)
        return [attempt.rest for attempt in attempts if attempt.rest is not None]

    def _attempt(self, batch: Batch) -> _Attempt:
        attempt = _Attempt(batch)
        try:
            with naming_line(batch.first_line):
                self._stage_fit(batch, attempt.staged)
        except BaseException as error:  # noqa: BLE001 it is raised again in the reader's thread
            attempt.failure = error
        self._budget.change(-held_bytes([batch]))
        return attempt

    def _stage_fit(self, batch: Batch, staged: list[tuple[Batch, Receipt]]) -> None:
        """Stage the rows that the destination takes, in the order of their lines; the others are found by bisecting."""
        try:
            staged.append((batch, self._retry.call(self._destination.stage, batch)))
        except RowsRefusedError as error:
            if error.reasons:
                for line, reason in sorted(error.reasons.items()):
                    self._refuse(batch, line, reason)
                self._stage_part(batch, _without(batch, error.reasons), staged)
            elif batch.rows.num_rows == 1:
                self._refuse(batch, batch.first_line, str(error))
            else:
                middle = batch.rows.num_rows // 2
                for half in (batch.rows.slice(0, middle), batch.rows.slice(middle)):
                    self._stage_part(batch, half, staged)

    def _stage_part(self, batch: Batch, rows: pa.Table, staged: list[tuple[Batch, Receipt]]) -> None:
        if rows.num_rows:
            self._stage_fit(replace(batch, rows=rows), staged)

    def _refuse(self, batch: Batch, line: int, reason: str) -> None:
        """Tell of a refused row, once: it may be tried again after another one."""
        if line not in self._refused:
            self._observer.refused(batch, line, reason)
            self._refused.add(line)

    def _commit(self, request: CheckpointRequest) -> None:
        if not request.final and any(receipt.last_line > request.until_line for receipt in self._receipts):
            raise RuntimeError(f"rows beyond line {request.until_line} are staged, where a checkpoint is to end")
        checkpoint, published = self._committed(request)
        self._receipts = []
        self._copies.clear()
        self._refused.clear()
        self._number += 1
        self._state = checkpoint.state
        self._observer.told(checkpoint, request, published)
        if not request.final:
            self._heap.committed()

    def _committed(self, request: CheckpointRequest) -> tuple[Checkpoint, Mapping[str, Published]]:
        """The checkpoint, once it is committed, without rows that the destination refuses only then."""
        at = self._now()
        while True:
            checkpoint = self._checkpoint(request, at)
            self._observer.covering(checkpoint.number, request)
            try:
                return checkpoint, committed(self._destination, self._retry, checkpoint)
            except RefusedAtCommitError as error:
                self._drop_refused(error)
            except RowsRefusedError as error:
                error.line = request.until_line
                raise

    def _checkpoint(self, request: CheckpointRequest, at: datetime) -> Checkpoint:
        return Checkpoint(
            pipeline=self._pipeline,
            number=self._number,
            state=self._state if request.state is None else request.state,
            at=at,
            publish=tuple(sorted(self._receipts, key=lambda receipt: receipt.first_line)),
            activate=request.activate,
            replace=request.replace,
            final=request.final,
        )

    def _drop_refused(self, error: RefusedAtCommitError) -> None:
        """Tell of refused rows in the order of their lines; they are no longer staged."""
        rows = [(line, at) for at, batch in enumerate(error.batches) for line in batch.rows[LINE].to_pylist()]
        for line, at in sorted(rows):
            batch = error.batches[at]
            self._refuse(batch, line, error.reasons[line])
            found = next(each for each in self._receipts if _has(each, batch.stream, line))
            self._receipts[self._receipts.index(found)] = replace(found, rows=found.rows - 1)


def _has(receipt: Receipt, stream: Stream, line: int) -> bool:
    """Whether the row of that line, of that plan of a stream, is staged by the receipt."""
    return receipt.stream == stream and receipt.first_line <= line <= receipt.last_line and receipt.rows > 0


def _without(batch: Batch, lines: Mapping[int, str]) -> pa.Table:
    return batch.rows.filter([line not in lines for line in batch.rows[LINE].to_pylist()])


def _place_of(failure: BaseException) -> tuple[bool, int]:
    """What orders failures: those that aren't about a line come first, the others by their line."""
    line = failure.line if isinstance(failure, LINE_ERRORS) else None
    return line is not None, line or 0
