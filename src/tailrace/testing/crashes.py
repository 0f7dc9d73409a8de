"""The crash law: wherever a run is killed no row is lost, none is loaded twice, and no state is told ahead of its rows.

A source is loaded in a process of its own, which SIGKILL ends; what is visible then is exactly what the remembered
state covers. The next run goes on from there, and so it goes until the source is loaded.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tailrace.model import Checkpoint, Method
from tailrace.testing.forked import LIMIT_S, Ended, Order, load_here, loading
from tailrace.testing.replay import EVENTS, PEOPLE, Replay, in_order
from tailrace.testing.seams import MOMENTS, Crash
from tailrace.testing.subject import Subject

SMALL: Mapping[str, Any] = {"checkpoint_rows": 4, "batch_rows": 2, "retry_s": 60}
"""Settings under which a source of 12 rows comes to three checkpoints of several batches."""

_CHECKPOINTS = 3

LARGE: Mapping[str, Any] = {"checkpoint_rows": 500, "batch_rows": 200, "retry_s": 60}
"""Settings for sources of some thousands of rows."""


@dataclass(slots=True)
class Tally:
    """What a series of crashes has come to: how many at each call or instant, whole sources loaded, rows compared."""

    crashes: Counter[str] = field(default_factory=Counter)
    loads: int = 0
    rows: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.crashes + other.crashes, self.loads + other.loads, self.rows + other.rows)


def a_crash_at_any_call_loses_no_row_and_loads_none_twice(subject: Subject) -> Tally:
    """Before and after every call that changes something, in a run with three checkpoints."""
    law = CrashLaw(subject, SMALL)
    whole = law.load(_small("whole_"))
    assert len(whole.told) == _CHECKPOINTS, whole.told
    for nth in range(1, len(whole.calls) + 1):
        for moment in MOMENTS:
            law.crash_at(_small(f"{moment}_{nth}_"), Crash(nth, moment))
    assert law.tally.crashes.total() > len(whole.calls), "most of the crashes didn't come about"
    law.require_nothing_left()
    return law.tally


def crash_at_random_instants(subject: Subject, crashes: int = 10, rows: int = 2000, seed: int = 1) -> Tally:
    """Between two told states and before the first, several while each source of so many rows is loaded."""
    law, numbers = CrashLaw(subject, LARGE), count(1)
    instants = law.instants(_large("whole_", rows, seed), seed)
    while law.tally.crashes.total() < crashes:
        law.crash_at_instants(_large(f"source_{next(numbers)}_", rows, seed), instants, crashes)
    law.require_nothing_left()
    return law.tally


def _small(prefix: str) -> Replay:
    return Replay(seed=67, rows=12, state_every=2, people=3, prefix=prefix, streams=(EVENTS, PEOPLE))


def _large(prefix: str, rows: int, seed: int) -> Replay:
    return Replay(seed, rows, state_every=40, people=60, prefix=prefix)


@dataclass(slots=True)
class Instants:
    """Random instants: so many seconds behind a told state, or behind the start of a run."""

    earliest_s: float
    first_s: float
    between_s: float
    chance: random.Random

    def next(self) -> tuple[int, float]:
        """How many states are to be told, and how many seconds later it is.

        Before the first state the place comes towards the end: what comes before `earliest_s` starts the process.
        """
        told = self.chance.randrange(4)
        first, last = (0, self.between_s) if told else (self.earliest_s, self.first_s)
        return told, self.chance.uniform(first, last)


class CrashLaw:
    """Loads sources into a subject, each under names of its own, and compares what is visible with what must be."""

    def __init__(self, subject: Subject, settings: Mapping[str, Any]) -> None:
        self.tally = Tally()
        self._subject = subject
        self._settings = settings
        self._tables: list[str] = []
        destination = subject.open()
        self._upserts = Method.UPSERT in destination.traits.methods
        destination.close()

    def order(self, source: Replay, crash: Crash | None = None, pause_at: int | None = None) -> Order:
        """To load the source in a pipeline of its own."""
        destination, seams = self._subject.open(), tuple(self._subject.seams)
        return Order(destination, source, self._settings, seams, crash, pause_at)

    def load(self, source: Replay) -> Ended:
        """Load the whole source in a process of its own, without a crash."""
        with loading(self.order(source)) as load:
            ended = load.end()
        assert not ended.error, ended.error
        self.require_whole(source, self.require_truth(source, ended.told, was_interrupted=False))
        return ended

    def load_rest(self, source: Replay) -> list[int]:
        """Load what is left of the source, in this process, which has loaded none of it; the positions told."""
        told = load_here(self.order(source))
        self.require_whole(source, self.require_truth(source, told, was_interrupted=False))
        return told

    def crash_at(self, source: Replay, crash: Crash) -> None:
        """Load the source in a run that crashes there, and then in one that doesn't.

        Of calls from several threads a run may have a few less than another, and end before that one.
        """
        with loading(self.order(source, crash)) as load:
            ended = load.end()
        assert not ended.error, ended.error
        self.require_truth(source, ended.told, was_interrupted=ended.was_killed)
        self.tally.crashes[crash.moment] += ended.was_killed
        rest = self.load_rest(source)
        assert max(ended.told, default=0) <= min(rest, default=source.rows), "a state is told again"

    def instants(self, source: Replay, seed: int) -> Instants:
        """Instants as they suit a run over the source, which is loaded for that."""
        started_s = time.monotonic()
        with loading(self.order(source)) as load:
            load.wait_until_told(1)
            first_s = time.monotonic() - started_s
            states = len(load.end().told)
        between_s = (time.monotonic() - started_s - first_s) / states
        self.require_whole(source, self.position(source))
        return Instants(first_s / 5, first_s, between_s, random.Random(seed))  # noqa: S311 it is a test's

    def crash_at_instants(self, source: Replay, instants: Instants, crashes: int) -> None:
        """Load the source by runs that are killed at these instants while crashes are left, until it is loaded."""
        told: list[int] = []
        while True:
            states, after_s = instants.next()
            with loading(self.order(source)) as load:
                if self.tally.crashes.total() < crashes:
                    load.wait_until_told(states)
                    ended = load.kill_after(after_s)
                else:
                    ended = load.end()
            assert not ended.error, ended.error
            told += ended.told
            position = self.require_truth(source, told, was_interrupted=ended.was_killed)
            if not ended.was_killed:
                self.require_whole(source, position)
                return
            self.tally.crashes[f"{states} states told"] += 1

    def require_truth(self, source: Replay, told: list[int], *, was_interrupted: bool) -> int:
        """Raise unless what is visible is exactly what the remembered state covers, and no told state is ahead of it.

        Gives the position of that state. After an interrupted run each table may be at one of the positions that the
        place remembers. `told` are all states told so far.
        """
        wait_until_settled(self._subject)
        positions = self._positions(source)
        assert told == sorted(set(told)), f"states are told once, in order: {told}"
        assert {*told, *positions} <= {0, *source.states()}, f"no state was sent at {told} or {positions}"
        last_told = max(told, default=0)
        assert last_told <= positions[0], f"the state at {last_told} was told, and {positions[0]} is remembered"
        allowed = [at for at in positions if at >= last_told] if was_interrupted else positions[:1]
        shown = {table: self._shown(table) for table in source.names()}
        wanted = [source.tables(at, upserts=self._upserts) for at in allowed]
        for table, rows in shown.items():
            assert any(rows == each[table] for each in wanted), _difference(table, rows, wanted[0][table], positions)
        self.tally.rows += sum(map(len, shown.values()))
        return positions[0]

    def require_whole(self, source: Replay, position: int) -> None:
        """Raise unless the position that is remembered is the end of the source."""
        self._tables += source.names()
        self.tally.loads += 1
        assert position == source.rows, f"{position} is remembered of {source.rows} rows"

    def require_nothing_left(self) -> None:
        """Raise where something is left at the place besides the tables of all sources so far."""
        left = self._subject.leftovers(self._tables)
        assert not left, f"these are left: {sorted(left)}"

    def recover(self, source: Replay) -> Checkpoint | None:
        """Do what a run begins with; the last checkpoint of the source's pipeline."""
        destination = self._subject.open()
        try:
            return destination.recover(source.pipeline)
        finally:
            destination.close()

    def position(self, source: Replay) -> int:
        """The position that the place remembers."""
        return self._positions(source)[0]

    def _positions(self, source: Replay) -> list[int]:
        """The positions that tables may be at, the newest first."""
        if self._subject.remembered is None:
            last = self.recover(source)
            states: list[bytes | str | None] = [last.state if last else None]
        else:
            states = [*self._subject.remembered(source.pipeline)]
        return [json.loads(state)["position"] if state else 0 for state in states] or [0]

    def _shown(self, table: str) -> list[tuple[Any, ...]]:
        return in_order([tuple(row.values()) for row in self._subject.rows(table)])


def wait_until_settled(subject: Subject) -> None:
    """Wait until the place has noticed that a process is gone; it may be committing until then."""
    deadline = time.monotonic() + LIMIT_S
    while not subject.is_settled():
        assert time.monotonic() < deadline, "the place still serves a process that is gone"
        time.sleep(0.01)


def _difference(table: str, shown: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]], positions: list[int]) -> str:
    """How many rows are too many, and how many are missing, each with the first of them."""
    found, expected = Counter(map(repr, shown)), Counter(map(repr, wanted))
    more, less = [*(found - expected).elements()], [*(expected - found).elements()]
    return f"{table} at {positions}: {len(more)} rows too many {more[:1]}, {len(less)} missing {less[:1]}"
