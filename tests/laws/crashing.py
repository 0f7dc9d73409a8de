"""Runs of `tailrace run` over a place, each of which goes on where the place remembers to be."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from commands import Command, tailrace
from places import KEPT, Place

from tailrace.testing.crashes import LARGE, CrashLaw, Instants
from tailrace.testing.replay import Replay

TAP = Path(__file__).with_name("replaying_tap.py")

Start = Callable[..., AbstractContextManager[Command]]
"""Starts the command line of tailrace with arguments."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, minus the signal that ended it; the positions told; its stderr."""

    code: int | None
    told: list[int]
    stderr: str


class Runs:
    """Runs that load a source into a place, and what must be true there after each.

    The source is written into the folder. `settings` are those of all runs, in place of the laws' own or besides them.
    """

    def __init__(self, place: Place, source: Replay, folder: Path, *settings: str, start: Start = tailrace) -> None:
        self._law = CrashLaw(place.subject, LARGE)
        self._place = place
        self._source = source
        self._settings = settings
        self._start = start
        self._messages = folder / f"{source.prefix}{source.seed}.messages"
        if not self._messages.exists():
            lines = (f"{position}\t{line.decode()}" for position, line in source.lines())
            self._messages.write_text("".join(lines), encoding="utf-8")

    def started(self, *tap: object, settings: Sequence[str] = ()) -> AbstractContextManager[Command]:
        """A run; `tap` are more arguments of the tap, `settings` are this run's own."""
        KEPT.close()
        words = [sys.executable, "-I", TAP, self._messages, *tap]
        pairs = [f"{name}={value}" for name, value in LARGE.items()]
        sets = [word for pair in (*pairs, *self._settings, *settings) for word in ("--set", pair)]
        where = ["--to", self._place.url, "--pipeline", self._source.pipeline]
        return self._start("run", "--tap", shlex.join(map(str, words)), *where, *sets)

    def run(self, *tap: object, settings: Sequence[str] = ()) -> Ended:
        """A run to its end."""
        with self.started(*tap, settings=settings) as command:
            out, err = command.communicate()
        return Ended(command.returncode, positions(out.splitlines()), err.decode())

    def killed(self, told: int, after_s: float) -> Ended:
        """A run that is killed so many seconds after it has told so many states, unless it has ended by then."""
        with self.started() as command:
            first = first_positions(command, told)
            with suppress(subprocess.TimeoutExpired):
                command.wait(after_s)
            command.kill()
            out, err = command.communicate()
        return Ended(command.returncode, [*first, *positions(out.splitlines())], err.decode())

    def complete(self) -> Ended:
        """A run that isn't disturbed, after which the source is loaded and nothing is left behind."""
        ended = self.run()
        assert ended.code == 0, ended.stderr
        self.require_truth(ended.told)
        self.require_whole()
        return ended

    def recover(self) -> None:
        """Do what a run begins with."""
        self._law.recover(self._source)

    def require_truth(self, told: Iterable[int], *, was_interrupted: bool = False) -> None:
        """Raise unless what is visible is what the remembered state covers; `told` are all states told so far."""
        self._law.require_truth(self._source, [*told], was_interrupted=was_interrupted)

    def require_whole(self) -> None:
        """Raise unless the source is loaded, and nothing else is left behind."""
        self._law.require_whole(self._source, self.position())
        self._law.require_nothing_left()

    def position(self) -> int:
        """The position that the place remembers."""
        return self._law.position(self._source)

    def instants(self, seed: int) -> Instants:
        """Random instants for `killed`, as they suit a run over the source, which is loaded for that."""
        started_s = time.monotonic()
        with self.started() as command:
            times_s = [time.monotonic() - started_s for _ in iter(command.stdout.readline, b"")]
            _, err = command.communicate()
        assert command.returncode == 0, err.decode()
        first_s, between_s = times_s[0], (times_s[-1] - times_s[0]) / max(1, len(times_s) - 1)
        return Instants(first_s / 2, first_s, between_s, random.Random(seed))


def first_positions(command: Command, states: int) -> list[int]:
    """The positions in the next states that a command tells: so many, or fewer where it ends."""
    return positions(line for _ in range(states) if (line := command.stdout.readline()))


def positions(lines: Iterable[bytes]) -> list[int]:
    """The positions in states that were told."""
    return [json.loads(line)["position"] for line in lines]
