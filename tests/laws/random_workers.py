"""Workers that a law hands inputs to: they work in any order, and do some of the work twice."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Future
from random import Random
from typing import Any

from tailrace.runtime.adoption import StagedInput


class RandomWorkers:
    """An Executor that does what waits whenever a result is asked for, in random order, each task once or twice.

    What it calls has been pickled, as on another machine. `staged` counts the inputs that were staged.
    """

    def __init__(self, chance: Random) -> None:
        self.workers = chance.randint(1, 3)
        self.staged = 0
        self._chance = chance
        self._waiting: list[tuple[_Asked, bytes]] = []

    def submit(self, work: Callable[[Any], Any], argument: Any) -> Future[Any]:
        """See Executor."""
        future = _Asked(self._work)
        self._waiting.append((future, pickle.dumps((work, argument))))
        return future

    def is_loss(self, error: BaseException) -> bool:
        """See Executor."""
        del error
        return False

    def close(self) -> None:
        """See Executor."""

    def _work(self, wanted: Future[Any]) -> None:
        while not wanted.done():
            future, call = self._waiting.pop(self._chance.randrange(len(self._waiting)))
            if not future.set_running_or_notify_cancel():
                continue
            results = []
            for _ in range(self._chance.choice([1, 1, 2])):
                work, argument = pickle.loads(call)
                results.append(work(argument))
            future.set_result(self._chance.choice(results))
            self.staged += isinstance(future.result(), StagedInput)


class _Asked(Future):
    def __init__(self, work: Callable[[Future[Any]], None]) -> None:
        super().__init__()
        self._work = work

    def result(self, timeout: float | None = None) -> Any:
        """Its result, for which whatever waits may be done."""
        if not self.done():
            self._work(self)
        return super().result(timeout)
