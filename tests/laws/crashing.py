"""Runs of `tailrace run` that are killed and started again, and what must be true of the database after each."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from launcher import STEPS
from places import PIPELINE, Database, Places, ordered
from replaying_tap import PEOPLE, SCHEMAS, Row, source

HERE = Path(__file__).parent
TAILRACE = str(Path(sys.executable).with_name("tailrace"))

SETTINGS = ("checkpoint_rows=500", "batch_rows=200")
RUN_LIMIT_S = 600.0
"""After which a run that doesn't end is killed, so that the test fails instead of waiting for ever."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the tap replays."""

    seed: int
    rows: int
    state_every: int = 40

    def sent(self, until: int | None = None) -> Iterator[Row]:
        """The rows, up to that position."""
        return islice(source(self.seed, self.rows, self.state_every), until)

    def states(self) -> list[int]:
        """The positions at which a STATE comes."""
        return [row.position for row in self.sent() if row.has_state]

    def last_state(self, position: int) -> int:
        """The last of them up to that position."""
        return max((state for state in self.states() if state <= position), default=0)

    def tables(self, position: int, *, upserts: bool = True) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of each table, sorted, when exactly the rows up to that position are loaded.

        Of people there is the last row for each key, or every row where the database doesn't upsert.
        """
        rows: dict[str, dict[Any, tuple[Any, ...]]] = {stream: {} for stream in SCHEMAS}
        for row in self.sent(position):
            key = row.record["id"] if upserts and row.stream == PEOPLE else row.position
            rows[row.stream][key] = tuple(row.record.values())
        return {stream: ordered(by_key.values()) for stream, by_key in rows.items()}


@dataclass(frozen=True, slots=True)
class Kill:
    """How a run is to be killed: at the n-th step of a name, or so many seconds after it has told so many states."""

    step: str = ""
    nth: int = 0
    told: int = 0
    after_s: float = 0.0

    @property
    def name(self) -> str:
        """The step, or that it is a random instant."""
        return self.step or "random instant"

    def sooner(self) -> Kill:
        """The same, to come sooner in a run."""
        return Kill(self.step, max(1, self.nth - 1), max(0, self.told - 1), self.after_s * 0.8)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, minus the signal that ended it; the positions told; its stderr."""

    code: int
    told: list[int]
    stderr: str


@dataclass(slots=True)
class Tally:
    """What a series of kills has come to: kills by name, runs, whole loads of the source, rows compared."""

    kills: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    loads: int = 0
    rows: int = 0
    seconds: float = 0.0


def command(database: Database, replayed: Source, *tap: str, settings: Sequence[str] = SETTINGS) -> list[str]:
    """The arguments of `tailrace` that load the source; `tap` are more arguments of the tap."""
    numbers = ("--rows", replayed.rows, "--seed", replayed.seed, "--state-every", replayed.state_every)
    words = [sys.executable, HERE / "replaying_tap.py", *numbers, *tap]
    sets = [word for setting in settings for word in ("--set", setting)]
    where = ["--to", database.url, "--pipeline", PIPELINE]
    return ["run", "--tap", shlex.join(map(str, words)), *where, *sets]


@contextmanager
def running(words: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with pipes for its output; it, its tap, and the temporary files of both don't outlive the block."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        tempfile.TemporaryDirectory() as folder,
        # Without a buffer of ours, what isn't read line by line is left to be read by communicate().
        subprocess.Popen(
            words, bufsize=0, env={**os.environ, "TMPDIR": folder}, start_new_session=True, **pipes
        ) as process,
    ):
        limit = threading.Timer(RUN_LIMIT_S, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def positions(lines: Iterable[bytes]) -> list[int]:
    """The positions in states that were told."""
    return [json.loads(line)["position"] for line in lines]


def run(arguments: Sequence[str], kill: Kill | None = None) -> Ended:
    """One run of tailrace to its end, or to that kill."""
    words = [TAILRACE, *arguments]
    if kill and kill.step:
        words = [sys.executable, str(HERE / "launcher.py"), kill.step, str(kill.nth), *arguments]
    with running(words) as process:
        assert process.stdout
        first = [line for _ in range(kill.told if kill else 0) if (line := process.stdout.readline())]
        try:
            out, err = process.communicate(timeout=kill.after_s if kill and kill.after_s else None)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
    return Ended(process.returncode, positions([*first, *out.splitlines()]), err.decode())


def require_truth(database: Database, replayed: Source, told: Sequence[int], *, is_interrupted: bool = False) -> int:
    """Assert that what is visible is exactly what the remembered state covers, and that no told state is ahead of it.

    Where the last run was interrupted, each table is at one of the positions that the database lets it be at then.
    `told` are all states told so far. Gives the number of rows that were compared.
    """
    database.wait_until_let_go()
    position = database.position()
    assert list(told) == sorted(set(told)), "states are told once, in order"
    assert set(told) | {position} <= {0, *replayed.states()}, "states are told as they were sent"
    assert max(told, default=0) <= position, "a told state is ahead of the database"
    shown, expected = database.tables(), replayed.tables(position, upserts=database.upserts)
    for older in database.positions() if is_interrupted else ():
        if older >= max(told, default=0):
            rows = replayed.tables(older, upserts=database.upserts)
            expected |= {table: rows[table] for table in rows if rows[table] == shown[table]}
    assert shown == expected, f"{_difference(shown, expected)} at {position} after {told[-1:]} was told"
    return sum(map(len, expected.values()))


def _difference(shown: Mapping[str, Sequence[Any]], expected: Mapping[str, Sequence[Any]]) -> str:
    """How many rows of each table are too much, and how many are missing, each with the first of them."""
    found = []
    for table, rows in expected.items():
        much, missing = Counter(map(repr, shown[table])), Counter(map(repr, rows))
        more, less = [*(much - missing).elements()], [*(missing - much).elements()]
        found.append(f"{table}: {len(more)} rows too much {more[:1]}, {len(less)} missing {less[:1]}")
    return "; ".join(found)


def spread_kills(places: Places, *, each_step: int, instants: int, rows: int, seed: int) -> list[Kill]:
    """Kills at every step, and at random instants: between two told states, and before the first; shuffled.

    How long these times are is measured in a whole run.
    """
    database, replayed = places(), Source(seed, rows)
    times_s = _told_times_s(command(database, replayed))
    require_truth(database, replayed, [rows])
    first_s, between_s = times_s[0], (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    chance = random.Random(seed)
    kills = [Kill(step, chance.randint(1, 4)) for step in STEPS for _ in range(each_step)]
    for number in range(instants):
        told = number % 4
        # Before the first state most of the time goes into starting Python; the database comes towards its end.
        after_s = chance.uniform(0, between_s) if told else chance.uniform(first_s / 2, first_s)
        kills.append(Kill(told=told, after_s=after_s))
    chance.shuffle(kills)
    return kills


def killed(places: Places, kills: Sequence[Kill], rows: int, seed: int) -> Tally:
    """Load sources, each into a new database, while the runs are killed one after the other; start again until done.

    A kill that comes too late for a run comes a little sooner in the next. Asserts the truth after every run.
    """
    started_s, tally, waiting = time.monotonic(), Tally(), deque(kills)
    while waiting:
        replayed = Source(seed + tally.loads, rows)
        database = places()
        told: list[int] = []
        while True:
            kill = waiting[0] if waiting else None
            ended = run(command(database, replayed), kill)
            tally.runs += 1
            told += ended.told
            tally.rows += require_truth(database, replayed, told, is_interrupted=ended.code != 0)
            if ended.code == 0:
                break
            assert kill, ended.stderr
            assert ended.code == -signal.SIGKILL, ended.stderr
            tally.kills[kill.name] = tally.kills.get(kill.name, 0) + 1
            waiting.popleft()
        if kill:
            waiting[0] = kill.sooner()
        assert database.position() == replayed.rows
        left = database.leftovers()
        assert left == [], left
        tally.loads += 1
    tally.seconds = time.monotonic() - started_s
    return tally


def _told_times_s(arguments: Sequence[str]) -> list[float]:
    """When a run that isn't killed tells its states: seconds since its start."""
    started_s = time.monotonic()
    with running([TAILRACE, *arguments]) as process:
        assert process.stdout
        times_s = [time.monotonic() - started_s for _ in iter(process.stdout.readline, b"")]
        _, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return times_s
