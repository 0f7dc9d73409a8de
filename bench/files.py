"""Files of rows against DuckDB's own readers, and sixteen files staged by one worker and by two, on this machine."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from inputs import flight_rows, write_flights
from loaders import TAILRACE, WORK
from measure import Measured, Outcome, in_rounds, measured
from shapes import verdict

FLIGHTS = 1_010_328
FILES = 16
WANTED = {"csv": 0.8, "parquet": 0.8, "loky": 1.8, "dask": 1.6}
MEMORY_BYTES, BESIDES_MIB, MORE = 32 * 2**20, 200, 1.15
_EVERY_S = 0.5
"""To look costs processor time, of which two workers have none to spare; the kernel keeps the peaks meanwhile."""


def tables(most: int) -> list[str]:
    """The Markdown tables of both, with inputs of at most so many rows."""
    return [*of_rows(min(FLIGHTS, most)), *of_workers(min(FLIGHTS, most))]


def of_rows(rows: int) -> list[str]:
    """A CSV and a Parquet file of flights into DuckDB, beside what DuckDB reads itself, starting included."""
    folder = WORK / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = _flights(rows)
    duckdb.sql(f"COPY (FROM found) TO '{folder / 'flights.csv'}'")
    pq.write_table(found, folder / "flights.parquet")
    lines = [
        f"## Files of {rows:,} flights into DuckDB",
        "",
        "| file | tailrace s | DuckDB s | times as fast | wanted | |",
    ]
    lines.append("|---|---:|---:|---:|---:|---|")
    for kind in ("csv", "parquet"):
        file = folder / f"flights.{kind}"
        reading = f"CREATE TABLE flights AS FROM read_{kind}('{file}')"
        theirs = [str(TAILRACE / "python"), "-c", f"import duckdb; duckdb.connect('out.duckdb').execute({reading!r})"]
        ours = [str(TAILRACE / "tailrace"), "load", str(file), "--to", "duckdb:///out.duckdb"]
        measures = {
            "tailrace": _into_duckdb(ours, rows),
            "duckdb": _into_duckdb(theirs, rows),
        }
        found = in_rounds(measures)
        own_s, their_s = found["tailrace"].measured.seconds, found["duckdb"].measured.seconds
        said = verdict(found["tailrace"], is_good=their_s / own_s >= WANTED[kind])
        lines.append(f"| {kind} | {own_s:.2f} | {their_s:.2f} | {their_s / own_s:.2f} | {WANTED[kind]} | {said} |")
    shutil.rmtree(folder)
    return [*lines, ""]


def _flights(rows: int) -> pa.Table:
    once = pa.Table.from_pylist([*flight_rows()])
    return pa.concat_tables([once] * (rows // len(once) + 1)).slice(0, rows)


def _into_duckdb(command: list[str], rows: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        folder = WORK / "out"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        took = measured(command, None, folder)
        with duckdb.connect(str(folder / "out.duckdb"), read_only=True) as connection:
            (found,) = connection.execute("SELECT count(*) FROM flights").fetchone() or (0,)
        return Outcome(took, found, rows)

    return measure


def of_workers(rows: int) -> list[str]:
    """Sixteen compressed files of that many flights each into Parquet, by one worker and by two."""
    folder = WORK / "workers"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_flights(folder / "flights", rows)
    packed = zstandard.ZstdCompressor().compress((folder / "flights").read_bytes())
    (folder / "flights").unlink()
    for number in range(FILES):
        (folder / f"{number:02}.singer.zst").write_bytes(packed)
    most_mib = (MEMORY_BYTES / 2**20 + BESIDES_MIB) * MORE
    lines = [
        f"## {FILES} files of {rows:,} flights into Parquet, by workers of this machine",
        "",
        f"Starting included. Each process may take {most_mib:.0f} MiB: `max_memory_bytes` and 200 MB, and 15 % more.",
        "",
        "| backend | 1 worker s | 2 workers s | times as fast | wanted | largest process MiB | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for backend in ("loky", "dask"):
        measures = {str(workers): _by_workers(folder, backend, workers, rows) for workers in (1, 2)}
        found = in_rounds(measures, rounds=3)
        one, two = found["1"].measured, found["2"].measured
        is_good = one.seconds / two.seconds >= WANTED[backend] and max(one.peak_mib, two.peak_mib) <= most_mib
        cells = f"{one.seconds:.1f} | {two.seconds:.1f} | {one.seconds / two.seconds:.2f} | {WANTED[backend]}"
        said = verdict(found["2"], is_good=is_good)
        lines.append(f"| {backend} | {cells} | {max(one.peak_mib, two.peak_mib):.0f} | {said} |")
    shutil.rmtree(folder)
    return [*lines, ""]


def _by_workers(folder: Path, backend: str, workers: int, rows: int) -> Callable[[], Outcome]:
    settings = (f"parallel.backend={backend}", f"parallel.workers={workers}")
    sets = [word for setting in settings for word in ("--set", setting)]

    def measure() -> Outcome:
        out = WORK / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        command = [str(TAILRACE / "tailrace"), "load", f"{folder}/*.zst", "--to", f"files://{out}/lake", *sets]
        with _watched() as peaks:
            took = measured(command, None, out)
        found = sum(pq.read_metadata(path).num_rows for path in out.rglob("*.parquet"))
        largest = Measured(took.seconds, took.cpu_s, max(peaks.values(), default=0.0), took.exit_code, took.said)
        return Outcome(largest, found, rows * FILES)

    return measure


@contextmanager
def _watched() -> Iterator[dict[int, float]]:
    """The peak of the resident set of each process that this one has below it meanwhile, in MiB."""
    peaks: dict[int, float] = {}
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_EVERY_S):
            for process in psutil.Process().children(recursive=True):
                with suppress(OSError):
                    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                    if peak := re.search(r"VmHWM:\s*(\d+) kB", status):  # one that has ended has none
                        peaks[process.pid] = int(peak[1]) / 2**10

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peaks
    finally:
        is_over.set()
        watching.join()
