"""The driver: hands inputs to workers, and takes what they have staged in the order of the inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from msgspec import Struct

from tailrace.config import ParallelSettings, Settings
from tailrace.destination import Distributed, Stager
from tailrace.errors import TailraceError
from tailrace.log import get_logger
from tailrace.model import Receipt, Stream
from tailrace.parallel.executors import Executor
from tailrace.parallel.positions import base_of
from tailrace.parallel.spool import SpoolStager, spooled_rows
from tailrace.parallel.start import Input
from tailrace.parallel.task import Left, Task, stage_input
from tailrace.runtime.adoption import StagedInput
from tailrace.runtime.target import Target
from tailrace.scratch import ScratchFolder
from tailrace.singer.messages import SchemaMessage

_log = get_logger("parallel")
_LOSSES = 3
_AHEAD = 2
"""Inputs that are worked on or wait for their turn, for each worker."""


class WorkerLostError(TailraceError):
    """Workers died over and over while they read an input."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}: {_LOSSES} workers were lost one after the other while they read it; see whether they have the "
            "memory for `max_memory_bytes` and 200 MB besides, or load it without `parallel`"
        )


class _Submitted(Struct):
    """An input that a worker has; `number` counts inputs from 1, `losses` the workers that were lost over it."""

    number: int
    input: Input
    future: Future[StagedInput | Left]
    losses: int = 0


class Inputs:
    """The inputs of a run, staged by workers. Iterate over `staged`, in the order of inputs."""

    def __init__(self, target: Target, settings: Settings, executor: Executor, spool: Path) -> None:
        self._target = target
        self._destination = target.destination
        self._settings = settings
        self._executor = executor
        self._spool = spool
        self._stagers: dict[Stream, Stager] = {}
        self._spooled: set[Stream] = set()
        self._ahead: deque[_Submitted] = deque()

    def staged(self, inputs: Sequence[Input]) -> Iterator[tuple[int, StagedInput | Left]]:
        """Each input with its number, once it is staged, or left to the driver."""
        waiting = deque(enumerate(inputs, start=1))
        try:
            while waiting or self._ahead:
                while waiting and len(self._ahead) < _AHEAD * self._executor.workers:
                    self._submit(*waiting.popleft())
                result = self._result(self._ahead[0])
                first = self._ahead.popleft()
                yield first.number, result
        finally:
            self._drop()

    def plan(self, messages: Iterable[SchemaMessage]) -> None:
        """Have stagers for the present plans of all streams, and for those of these messages."""
        for stream in self._target.plan(messages):
            plan = replace(stream, revision=0)
            if plan not in self._stagers:
                self._stagers[plan] = self._stager(stream, plan)

    def adopt(self, staged: StagedInput) -> bool:
        """Have the run take what is staged; False, with all of it dropped, where its plans are gone."""
        is_spooled = any(receipt.stream in self._spooled for receipt in staged.receipts)
        is_adopted = self._target.adopt(staged, self._rows_of if is_spooled else None)
        if not is_adopted:
            self._disown(staged)
        return is_adopted

    def _rows_of(self, receipt: Receipt) -> Iterator[pa.Table]:
        return spooled_rows(self._spool, receipt.token)

    def _stager(self, stream: Stream, plan: Stream) -> Stager:
        if isinstance(self._destination, Distributed) and not self._spooled:
            stager = self._destination.stager(stream)
            if stager is not None:
                return stager
        self._spooled.add(plan)
        return SpoolStager(self._spool, stream.arrow)

    def _submit(self, number: int, given: Input) -> None:
        self._ahead.append(_Submitted(number, given, self._future(number, given)))

    def _future(self, number: int, given: Input) -> Future[StagedInput | Left]:
        traits = replace(self._destination.traits, rekey=None)
        task = Task(given.name, given.open, base_of(number), self._settings, traits, dict(self._stagers))
        return self._executor.submit(stage_input, task)

    def _result(self, submitted: _Submitted) -> StagedInput | Left:
        """What became of an input; one whose worker is lost goes to another."""
        while True:
            try:
                return self._awaited(submitted.future)
            except Exception as error:
                if not self._executor.is_loss(error):
                    raise
                submitted.losses += 1
                if submitted.losses >= _LOSSES:
                    raise WorkerLostError(submitted.input.name) from error
                _log.warning("a worker was lost, and another one reads its input", input=submitted.input.name)
                for each in self._ahead:
                    if each.future.done() and self._is_lost(each.future):
                        each.future = self._future(each.number, each.input)

    def _awaited(self, future: Future[StagedInput | Left]) -> StagedInput | Left:
        while True:
            with suppress(TimeoutError):
                return future.result(timeout=0.2)
            self._target.keep_time()

    def _is_lost(self, future: Future[StagedInput | Left]) -> bool:
        error = future.exception()
        return error is not None and self._executor.is_loss(error)

    def _drop(self) -> None:
        """Drop what workers have staged and nobody takes."""
        for each in self._ahead:
            if not each.future.cancel():
                with suppress(Exception):  # whatever it failed with, nobody takes it
                    if isinstance(result := each.future.result(), StagedInput):
                        self._disown(result)
        self._ahead.clear()

    def _disown(self, staged: StagedInput) -> None:
        for receipt in staged.receipts:
            if receipt.stream in self._spooled:
                (self._spool / receipt.token).unlink(missing_ok=True)
            elif isinstance(self._destination, Distributed):
                self._destination.disown(receipt.stream, receipt.token)


@contextmanager
def opened_inputs(target: Target, settings: Settings, workers: Executor) -> Iterator[Inputs]:
    """The inputs of a run, with these workers, which end with the context."""
    parallel = settings.parallel or ParallelSettings()
    with closing(workers), ScratchFolder("inputs", parallel.spool) as spool:
        yield Inputs(target, _share(settings, parallel, workers), workers, spool.path)


def _share(settings: Settings, parallel: ParallelSettings, executor: Executor) -> Settings:
    """The settings of one worker: threads share the memory of this process."""
    if parallel.backend != "threading":
        return settings
    return settings.model_copy(update={"max_memory_bytes": settings.max_memory_bytes // executor.workers})
