"""The loaders into files and lakes: the command of each, and the rows and types that it leaves behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from decoding import shortened
from loaders import RIVALS, ROOT, TAILRACE, WORK, Command, Input, dlt_into, make, read_json_into, right, target_jsonl
from measure import QUICK, Outcome, in_rounds, measured
from results import aloud, table
from servers import DECODING, STARTING, decode, schema_of

INPUTS = [Input("flights", "19 columns, append-only", 1_010_328)]
PARTITION_BY, PARTITIONS = "hour", 20
"""A column of the flights, and how many values it has."""
MEMORY_RECORDS = (100_000, 1_000_000, 3_000_000)
READY = {"pyarrow, of a ready table", "deltalake, of a ready table"}
"""The loaders that get the rows as an Arrow table in memory and only write."""

LakeLoader = Callable[[Input, Path], Command]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of lake: its address for tailrace, its loaders, and the one of them that is the limit."""

    name: str
    scheme: str
    loaders: dict[str, LakeLoader]
    limit: str


@dataclass(frozen=True, slots=True)
class Left:
    """What a loader left behind: rows, MiB of files, number of folders, and a description."""

    rows: int
    mib: float
    partitions: int
    about: str


def tailrace(scheme: str, of: Input, folder: Path, *, partitioned: bool = False) -> Command:
    """tailrace, at default settings."""
    settings = ["--set", f'partition_keys=["{PARTITION_BY}"]'] if partitioned else []
    return [str(TAILRACE / "tailrace"), "load", "--to", f"{scheme}://{folder}", *settings], of.path


def target_parquet(of: Input, folder: Path) -> Command:
    """PyPI's target-parquet, at default settings except for telemetry."""
    (folder / "config.json").write_text(json.dumps({"destination_path": str(folder), "disable_collection": True}))
    return [str(RIVALS / "target-parquet/bin/target-parquet"), "--config", "config.json"], of.path


def dlt(scheme: str, of: Input, folder: Path) -> Command:
    """The filesystem destination of dlt, whose files are Parquet here."""
    return dlt_into(f"{scheme}://{folder}", of)


def read_json(of: Input, folder: Path) -> Command:
    """DuckDB reading and writing the files itself: no states, no checks."""
    return read_json_into(folder / "out.parquet", of)


def write_arrow(scheme: str, of: Input, folder: Path) -> Command:
    """The lake's own writer, given an Arrow table; files are compressed as tailrace's are."""
    path = WORK / f"{of.name}.arrow"
    make(path, lambda part: ["ready.py", str(of.path), str(part)])
    script = str(ROOT / "bench/rivals/write_arrow.py")
    return [str(TAILRACE / "python"), script, str(path), str(folder / of.stream), scheme], None


KINDS = [
    Kind(
        "Parquet",
        "files",
        {
            "tailrace": partial(tailrace, "files"),
            "target-parquet": target_parquet,
            "target-jsonl": target_jsonl,
            "dlt": partial(dlt, "files"),
            "DuckDB read_json": read_json,
            "pyarrow, of a ready table": partial(write_arrow, "files"),
        },
        "pyarrow, of a ready table",
    ),
    Kind(
        "Delta Lake",
        "delta",
        {
            "tailrace": partial(tailrace, "delta"),
            "dlt": partial(dlt, "delta"),
            "deltalake, of a ready table": partial(write_arrow, "delta"),
        },
        "deltalake, of a ready table",
    ),
]


def left(kind: Kind, folder: Path, of: Input) -> Left:
    """What a loader left behind, read in a process of its own so that its memory isn't counted."""
    words = [sys.executable, str(ROOT / "bench/left.py"), kind.scheme, str(folder), str(of.path), of.stream]
    return Left(**json.loads(subprocess.run(words, capture_output=True, check=True).stdout))


def load(kind: Kind, name: str, of: Input, found: dict[str, Left]) -> Outcome:
    """Measure one loader on one input, in a fresh folder, and note what it has left behind."""
    folder = fresh()
    command, stdin = kind.loaders[name](of, folder)
    result = right(name, of, measured(command, stdin, folder))
    if name in READY:
        seconds, cpu_s = result.said.split()[-2:]
        result = replace(result, seconds=float(seconds), cpu_s=float(cpu_s))
    found[name] = left(kind, folder, of)
    shutil.rmtree(folder)
    return Outcome(result, found[name].rows, of.records)


def start(kind: Kind, of: Input) -> Outcome:
    """Measure tailrace on a file without records."""
    folder = fresh()
    command, _ = tailrace(kind.scheme, of, folder)
    return Outcome(right(STARTING, of, measured(command, schema_of(of), folder)), 0, 0)


def fresh() -> Path:
    """An empty folder to load into."""
    folder = WORK / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def is_installed(name: str) -> bool:
    """Whether the rival's environment exists, if it needs one."""
    return not (ROOT / f"bench/rivals/{name}.txt").exists() or (RIVALS / name).exists()


def side_by_side(kind: Kind, of: Input, skip: set[str]) -> list[str]:
    """The tables of all loaders into one kind of lake: cost and result."""
    print(f"{kind.name}, {of.title}", flush=True)
    found: dict[str, Left] = {}
    names = [name for name in kind.loaders if name not in skip and is_installed(name)]
    measures = {name: partial(load, kind, name, of, found) for name in names}
    measures |= {DECODING: partial(decode, of), STARTING: partial(start, kind, of)}
    outcomes = in_rounds({name: aloud(name, of, measure) for name, measure in measures.items()})
    lines = [f"### {kind.name}, {of.title}", "", *table(of, {name: outcomes[name] for name in names})]
    lines += ["| loader | MiB of files | what they are |", "|---|---:|---|"]
    lines += [f"| {name} | {one.mib:.1f} | {one.about} |" for name, one in found.items()]
    return [*lines, "", *against_limit(kind, outcomes)]


def against_limit(kind: Kind, outcomes: dict[str, Outcome]) -> list[str]:
    """A sentence comparing tailrace's time with that of writing a ready table."""
    parts = ("tailrace", DECODING, STARTING, kind.limit)
    if not all(name in outcomes and outcomes[name].is_right for name in parts):
        return []
    seconds = [outcomes[name].measured.seconds for name in parts]
    cpu_s = [outcomes[name].measured.cpu_s for name in parts]
    sentence = (
        "Of tailrace's {:.2f} s ({:.2f} s of the processors), reading and decoding alone take {:.2f} s ({:.2f} s), and "
        "starting with no records {:.2f} s ({:.2f} s); writing a ready table takes {:.2f} s ({:.2f} s)."
    )
    return [sentence.format(*(each for both in zip(seconds, cpu_s, strict=True) for each in both)), ""]


def memory(counts: Sequence[int]) -> list[str]:
    """The Markdown table of tailrace's peak memory as an input with many partitions grows."""
    kinds = " | ".join(f"{kind.name}: peak MiB | records/s" for kind in KINDS)
    lines = [f"| flights | {kinds} |", "|---:|" + "---:|---:|" * len(KINDS)]
    for records in counts:
        of = Input("flights", f"{PARTITIONS} partitions", records)
        was_there = of.path.exists()
        of.make()
        outcomes = [aloud(f"{kind.name}, partitions", of, partial(load_partitioned, kind, of))() for kind in KINDS]
        took = [outcome.measured for outcome in outcomes]
        figures = " | ".join(f"{one.peak_mib:.0f} | {records / one.seconds:,.0f}" for one in took)
        lines.append(f"| {records:,} | {figures} |")
        if not was_there:
            of.path.unlink()
    return [*lines, ""]


def load_partitioned(kind: Kind, of: Input) -> Outcome:
    """Measure tailrace on many partitions; checks that no row and no partition is missing."""
    folder = fresh()
    command, stdin = tailrace(kind.scheme, of, folder, partitioned=True)
    result = right("tailrace", of, measured(command, stdin, folder))
    found = left(kind, folder, of)
    if found.rows != of.records or not 1 < found.partitions <= PARTITIONS:
        raise SystemExit(f"tailrace left {found.rows:,} of {of.records:,} rows in {found.partitions} partitions")
    shutil.rmtree(folder)
    return Outcome(result, found.rows, of.records)


def tables(most: int, skip: set[str]) -> list[str]:
    """All tables of this part, for inputs of at most that many records."""
    about = (
        f"On this machine's disk. {QUICK}. A ready table is in memory when the clock starts, and what is written of it "
        "isn't synced to the disk, as tailrace's files are. Of PyPI's other Singer targets for local Parquet files, "
        "target-universal-file 0.0.1 and dataspoc-pipe 0.2.0 fail on the flights: the one on types that may be null, "
        "the other on times with a zone."
    )
    lines = ["## Into files and Delta Lake", "", about, ""]
    for of in shortened(INPUTS, most):
        for kind in KINDS:
            lines += side_by_side(kind, of, skip)
    told = f"### Memory: flights in partitions by {PARTITION_BY}, which has {PARTITIONS} values; default settings"
    return [*lines, told, "", *memory(sorted({min(records, most) for records in MEMORY_RECORDS}))]
