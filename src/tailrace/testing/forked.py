"""Loads in processes of their own, forked from one that has imported what is needed, so that each starts at once."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from tailrace.config import Settings
from tailrace.destination import Destination
from tailrace.runtime.feed import feed_lines
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader
from tailrace.testing.replay import Replay
from tailrace.testing.seams import Crash, Seam, Watch

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

LIMIT_S = 300.0
"""After which a load that doesn't end is killed, so that a law fails instead of waiting for ever."""

_LATE_IMPORTS = (
    "pyarrow.compute",
    "pyarrow.parquet",
    "pyiceberg.avro.decoder_fast",
    "pyiceberg.catalog.sql",
    "sqlglot.dialects.duckdb",
    "sqlglot.dialects.mysql",
    "sqlglot.dialects.postgres",
    "sqlglot.dialects.redshift",
    "sqlglot.dialects.sqlite",
    "sqlalchemy.dialects.sqlite",
    "tailrace.decode.native",
    "tailrace_native",
)
"""What loads import only once they need it."""

_LAST_IMPORT = "tailrace.testing.frozen"


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to load: what its pipeline hasn't loaded yet of a source, as `tailrace run` does.

    It crashes at a call of these seams, those of the contract among them, and waits behind the row at `pause_at`.
    """

    destination: Destination
    source: Replay
    settings: Mapping[str, Any]
    seams: Sequence[Seam] = ()
    crash: Crash | None = None
    pause_at: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a load ended: the positions whose states were told, the seams' calls, and the error if there was one.

    `was_killed` says that SIGKILL has ended it; the calls are known only where that isn't so.
    """

    told: list[int]
    was_killed: bool = False
    calls: tuple[str, ...] = ()
    error: str = ""


@dataclass(slots=True)
class Loading:
    """A process that loads, as its parent sees it."""

    _process: BaseProcess
    _heard: Connection
    _gate: Connection
    _told: list[int] = field(default_factory=list)
    _calls: tuple[str, ...] = ()
    _error: str = ""
    _is_paused: bool = False

    def wait_until_paused(self) -> None:
        """Wait until it has come to the row at which it pauses."""
        while not self._is_paused and self._hears():
            pass
        if not self._is_paused:
            raise AssertionError(f"the load has ended before it should pause: {self._error}")

    def wait_until_told(self, states: int) -> None:
        """Wait until it has told so many states, or has ended."""
        while len(self._told) < states and self._hears():
            pass

    def kill_after(self, seconds: float) -> Ended:
        """Kill it after that time; how it ended, which may have been sooner."""
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0 and self._hears(left_s):
            pass
        self._process.kill()
        return self.end()

    def end(self) -> Ended:
        """Let it go on where it pauses, and wait until it has ended; how it did."""
        if self._is_paused:
            self._gate.send(None)
        while self._hears():
            pass
        self._process.join(LIMIT_S)
        was_killed = self._process.exitcode == -signal.SIGKILL
        return Ended(self._told, was_killed, self._calls, self._error)

    def _hears(self, within_s: float | None = None) -> bool:
        """Take one thing that the process says; False where it has ended, or says nothing within that time.

        Without a time it has to say something, or to end, within the limit.
        """
        if not self._heard.poll(LIMIT_S if within_s is None else within_s):
            if within_s is not None:
                return False
            self._process.kill()
            raise AssertionError(f"the load has not ended within {LIMIT_S:.0f} s")
        try:
            what, value = self._heard.recv()
        except (EOFError, ConnectionResetError):
            return False
        match what:
            case "told":
                self._told.append(_position(value))
            case "paused":
                self._is_paused = True
            case "calls":
                self._calls = value
            case "error":
                self._error = value
        return True


@contextmanager
def loading(order: Order) -> Iterator[Loading]:
    """A process that does as ordered; it doesn't outlive the block."""
    forking = context()
    heard, say = forking.Pipe(duplex=False)
    wait, gate = forking.Pipe(duplex=False)
    process = forking.Process(target=_load, args=(order, say, wait), daemon=True)
    process.start()
    say.close()
    wait.close()
    try:
        yield Loading(process, heard, gate)
    finally:
        process.kill()
        process.join(LIMIT_S)
        process.close()
        heard.close()
        gate.close()


@cache
def context() -> ForkServerContext:
    """Processes that are forked from one that has imported what this one has of tailrace, with its drivers.

    Raises unittest.SkipTest where processes can't be forked.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise SkipTest("processes can't be forked here")
    forking = multiprocessing.get_context("forkserver")
    names = [name for name in sys.modules if name.startswith("tailrace.")]
    forking.set_forkserver_preload([*names, *_LATE_IMPORTS, _LAST_IMPORT])
    return forking


def load_here(order: Order) -> list[int]:
    """Load in this process, without a crash or a pause; the positions whose states were told."""
    told: list[int] = []

    def lines(after: int) -> Iterator[bytes]:
        return (line for _, line in order.source.lines(after))

    _run(order, lambda state: told.append(_position(state)), lines)
    return told


def _load(order: Order, say: Connection, gate: Connection) -> None:
    """Do as ordered, in the process that was forked for it."""
    watch = Watch(order.crash)
    contract = Seam(type(order.destination), ("recover", "prepare", "stage", "commit", "close"))
    watch.over((contract, *order.seams))
    tell = watch.watched("tell", lambda state: say.send(("told", state)))
    try:
        _run(order, tell, lambda after: _lines(order, after, say, gate))
    except Exception:  # noqa: BLE001 its parent is told
        say.send(("error", traceback.format_exc()))
    say.send(("calls", tuple(watch.calls)))


def _run(order: Order, tell: Callable[[bytes], None], lines: Callable[[int], Iterator[bytes]]) -> None:
    """Load those of the lines behind a position that the pipeline hasn't loaded yet."""
    settings = Settings(pipeline=order.source.pipeline, **order.settings)
    target = Target(order.destination, settings, tell=tell)
    try:
        last = target.begin()
        after = _position(last.state) if last and last.state else 0
        feed_lines(target, Reader(max_line_bytes=2**20), lines(after))
    finally:
        target.close()


def _position(state: bytes | str) -> int:
    position: int = json.loads(state)["position"]
    return position


def _lines(order: Order, after: int, say: Connection, gate: Connection) -> Iterator[bytes]:
    """The lines behind that position, with a pause where there is to be one."""
    pause_at = order.pause_at
    for position, line in order.source.lines(after):
        if pause_at is not None and position > pause_at:
            pause_at = None
            say.send(("paused", None))
            gate.recv()
        yield line
