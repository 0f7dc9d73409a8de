"""The benchmark: tailrace and others load the same bytes, side by side in one run; results in bench/RESULTS.md.

`python bench/run.py` measures everything; `--only flights` one input; `--skip dlt` leaves a loader out.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb
from measure import Measured, measured

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".work" / "bench"
RIVALS = ROOT / ".work" / "rivals"
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Input:
    """A Singer file, and what a right load of it looks like."""

    name: str
    about: str
    stream: str
    records: int
    rows: int
    key: str | None

    @property
    def path(self) -> Path:
        """Where the file is, once it is made."""
        return WORK / f"{self.name}.singer"

    def make(self) -> None:
        """Write the file, unless it is there; in a process of its own, whose memory isn't counted as a loader's."""
        if not self.path.exists():
            command = [sys.executable, str(ROOT / "bench/inputs.py"), self.stream, str(self.path), str(self.records)]
            subprocess.run(command, check=True)


INPUTS = [
    Input("flights", "19 columns, append-only", "flights", 1_010_328, 1_010_328, None),
    Input("events", "nested, append-only", "events", 200_000, 200_000, None),
    Input("accounts", "upsert over 100,000 keys", "accounts", 500_000, 100_000, "id"),
]
MEMORY_RECORDS = (100_000, 1_000_000, 3_000_000)


def tailrace(of: Input, folder: Path) -> tuple[list[str], Path | None]:
    """tailrace, at default settings."""
    return [str(BIN / "tailrace"), "load", "--to", f"duckdb:///{folder / 'out.duckdb'}"], of.path


def target_duckdb(of: Input, folder: Path) -> tuple[list[str], Path | None]:
    """PyPI's target-duckdb, at default settings."""
    config = {"filepath": str(folder / "out.duckdb"), "default_target_schema": "main"}
    (folder / "config.json").write_text(json.dumps(config | {"primary_key_required": of.key is not None}))
    return [str(RIVALS / "target-duckdb/bin/target-duckdb"), "--config", "config.json"], of.path


def target_jsonl(of: Input, folder: Path) -> tuple[list[str], Path | None]:
    """PyPI's target-jsonl, which writes the records to a file."""
    (folder / "config.json").write_text(json.dumps({"destination_path": str(folder)}))
    return [str(RIVALS / "target-jsonl/bin/target-jsonl"), "--config", "config.json"], of.path


def dlt(of: Input, folder: Path) -> tuple[list[str], Path | None]:
    """dlt, with a resource that yields the records."""
    script = str(ROOT / "bench/rivals/load_with_dlt.py")
    key = [of.key] if of.key else []
    return [str(RIVALS / "dlt/bin/python"), script, str(of.path), str(folder / "out.duckdb"), of.stream, *key], None


def read_json(of: Input, folder: Path) -> tuple[list[str], Path | None]:
    """DuckDB reading the file itself: no states, no checks."""
    script = str(ROOT / "bench/rivals/read_json.py")
    key = [of.key] if of.key else []
    return [sys.executable, script, str(of.path), str(folder / "out.duckdb"), of.stream, *key], None


LOADERS = {
    "tailrace": tailrace,
    "target-duckdb": target_duckdb,
    "target-jsonl": target_jsonl,
    "dlt": dlt,
    "DuckDB read_json": read_json,
}


def rows_in(folder: Path, stream: str) -> int:
    """How many rows or lines a loader has left behind."""
    lines = list(folder.glob("*.jsonl"))
    if lines:
        with lines[0].open("rb") as file:
            return sum(1 for _ in file)
    with duckdb.connect(str(folder / "out.duckdb"), read_only=True) as connection:
        return connection.execute(f"SELECT count(*) FROM main.{stream}").fetchone()[0]


def run(name: str, of: Input) -> Measured:
    """Measure one loader on one input, in a fresh folder, and check that it loaded everything."""
    folder = WORK / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command, stdin = LOADERS[name](of, folder)
    result = measured(command, stdin, folder)
    if result.exit_code != 0:
        raise SystemExit(f"{name} on {of.name} failed:\n{result.said}")
    rows, wanted = rows_in(folder, of.stream), of.records if name == "target-jsonl" else of.rows
    if rows != wanted:
        print(f"  ! {name} left {rows:,} rows, not {wanted:,}", flush=True)
    shutil.rmtree(folder)
    print(f"  {name:17} {of.records / result.seconds:12,.0f} records/s {result.peak_mib:8.0f} MiB", flush=True)
    return result


def comparison(of: Input, skip: set[str]) -> list[str]:
    """The Markdown table of all loaders on one input."""
    print(f"{of.name}: {of.records:,} records, {of.about}", flush=True)
    of.make()
    results = {name: run(name, of) for name in LOADERS if name not in skip}
    ours = results["tailrace"].seconds
    size = of.path.stat().st_size / 2**20
    lines = [
        f"## {of.name}: {of.records:,} records, {size:,.0f} MiB, {of.about}",
        "",
        "| loader | records/s | seconds | CPU seconds | peak MiB | tailrace is |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, r in results.items():
        ratio = "" if name == "tailrace" else f"{r.seconds / ours:.1f} times as fast"
        figures = f"{of.records / r.seconds:,.0f} | {r.seconds:.1f} | {r.cpu_s:.1f} | {r.peak_mib:.0f}"
        lines.append(f"| {name} | {figures} | {ratio} |")
    return [*lines, ""]


def memory() -> list[str]:
    """The Markdown table of tailrace's peak memory as the input grows."""
    lines = ["## Memory: tailrace at default settings", "", "| flights | peak MiB | records/s |", "|---:|---:|---:|"]
    for records in MEMORY_RECORDS:
        of = Input(f"flights-{records}", "memory", "flights", records, records, None)
        of.make()
        result = run("tailrace", of)
        lines.append(f"| {records:,} | {result.peak_mib:.0f} | {records / result.seconds:,.0f} |")
        of.path.unlink()
    return [*lines, ""]


def machine() -> str:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    cores = cpuinfo.count("processor\t:")
    model = next((line.split(":")[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), "?")
    ours = ", ".join(f"{name} {version(name)}" for name in ("tailrace", "duckdb", "pyarrow", "msgspec"))
    theirs = ", ".join(
        line
        for path in sorted((ROOT / "bench/rivals").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(path.stem + "==")
    )
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores ({model}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; {ours}; {theirs}."
    )


def main() -> None:
    """Measure, and write bench/RESULTS.md when everything was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[of.name for of in INPUTS] + ["memory"])
    parser.add_argument("--skip", action="append", default=[], choices=list(LOADERS))
    wanted = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    lines = ["# Results of `make bench`", "", machine(), "", "Every figure of a table comes from one run.", ""]
    for of in INPUTS:
        if wanted.only in (None, of.name):
            lines += comparison(of, set(wanted.skip))
    if wanted.only in (None, "memory"):
        lines += memory()
    text = "\n".join(lines)
    if wanted.only is None and not wanted.skip:
        (ROOT / "bench/RESULTS.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
