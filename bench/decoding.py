"""How fast JSON lines become columns: tailrace, others who read them, and parsers that make no columns, in one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from loaders import ROOT, WORK, Input, right
from measure import ROUNDS, Outcome, in_rounds, measured

INPUTS = [Input("flights", "19 columns", 336_776), Input("events", "nested", 200_000)]
TO_FILES = [Input("flights", "19 columns", 1_010_328), Input("events", "nested", 200_000)]
FEWER = 50_000
"""The records that slow contenders get."""
REFUSED_EVERY = {0: "none", 100: "1 in 100", 10: "1 in 10", 1: "all"}

CONTENDERS = str(ROOT / "bench/contenders.py")
WITHOUT_NATIVE = "import sys; sys.modules['tailrace_native'] = None; import contenders; contenders.main()"
ALONE, THREADS = "tailrace, the decoder alone", "two threads"

Command = Callable[[Input], list[str]]


@dataclass(frozen=True, slots=True)
class Contender:
    """How to run a contender, and what it makes of JSON lines."""

    command: Command
    makes: str
    most: int = sys.maxsize

    def given(self, of: Input) -> Input:
        """The input, or the part of it that the contender gets; makes the file."""
        return shortened([of], self.most)[0]


def python(name: str, of: Input, refused_every: int = 0, start: tuple[str, ...] = (CONTENDERS,)) -> list[str]:
    """One of contenders.py."""
    return [sys.executable, *start, name, str(of.path), str(WORK / "out.parquet"), str(refused_every)]


def without_native(name: str, of: Input) -> list[str]:
    """One of contenders.py, with the package tailrace-native hidden."""
    return python(name, of, start=("-c", WITHOUT_NATIVE))


def rust(name: str, of: Input) -> list[str]:
    """One of native/bench."""
    return [parsers(), str(of.path), plan(of), name]


@cache
def plan(of: Input) -> str:
    """A file with the plan of the input's stream."""
    path = WORK / f"{of.name}.plan"
    subprocess.run(
        [sys.executable, CONTENDERS, "plan", str(of.path), str(path), "0"], stderr=subprocess.DEVNULL, check=True
    )
    return str(path)


@cache
def parsers() -> str:
    """The compiled program of native/bench."""
    words = ["cargo", "build", "--release", "--message-format=json"]
    said = subprocess.run(words, cwd=ROOT / "native/bench", stdout=subprocess.PIPE, text=True, check=True).stdout
    built = [json.loads(line) for line in said.splitlines()]
    return next(one["executable"] for one in built if one.get("target", {}).get("name") == "parsers")


READERS = {
    "tailrace, reader and decoder": Contender(partial(python, "tailrace"), "Arrow"),
    ALONE: Contender(partial(python, "alone"), "Arrow"),
    "tailrace, the decoder without Python": Contender(partial(rust, "decode"), "Arrow"),
    "tailrace without tailrace-native": Contender(partial(without_native, "tailrace"), "Arrow", FEWER),
    "tailrace, the reference": Contender(partial(python, "reference"), "Arrow", FEWER),
    "DuckDB read_json": Contender(partial(python, "read_json"), "a table"),
    "pyarrow.json": Contender(partial(python, "pyarrow"), "Arrow"),
    "Polars read_ndjson": Contender(partial(python, "polars"), "a frame"),
    "simd-json": Contender(partial(rust, "simd-json"), "a tape"),
    "sonic-rs": Contender(partial(rust, "sonic-rs"), "nothing"),
    "serde_json": Contender(partial(rust, "serde_json"), "nothing"),
}
WRITERS = {
    "tailrace, and pyarrow's writer": Contender(partial(python, "tailrace-parquet"), "Parquet"),
    "DuckDB read_json, and COPY": Contender(partial(python, "read_json-parquet"), "Parquet"),
}
TWO_THREADS = Contender(partial(python, "two-threads"), "Arrow")


def read(name: str, contender: Contender, of: Input, *, threads: int = 1) -> Outcome:
    """Measure one contender: its own seconds, in one core if it has one thread."""
    one_core = ["taskset", "-c", str(max(os.sched_getaffinity(0)))] if threads == 1 else []
    settings = ["env", f"PYTHONPATH={ROOT / 'bench'}", f"POLARS_MAX_THREADS={threads}"]
    result = right(name, of, measured([*one_core, *settings, *contender.command(of)], None, WORK))
    seconds, cpu_s, records = result.said.split()[-3:]
    outcome = Outcome(replace(result, seconds=float(seconds), cpu_s=float(cpu_s)), int(records), threads * of.records)
    print(f"  {name:38} {outcome.measured.cpu_s:7.3f} s {outcome.rows:11,} records", flush=True)
    return outcome


def outcomes(contenders: Mapping[str, Contender], of: Input) -> dict[str, Outcome]:
    """Measure all contenders on the input, or the part that they get, in rounds."""
    print(of.title, flush=True)
    return in_rounds({name: partial(read, name, one, one.given(of)) for name, one in contenders.items()})


def mb_s(of: Input, outcome: Outcome) -> float:
    """Megabytes of input per CPU second."""
    return of.path.stat().st_size / 1e6 / outcome.measured.cpu_s


def table(contenders: Mapping[str, Contender], of: Input, found: dict[str, Outcome]) -> list[str]:
    """The Markdown table of all contenders on one input, tailrace first."""
    lines = ["| | makes | MB/s | records/s | tailrace is |", "|---|---|---:|---:|---:|"]
    ours, *_ = found.values()
    for name, outcome in found.items():
        part = contenders[name].given(of)
        who = f"{name} ({part.records:,} records) " if part != of else f"{name} "
        figures = f"{mb_s(part, outcome):,.0f} | {part.records / outcome.measured.cpu_s:,.0f}"
        if not outcome.is_right:
            figures = f"read {outcome.rows:,} records, not {outcome.wanted:,} |"
        is_beside = outcome.is_right and ours.is_right and outcome is not ours
        ratio = f"{mb_s(of, ours) / mb_s(part, outcome):.2f} times as fast" if is_beside else ""
        lines.append(f"| {who}| {contenders[name].makes} | {figures} | {ratio} |")
    return [*lines, ""]


def in_two_threads(of: Input) -> str:
    """A sentence comparing two decoding threads, each with its own runs, with one."""
    found = in_rounds(
        {
            ALONE: partial(read, ALONE, READERS[ALONE], of),
            THREADS: partial(read, THREADS, TWO_THREADS, of, threads=2),
        }
    )
    if not all(outcome.is_right for outcome in found.values()):
        return f"Two threads read a wrong number of {of.stream}."
    ratio = 2 * found[ALONE].measured.seconds / found[THREADS].measured.seconds
    return f"Two threads on two cores decode {ratio:.2f} times as many {of.stream} in a second as one does."


def in_doubt(of: Input) -> list[str]:
    """The Markdown table of what refused records cost, since the reference decodes their lines."""
    names = {ALONE: "alone", "tailrace, the reference": "reference"}
    measures = {
        f"{name}, {share} refused": partial(
            read, f"{name}, {share} refused", Contender(partial(python, script, refused_every=every), "Arrow"), of
        )
        for every, share in REFUSED_EVERY.items()
        for name, script in names.items()
    }
    print(f"Refused records, {of.title}", flush=True)
    found = in_rounds(measures)
    lines = [f"| refused | {' | '.join(names)} |", "|---|---:|---:|"]
    for share in REFUSED_EVERY.values():
        speeds = [_speed(of, found[f"{name}, {share} refused"]) for name in names]
        lines.append(f"| {share} | {' | '.join(speeds)} |")
    return [*lines, ""]


def _speed(of: Input, outcome: Outcome) -> str:
    return f"{mb_s(of, outcome):,.0f}" if outcome.is_right else f"read {outcome.rows:,} records"


def versions() -> str:
    """The versions of the parsers in Rust."""
    pinned = tomllib.loads((ROOT / "native/bench/Cargo.toml").read_text(encoding="utf-8"))["dependencies"]
    return ", ".join(f"{name} {pinned[name].lstrip('=')}" for name in ("simd-json", "sonic-rs", "serde_json"))


def shortened(inputs: Sequence[Input], most: int) -> list[Input]:
    """The inputs, of at most that many records; makes their files."""
    parts = [replace(of, records=min(of.records, most)) for of in inputs]
    for part in parts:
        part.make()
    return parts


def tables(most: int) -> list[str]:
    """All tables of this part, for inputs of at most that many records."""
    about = (
        "MB are 10^6 bytes of the file, and seconds are the processor's, of one core and one thread: the median of "
        f"{ROUNDS} rounds, all in turns, each the second time in its process. What makes a tape or nothing only parses "
        f"({versions()})."
    )
    lines = ["## Decoding", "", about, ""]
    for of in shortened(INPUTS, most):
        found = outcomes(READERS, of)
        lines += [f"### Decoding {of.title}", "", *table(READERS, of, found), in_two_threads(of), ""]
    for of in shortened(TO_FILES, most):
        lines += [f"### To Parquet, {of.title}", "", *table(WRITERS, of, outcomes(WRITERS, of))]
    for of in shortened(INPUTS[:1], min(FEWER, most)):
        lines += [f"### Refused records, in MB/s: {of.title}", "", *in_doubt(of)]
    return lines
