"""Seams: the calls by which a destination reaches what it loads into, and a crash at any one of them."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

Moment = Literal["before", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "after")


@dataclass(frozen=True, slots=True)
class Seam:
    """Methods of a class by which something is changed outside of the process: each call is a place to crash at."""

    owner: type
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crash:
    """Where a process ends by SIGKILL: before or after its n-th call of a seam, counted from 1 over all of them."""

    nth: int
    moment: Moment


class Watch:
    """Counts the calls of seams in this process, from all threads, and crashes at the one that it is told."""

    def __init__(self, crash: Crash | None) -> None:
        self.calls: list[str] = []
        self._crash = crash
        self._lock = threading.Lock()

    def over(self, seams: Iterable[Seam]) -> None:
        """Watch these seams until the process ends."""
        for seam in seams:
            for name in seam.calls:
                setattr(seam.owner, name, self.watched(f"{seam.owner.__name__}.{name}", getattr(seam.owner, name)))

    def watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, which is counted under that name."""

        @functools.wraps(call)
        def counted(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                self.calls.append(name)
                nth = len(self.calls)
            self._pass(nth, "before")
            try:
                return call(*arguments, **named)
            finally:
                self._pass(nth, "after")

        return counted

    def _pass(self, nth: int, moment: Moment) -> None:
        if self._crash == Crash(nth, moment):
            os.kill(os.getpid(), signal.SIGKILL)
