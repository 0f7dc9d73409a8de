"""Shapes of input, side by side in one run: `python bench/shapes.py [CASE...]` measures those cases, or all.

The CPU seconds of a load, without those of a load of nothing, are compared with a load of the same records grouped by
stream with one STATE at the end. `--write` puts the tables into bench/RESULTS.md. What is measured is the tailrace that
Python finds, so another checkout's with PYTHONPATH.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loaders import ROOT, WORK, make
from measure import Outcome, cpu_s_of, in_rounds, measured, seconds_of
from results import write
from shaped import SHAPES

RECORDS = 300_000
ROUNDS, START_ROUNDS = 9, 21
CLI = [sys.executable, "-c", "from tailrace.cli import main; main()"]
IMPORTS = "import sys, pyarrow, duckdb, msgspec; duckdb.connect(sys.argv[1])"

FEW_RECORDS, FEW_STREAMS = 5, (100, 500)
FEW_MOST_S, FEW_MOST_TIMES = 1.5, 5.0
MANY_STREAMS, MANY_RECORDS, MANY_MOST_TIMES = 2000, 50, 3.0
START_MOST_TIMES = 1.6

Measure = Callable[[], Outcome]


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder for inputs and what is loaded, and how many records and rounds there are."""

    folder: Path
    records: int
    rounds: int

    def input(self, name: str, records: int) -> Path:
        """The file of an input, made by a process of its own."""
        path = self.folder / f"{name}-{records}.singer"
        make(path, lambda part: ["shaped.py", name, str(part), str(records)])
        return path

    def load(self, name: str, records: int, rows: int, settings: Sequence[str] = (), scheme: str = "duckdb") -> Measure:
        """A load of an input into a new file."""
        path = self.input(name, records)

        def measure() -> Outcome:
            with tempfile.TemporaryDirectory(dir=self.folder) as out:
                return loaded(f"{name} into {scheme}", path, f"{scheme}:///{out}/out.{scheme}", rows, settings)

        return measure


def loaded(name: str, path: Path, address: str, rows: int, settings: Sequence[str] = ()) -> Outcome:
    """Measure a load into an address that is new, and count the rows; raises SystemExit where it fails."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        words = [word for setting in settings for word in ("--set", setting)]
        took = measured([*CLI, "load", "--to", address, *words], path, Path(folder))
        if took.exit_code != 0:
            raise SystemExit(f"{name} failed:\n{took.said}")
        script = [sys.executable, str(ROOT / "bench/counted.py"), address]
        left = int(subprocess.run(script, stdout=subprocess.PIPE, check=True).stdout)
    wrong = "" if left == rows else f"  ! left {left:,} rows, not {rows:,}"
    print(f"  {name:40} {took.cpu_s:7.2f} s of CPU {took.seconds:7.2f} s {took.peak_mib:6.0f} MiB{wrong}", flush=True)
    return Outcome(took, left, rows)


def by_cpu(bench: Bench, cases: Sequence[str]) -> list[str]:
    """The Markdown table of shapes by the records that they load in a second of CPU."""
    measures = {"empty": bench.load("empty", 0, 0)}
    for name in dict.fromkeys(name for case in cases for name in (SHAPES[case].plain, case)):
        shape = SHAPES[name]
        measures[name] = bench.load(name, bench.records, shape.rows(bench.records), shape.settings)
    outcomes = in_rounds(measures, bench.rounds, cpu_s_of)
    start_s = cpu_s_of(outcomes["empty"])
    speeds = {name: bench.records / max(cpu_s_of(one) - start_s, 1e-3) for name, one in outcomes.items()}
    lines = ["| shape | records/s of CPU | of plain | ratio | wanted | |", "|---|---:|---:|---:|---:|---|"]
    for name in (name for name in measures if name in SHAPES):
        shape, speed = SHAPES[name], speeds[name]
        ratio, plain = speed / speeds[shape.plain], speeds[shape.plain]
        figures = f"{speed:,.0f} | {plain:,.0f} | {ratio:.2f} | {shape.wanted or ''}"
        is_fast = shape.wanted is None or ratio >= shape.wanted
        lines.append(f"| {name} | {figures} | {verdict(outcomes[name], is_good=is_fast)} |")
    return [f"A load of nothing takes {start_s:.2f} s of CPU.", "", *lines, ""]


def verdict(outcome: Outcome, *, is_good: bool) -> str:
    """Whether the rows are right, and the figure as good as wanted."""
    if not outcome.is_right:
        return f"left {outcome.rows:,} rows, not {outcome.wanted:,}"
    return "" if is_good else "not yet"


def few(bench: Bench) -> list[str]:
    """The Markdown table of many streams with few records: seconds over those of a load of nothing."""
    measures = {"empty": bench.load("empty", 0, 0)}
    for streams in FEW_STREAMS:
        measures[f"few-{streams}"] = bench.load(f"few-{streams}", streams * FEW_RECORDS, streams * FEW_RECORDS)
    outcomes = in_rounds(measures, bench.rounds)
    over_s = {name: seconds_of(one) - seconds_of(outcomes["empty"]) for name, one in outcomes.items()}
    hundred, more = (f"few-{streams}" for streams in FEW_STREAMS)
    wanted_s = {hundred: FEW_MOST_S, more: FEW_MOST_TIMES * over_s[hundred]}
    lines = [f"| streams of {FEW_RECORDS} records | seconds over the start | wanted at most | |", "|---|---:|---:|---|"]
    for name, most_s in wanted_s.items():
        told = verdict(outcomes[name], is_good=over_s[name] <= most_s)
        lines.append(f"| {name} | {over_s[name]:.2f} | {most_s:.2f} | {told} |")
    return [*lines, ""]


def many(bench: Bench) -> list[str]:
    """The Markdown table of two thousand streams in turns, into DuckDB and into SQLite."""
    records = MANY_STREAMS * MANY_RECORDS
    name = f"turns-{MANY_STREAMS}"
    measures = {scheme: bench.load(name, records, records, scheme=scheme) for scheme in ("sqlite", "duckdb")}
    outcomes = in_rounds(measures, bench.rounds)
    least_s = seconds_of(outcomes["sqlite"])
    lines = [f"| {name} into | seconds | times SQLite's | wanted at most | |", "|---|---:|---:|---:|---|"]
    for scheme, outcome in outcomes.items():
        times = seconds_of(outcome) / least_s
        most, is_good = ("", True) if scheme == "sqlite" else (MANY_MOST_TIMES, times <= MANY_MOST_TIMES)
        told = verdict(outcome, is_good=is_good)
        lines.append(f"| {scheme} | {seconds_of(outcome):.2f} | {times:.2f} | {most} | {told} |")
    return [*lines, ""]


def start(bench: Bench) -> list[str]:
    """The Markdown table of a load of nothing beside Python with the libraries that any load needs."""

    def imports() -> Outcome:
        with tempfile.TemporaryDirectory(dir=bench.folder) as out:
            words = [sys.executable, "-c", IMPORTS, f"{out}/out.duckdb"]
            return Outcome(measured(words, None, Path(out)), 0, 0)

    measures = {"imports": imports, "empty": bench.load("empty", 0, 0)}
    outcomes = in_rounds(measures, max(bench.rounds, START_ROUNDS))
    lines = [
        "| start | seconds | CPU seconds | times the imports | wanted at most | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, outcome in outcomes.items():
        times = seconds_of(outcome) / seconds_of(outcomes["imports"])
        most, is_good = ("", True) if name == "imports" else (START_MOST_TIMES, times <= START_MOST_TIMES)
        figures = f"{seconds_of(outcome):.3f} | {cpu_s_of(outcome):.3f} | {times:.2f} | {most}"
        lines.append(f"| {name} | {figures} | {verdict(outcome, is_good=is_good)} |")
    return [*lines, ""]


OTHERS = {"few": few, "many": many, "start": start}
CASES = [*SHAPES, *OTHERS]


def tables(bench: Bench, cases: Sequence[str]) -> list[str]:
    """The section with the tables of the cases."""
    about = (
        f"{bench.records:,} records of 5 columns into a new DuckDB file; the median of {bench.rounds} rounds, all in "
        f"turns (of {START_ROUNDS} for the start). Plain is the same records grouped by stream with one STATE at the "
        "end, and CPU seconds are those of the process without those of a load of nothing. "
        "Modules are compiled before the clock starts, as pip does; where nothing may be kept, a start takes longer."
    )
    lines = ["## Shapes of input", "", about, ""]
    if shapes := [case for case in cases if case in SHAPES]:
        lines += by_cpu(bench, shapes)
    for name, of_case in OTHERS.items():
        if name in cases:
            lines += of_case(bench)
    return lines


def whose() -> str:
    """Where the tailrace is that is measured; its path is made to hold in every folder."""
    paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    spec = importlib.util.find_spec("tailrace")
    return str(spec.origin) if spec else "none"


def measured_tables(most: int = RECORDS, rounds: int = ROUNDS, cases: Sequence[str] = ()) -> list[str]:
    """The section with the tables of the cases, or of all, for inputs of at most that many records."""
    WORK.mkdir(parents=True, exist_ok=True)
    print(f"shapes of input into {whose()}", flush=True)
    with tempfile.TemporaryDirectory(dir=WORK, prefix="shapes-") as folder:
        return tables(Bench(Path(folder), min(RECORDS, most), rounds), cases or CASES)


def main() -> None:
    """Measure the cases, print their tables, and write them where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"one of {', '.join(CASES)}")
    parser.add_argument("--records", type=int, default=RECORDS, help="the most records that an input of a shape has")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true", help="put all cases' tables into bench/RESULTS.md")
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no such cases: {', '.join(sorted(unknown))}")
    if asked.write and asked.cases:
        parser.error("--write is for all cases")
    lines = measured_tables(asked.records, asked.rounds, asked.cases)
    if asked.write:
        write(lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
