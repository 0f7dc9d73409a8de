"""Measurements as text: printed at once, as Markdown tables, and as sections of bench/RESULTS.md."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from loaders import ROOT, Input
from measure import Outcome
from servers import PROGRAMS

RESULTS = ROOT / "bench/RESULTS.md"

COLUMNS = [
    "| loader | records/s | seconds | CPU seconds | peak MiB | tailrace is |",
    "|---|---:|---:|---:|---:|---:|",
]


def aloud(name: str, of: Input, measure: Callable[[], Outcome]) -> Callable[[], Outcome]:
    """A measure that prints its outcome."""

    def told() -> Outcome:
        outcome = measure()
        took, wrong = outcome.measured, "" if outcome.is_right else f"  ! {_wrong(outcome)}"
        speed = f"{took.seconds:7.2f} s {of.records / took.seconds:11,.0f} records/s"
        print(f"  {name:38} {speed} {took.peak_mib:6.0f} MiB{wrong}", flush=True)
        return outcome

    return told


def table(of: Input, outcomes: dict[str, Outcome]) -> list[str]:
    """The Markdown table of all loaders on one input; a loader with wrong rows has no speed."""
    tailrace = outcomes.get("tailrace")
    ours = tailrace.measured.seconds if tailrace and tailrace.is_right else None
    lines = [*COLUMNS]
    for name, outcome in outcomes.items():
        took = outcome.measured
        ratio = "" if ours is None or name == "tailrace" else f"{took.seconds / ours:.1f} times as fast"
        figures = f"{of.records / took.seconds:,.0f} | {took.seconds:.1f} | {took.cpu_s:.1f} | {took.peak_mib:.0f}"
        lines.append(f"| {name} | {figures} | {ratio} |" if outcome.is_right else f"| {name} | {_wrong(outcome)} |||||")
    return [*lines, ""]


def _wrong(outcome: Outcome) -> str:
    return f"left {outcome.rows:,} rows, not {outcome.wanted:,}"


def replaced(text: str, lines: Sequence[str], measured_on: str) -> str:
    """The text with these sections, which replace its own of the same names, or else come last."""
    sections = dict(_sections(text))
    for name, section in _sections("\n".join(lines)):
        title, _, rest = section.partition("\n")
        sections[name] = f"{title}\n\nMeasured by itself: {measured_on}\n{rest}" if name else sections[name]
    return "\n\n".join(section.strip("\n") for section in sections.values()) + "\n"


def _sections(text: str) -> list[tuple[str, str]]:
    """The sections of the text by name, which is the title up to a colon."""
    parts = ("\n" + text).split("\n## ")
    named = [(part.partition("\n")[0].partition(":")[0], f"## {part}") for part in parts[1:]]
    return [("", parts[0]), *named]


def write(lines: Sequence[str]) -> None:
    """Put these sections into bench/RESULTS.md, with where they were measured."""
    RESULTS.write_text(replaced(RESULTS.read_text(encoding="utf-8"), lines, machine()), encoding="utf-8")


def machine() -> str:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    cores = cpuinfo.count("processor\t:")
    model = next((line.split(":")[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), "?")
    packages = ("tailrace", "duckdb", "pyarrow", "deltalake", "polars", "msgspec", "psycopg", "mysql-connector-python")
    ours = ", ".join(f"{name} {version(name)}" for name in packages)
    theirs = ", ".join(
        line
        for path in sorted((ROOT / "bench/rivals").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(path.stem + "==")
    )
    programs = ", ".join(f"{name} {_version(program)}" for name, program in PROGRAMS.items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores ({model}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; {ours}; {programs}; {theirs}."
    )


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return next(iter(re.findall(r"\d+\.[\d.]+", said)), "?")
