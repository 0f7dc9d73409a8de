"""The drain: stages sealed batches in parallel and commits checkpoints, in order, behind the reader's back."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module

from tailrace.destination import Destination
from tailrace.errors import RowsRefusedError, naming_line
from tailrace.log import get_logger
from tailrace.model import LINE, Activation, Batch, Checkpoint, Published, Receipt, Stream
from tailrace.runtime.budget import Budget
from tailrace.runtime.checkpoint import committed
from tailrace.runtime.retry import Retry

_log = get_logger("drain")


@dataclass(frozen=True, slots=True)
class Boundary:
    """The end of a checkpoint, as the reader sees it; the drain adds the receipts and the number.

    `state` is None when the checkpoint makes no new state true; the destination then keeps the one that it has.
    """

    until_line: int
    state: bytes | None
    activate: tuple[Activation, ...] = ()
    replace: tuple[Stream, ...] = ()
    final: bool = False


@dataclass(frozen=True, slots=True)
class Observer:
    """Whom the drain tells what it does; every function is called from the drain's thread.

    `refused` takes a batch whose row in that line the destination refuses, and the reason; it raises to end the run.
    `covering` comes before a checkpoint's commit, `told` after it.
    """

    refused: Callable[[Batch, int, str], None]
    covering: Callable[[int, Boundary], None]
    told: Callable[[Checkpoint, Boundary, Mapping[str, Published]], None]


class Drain:
    """A thread that works off streams to prepare, batches to stage and boundaries to commit, in the order they come.

    Batches that wait one behind the other are staged at once, up to `max_parallelism`. The first error ends the work;
    it is raised from the next `put` or `finish`, and what follows it is let go.
    """

    def __init__(
        self,
        destination: Destination,
        retry: Retry,
        observer: Observer,
        budget: Budget,
        *,
        pipeline: str,
        last: Checkpoint | None,
        max_parallelism: int,
        now: Callable[[], datetime],
    ) -> None:
        self._destination = destination
        self._retry = retry
        self._observer = observer
        self._budget = budget
        self._pipeline = pipeline
        self._number = last.number + 1 if last else 1
        self._state = last.state if last else None
        self._max_parallelism = max_parallelism
        self._now = now
        self._receipts: list[Receipt] = []
        self._waiting: deque[Stream | Batch | Boundary] = deque()
        self._lines: dict[Stream, int | None] = {}
        self._changed = threading.Condition()
        self._is_finishing = False
        self._is_busy = False
        self._failure: BaseException | None = None
        self._next_number = self._number
        self._thread = threading.Thread(target=self._work, name="tailrace-drain", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether everything that was put is done."""
        with self._changed:
            return not self._waiting and not self._is_busy

    @property
    def next_number(self) -> int:
        """The number of the checkpoint that a batch which is put now belongs to."""
        return self._next_number

    def put(self, item: Stream | Batch | Boundary, line: int | None = None) -> None:
        """Hand on a stream to prepare, with the line of its SCHEMA, a batch to stage, or a boundary to commit.

        A stream whose records have no columns yet has no table either.
        """
        self.raise_failure()
        if isinstance(item, Stream):
            if not any(column.path for column in item.columns):
                return
            self._lines[item] = line
        with self._changed:
            if isinstance(item, Batch):
                self._budget.change(item.rows.nbytes)
            if isinstance(item, Boundary):
                self._next_number += 1
            self._waiting.append(item)
            self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raise the error that ended the work, if one did."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait until all is done and end the thread; raises the error that ended the work."""
        self._end()
        self.raise_failure()

    def abandon(self) -> None:
        """Let go of what waits and end the thread, once it has done what it is at. Repeatable."""
        with self._changed:
            self._waiting.clear()
        self._end()

    def _end(self) -> None:
        with self._changed:
            self._is_finishing = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while group := self._next_group():
            try:
                if self._failure is None:
                    self._do(group)
            except BaseException as error:  # noqa: BLE001 it is raised again in the reader's thread
                self._failure = error
            finally:
                for item in group:
                    if isinstance(item, Batch):
                        self._budget.change(-item.rows.nbytes)
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()

    def _next_group(self) -> list[Stream | Batch | Boundary]:
        """The next item, with the batches that wait right behind it if it is a batch; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_finishing)
            group: list[Stream | Batch | Boundary] = []
            while self._waiting and len(group) < self._max_parallelism:
                if group and not (isinstance(group[0], Batch) and isinstance(self._waiting[0], Batch)):
                    break
                group.append(self._waiting.popleft())
            self._is_busy = bool(group)
            return group

    def _do(self, group: list[Stream | Batch | Boundary]) -> None:
        match group[0]:
            case Stream() as stream:
                with naming_line(self._lines.pop(stream, None)):
                    self._retry.call(self._destination.prepare, stream)
            case Boundary() as boundary:
                self._commit(boundary)
            case _:
                self._stage([item for item in group if isinstance(item, Batch)])

    def _stage(self, batches: list[Batch]) -> None:
        if len(batches) == 1:
            staged = [self._stage_fit(batches[0])]
        else:
            joblib = import_module("joblib")  # it takes a while, and most runs don't need it
            staged = joblib.Parallel(n_jobs=len(batches), backend="threading")(
                joblib.delayed(self._stage_fit)(batch) for batch in batches
            )
        self._receipts.extend(receipt for receipts in staged for receipt in receipts)

    def _stage_fit(self, batch: Batch) -> list[Receipt]:
        """The receipts of the rows that the destination takes; the others are found by bisecting."""
        try:
            return [self._retry.call(self._destination.stage, batch)]
        except RowsRefusedError as error:
            if error.reasons:
                for line, reason in sorted(error.reasons.items()):
                    self._observer.refused(batch, line, reason)
                return self._stage_parts(batch, _without(batch, error.reasons))
            if batch.rows.num_rows == 1:
                self._observer.refused(batch, batch.first_line, str(error))
                return []
            middle = batch.rows.num_rows // 2
            halves = batch.rows.slice(0, middle), batch.rows.slice(middle)
            return [receipt for half in halves for receipt in self._stage_parts(batch, half)]

    def _stage_parts(self, batch: Batch, rows: object) -> list[Receipt]:
        part = Batch(batch.stream, rows, batch.checkpoint)
        return self._stage_fit(part) if part.rows.num_rows else []

    def _commit(self, boundary: Boundary) -> None:
        checkpoint = Checkpoint(
            pipeline=self._pipeline,
            number=self._number,
            state=self._state if boundary.state is None else boundary.state,
            at=self._now(),
            publish=tuple(sorted(self._receipts, key=lambda receipt: receipt.first_line)),
            activate=boundary.activate,
            replace=boundary.replace,
            final=boundary.final,
        )
        self._observer.covering(checkpoint.number, boundary)
        published = committed(self._destination, self._retry, checkpoint)
        self._receipts = []
        self._number += 1
        self._state = checkpoint.state
        self._observer.told(checkpoint, boundary, published)


def _without(batch: Batch, lines: Mapping[int, str]) -> object:
    return batch.rows.filter([line not in lines for line in batch.rows[LINE].to_pylist()])
