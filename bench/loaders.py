"""The benchmark's inputs, and the loaders that load them into files: the command of each, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measure import Measured

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".work" / "bench"
RIVALS = ROOT / ".work" / "rivals"
TAILRACE = RIVALS / "tailrace/bin"
KEYS = 100_000

Command = tuple[list[str], Path | None]
"""A command's arguments, and its stdin file."""


@dataclass(frozen=True, slots=True)
class Input:
    """A Singer file, and what a right load of it looks like."""

    stream: str
    about: str
    records: int
    key: str | None = None

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.stream}-{self.records}"

    @property
    def rows(self) -> int:
        """How many rows its table has after a load."""
        return self.records if self.key is None else min(self.records, KEYS)

    @property
    def path(self) -> Path:
        """The path of the file."""
        return WORK / f"{self.name}.singer"

    @property
    def title(self) -> str:
        """What it is, as the title of a table."""
        size = self.path.stat().st_size / 2**20
        return f"{self.stream}: {self.records:,} records, {size:,.0f} MiB, {self.about}"

    def make(self) -> None:
        """Write the file unless it exists."""
        make(self.path, lambda path: ["inputs.py", self.stream, str(path), str(self.records)])


def make(path: Path, script: Callable[[Path], list[str]]) -> None:
    """Write a file by a script unless it exists, in a process of its own so that its memory isn't counted."""
    if not path.exists():
        part = path.with_suffix(".part")
        name, *words = script(part)
        subprocess.run([sys.executable, str(ROOT / "bench" / name), *words], check=True)
        part.rename(path)


def tailrace(of: Input, folder: Path) -> Command:
    """tailrace, at default settings."""
    return [str(TAILRACE / "tailrace"), "load", "--to", f"duckdb:///{folder / 'out.duckdb'}"], of.path


def target_duckdb(of: Input, folder: Path) -> Command:
    """PyPI's target-duckdb, at default settings."""
    config = {"filepath": str(folder / "out.duckdb"), "default_target_schema": "main"}
    (folder / "config.json").write_text(json.dumps(config | {"primary_key_required": of.key is not None}))
    return [str(RIVALS / "target-duckdb/bin/target-duckdb"), "--config", "config.json"], of.path


def target_jsonl(of: Input, folder: Path) -> Command:
    """PyPI's target-jsonl, which writes the records to a file."""
    (folder / "config.json").write_text(json.dumps({"destination_path": str(folder)}))
    return [str(RIVALS / "target-jsonl/bin/target-jsonl"), "--config", "config.json"], of.path


def dlt(of: Input, folder: Path) -> Command:
    """dlt, with a resource that yields the records."""
    return dlt_into(str(folder / "out.duckdb"), of)


def dlt_into(database: str, of: Input) -> Command:
    """dlt, into a file, a server's database or a folder."""
    script = str(ROOT / "bench/rivals/load_with_dlt.py")
    key = [of.key] if of.key else []
    return [str(RIVALS / "dlt/bin/python"), script, str(of.path), database, of.stream, *key], None


def read_json(of: Input, folder: Path) -> Command:
    """DuckDB reading the file itself: no states, no checks."""
    return read_json_into(folder / "out.duckdb", of)


def read_json_into(output: Path, of: Input) -> Command:
    """The same, into its own file or one of Parquet."""
    script = str(ROOT / "bench/rivals/read_json.py")
    key = [of.key] if of.key else []
    return [sys.executable, script, str(of.path), str(output), of.stream, *key], None


LOADERS = {
    "tailrace": tailrace,
    "target-duckdb": target_duckdb,
    "target-jsonl": target_jsonl,
    "dlt": dlt,
    "DuckDB read_json": read_json,
}


def right(name: str, of: Input, result: Measured) -> Measured:
    """The result of a command that didn't fail."""
    if result.exit_code != 0:
        raise SystemExit(f"{name} on {of.name} failed:\n{result.said}")
    return result


def rows_in(folder: Path, stream: str) -> int:
    """How many rows or lines a loader has left behind."""
    lines = list(folder.glob("*.jsonl"))
    if lines:
        with lines[0].open("rb") as file:
            return sum(1 for _ in file)
    count = f"duckdb.connect('out.duckdb', read_only=True).execute('SELECT count(*) FROM main.{stream}').fetchone()[0]"
    words = [sys.executable, "-c", f"import duckdb; print({count})"]
    return int(subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout)
