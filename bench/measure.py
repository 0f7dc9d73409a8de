"""One measured run of a command: seconds, CPU seconds and peak memory, as the kernel counts them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

QUICK_S = 20.0
ROUNDS = 5
QUICK = f"What takes less than {QUICK_S:.0f} seconds is the median of {ROUNDS} rounds, by turns"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command took. `peak_mib` is the largest resident set of its process."""

    seconds: float
    cpu_s: float
    peak_mib: float
    exit_code: int
    said: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A loader's measurements, how many rows it left behind, and how many are right."""

    measured: Measured
    rows: int
    wanted: int

    @property
    def is_right(self) -> bool:
        """Whether the number of rows is right."""
        return self.rows == self.wanted


def seconds_of(outcome: Outcome) -> float:
    """Its seconds on the clock."""
    return outcome.measured.seconds


def cpu_s_of(outcome: Outcome) -> float:
    """Its seconds on the processors."""
    return outcome.measured.cpu_s


def in_rounds(
    measures: Mapping[str, Callable[[], Outcome]],
    rounds: int = ROUNDS,
    cost: Callable[[Outcome], float] = seconds_of,
) -> dict[str, Outcome]:
    """Each outcome. Quick measurements are repeated in several rounds, by turns, and the median by cost counts.

    A loader that once leaves wrong rows is known by that outcome.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for _ in range(rounds):
        for name, measure in measures.items():
            before = outcomes.setdefault(name, [])
            if all(outcome.measured.seconds < QUICK_S for outcome in before):
                before.append(measure())
    return {name: _typical(several, cost) for name, several in outcomes.items()}


def _typical(outcomes: Sequence[Outcome], cost: Callable[[Outcome], float]) -> Outcome:
    wrong = [outcome for outcome in outcomes if not outcome.is_right]
    return wrong[0] if wrong else sorted(outcomes, key=cost)[len(outcomes) // 2]


def _end_of(said: Path) -> str:
    """The last of what a command has said; a long text isn't read whole, since its memory would count for the next."""
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - 2000))
        return file.read().decode(errors="replace")


def measured(command: list[str], stdin: Path | None, folder: Path, timeout_s: float = 1800) -> Measured:
    """Run a command to its end in a folder, with a file as its input. What Python compiles is kept, as ever.

    What others have written goes to the disk first, or it would have to when this one waits for what it commits.
    """
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    said = folder / "stderr.txt"
    with (stdin or Path(os.devnull)).open("rb") as source, said.open("wb") as errors:
        os.sync()
        started_s = time.monotonic()
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.DEVNULL, stderr=errors, cwd=folder, env=environ
        )
        deadline_s = started_s + timeout_s
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline_s:
                process.kill()
            time.sleep(0.005)
        seconds = time.monotonic() - started_s
        process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(
        seconds=seconds,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
        exit_code=process.returncode,
        said=_end_of(said),
    )
