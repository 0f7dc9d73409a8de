"""Kills loads 200 times a destination at random instants, checks the rows each time, and writes TORTURE.md.

`torture.py KIND...` does so for some destinations, and leaves the lines of the others as they are.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import deltalake
import duckdb
import pyarrow as pa
import pyiceberg
from lakes import KINDS, TROUBLE, lakes
from places import Places, databases, files
from services.faults import fault_proxy
from services.mariadb import mariadb
from services.mysql import mysql
from services.postgres import postgres
from services.redshift import redshift
from services.s3 import s3

import tailrace
from tailrace.testing.crashes import LARGE, Tally, crashes_at_random_instants_lose_no_row_and_load_none_twice

KILLS, KILLS_A_PLACE = 200, 20
"""Behind so many a new place begins."""
ROWS, ROWS_OF_LAKES, SEED = 6000, 3000, 20_000
RESULT = Path(__file__).with_name("TORTURE.md")
SERVERS = {"postgres": postgres, "mariadb": mariadb, "mysql": mysql, "redshift": redshift}
VERSIONS = {
    "duckdb": f"DuckDB {duckdb.__version__}",
    "sqlite": f"SQLite {sqlite3.sqlite_version}",
    "postgres": "PostgreSQL 15",
    "mariadb": "MariaDB 10.11",
    "mysql": "MySQL 9",
    "redshift": "Redshift",
    "files": "Parquet files on S3",
    "delta": f"Delta Lake on S3, read by deltalake {deltalake.__version__}",
    "iceberg": f"Iceberg on S3, read by PyIceberg {pyiceberg.__version__}",
}

HEAD = """# Killed, and started again

`make torture` writes this page. A source of {rows} rows ({fewer} for files and lakes) in three streams, two without a
key and one that is updated again and again, with a STATE about every 40 rows, is loaded with {settings}. The process is
killed with SIGKILL at random instants: between two told states, and before the first. Another goes on until the source
is loaded, then the next source begins, until all kills are spent. Beside this, `make test` kills a small run before and
after each of its calls that change something.

After every kill, and at every end, the place is read with nothing but its driver: the tables hold exactly the rows that
the remembered state covers, none is missing and none is there twice, no told state is ahead of them, and in the end the
tables equal the source. Delta Lake and Iceberg commit a checkpoint for each table by itself, behind the journal's entry
that decides it: after a kill each table is at the last entry or at the one before, still with no told state ahead of
it, and after a run that ended well all are at the last.

tailrace {tailrace}, pyarrow {pyarrow}, Python {python}; {machine}, {cores} cores. Redshift is PostgreSQL and
an S3 server here, behind what stands in for it. Between tailrace and the S3 server of the lakes is a proxy that makes
trouble all the time: of 1,000 requests 10 are answered with 500, 10 with 503, and 20 lose their connection, half of
them when the server has done the request. Of Iceberg's, which are more than twice as many, 4, 4 and 8.

| destination | date | kills | sources loaded | rows compared | minutes | result |
|---|---|---:|---:|---:|---:|---|
"""


def main() -> None:
    """Torture each destination; a broken promise ends the program with what was found, and writes nothing."""
    kinds = sys.argv[1:] or list(VERSIONS)
    lines = _lines()
    for kind in kinds:
        started_s = time.monotonic()
        lines[VERSIONS[kind]] = _line(kind, _tortured(kind), time.monotonic() - started_s)
    head = HEAD.format(
        rows=f"{ROWS:,}",
        fewer=f"{ROWS_OF_LAKES:,}",
        settings=" and ".join(f"`{name}={value}`" for name, value in LARGE.items() if name.endswith("_rows")),
        tailrace=tailrace.__version__,
        pyarrow=pa.__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
    )
    in_order = [lines[version] for version in VERSIONS.values() if version in lines]
    RESULT.write_text(head + "".join(in_order), encoding="utf-8")
    sys.stdout.write(RESULT.read_text(encoding="utf-8"))


def _lines() -> dict[str, str]:
    """The lines that the page has, by destination."""
    lines = RESULT.read_text(encoding="utf-8").splitlines(keepends=True)
    found = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    return {version: found[version] for version in VERSIONS.values() if version in found}


def _tortured(kind: str) -> Tally:
    whole = Tally()
    with _places(kind) as places:
        for seed in range(SEED, SEED + KILLS // KILLS_A_PLACE):
            rows = ROWS_OF_LAKES if kind in KINDS else ROWS
            subject = places().subject
            whole += crashes_at_random_instants_lose_no_row_and_load_none_twice(subject, KILLS_A_PLACE, rows, seed)
    return whole


@contextmanager
def _places(kind: str) -> Iterator[Places]:
    """Gives new places of that kind; a server is started for them."""
    if kind in SERVERS:
        with SERVERS[kind]() as server:
            yield databases(server)
    elif kind in KINDS:
        with (
            s3() as server,
            fault_proxy(server.host, server.port, TROUBLE[kind], SEED) as faults,
            tempfile.TemporaryDirectory(prefix="tailrace-torture-") as folder,
        ):
            yield lakes(kind, server, faults, Path(folder))
    else:
        with tempfile.TemporaryDirectory(prefix="tailrace-torture-") as folder:
            yield files(kind, Path(folder))


def _line(kind: str, tally: Tally, seconds: float) -> str:
    numbers = f"{tally.crashes.total()} | {tally.loads} | {tally.rows:,} | {seconds / 60:.0f}"
    date = datetime.now(UTC).date().isoformat()
    return f"| {VERSIONS[kind]} | {date} | {numbers} | no row lost, none twice, no state ahead |\n"


if __name__ == "__main__":
    main()
