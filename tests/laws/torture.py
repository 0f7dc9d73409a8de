"""Kills loads 200 times a destination, checks the rows after each kill, and writes what came of it to TORTURE.md.

`torture.py KIND...` does so for some destinations, and leaves the lines of the others as they are.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import deltalake
import duckdb
import pyarrow as pa
import pyiceberg
from crashing import SETTINGS, Tally, killed, spread_kills
from lakes import KINDS, TROUBLE, lakes
from launcher import STEPS
from places import Places, databases, files
from services.faults import fault_proxy
from services.mariadb import mariadb
from services.mysql import mysql
from services.postgres import postgres
from services.redshift import redshift
from services.s3 import s3

import tailrace

EACH_STEP, INSTANTS = 24, 80
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

`make torture` writes this page. A tap replays a source of {rows} rows ({fewer} for files and lakes) in three streams,
two without a key and one that is updated again and again, with a STATE about every 40 rows; `tailrace run` loads it
with {settings}. Its process is killed with SIGKILL: at every step of a checkpoint, and at random instants between two
told states and before the first. It is started again until the source is loaded, then the next source begins, until
all kills are spent.

After every kill, and at every end, the database is read with nothing but its driver: the tables hold exactly the rows
that the remembered state covers, none is missing and none is there twice, no state on stdout is ahead of them, and in
the end the tables equal the source. Delta Lake and Iceberg commit a checkpoint for each table by itself, behind the
journal's entry that decides it: after a kill each table is at the last entry or at the one before, still with no state
on stdout ahead of it, and after a run that ended well all are at the last.

tailrace {tailrace}, pyarrow {pyarrow}, Python {python}; {machine}, {cores} cores. Redshift is PostgreSQL and
an S3 server here, behind what stands in for it. Between tailrace and the S3 server of the lakes is a proxy that makes
trouble all the time: of 1,000 requests 10 are answered with 500, 10 with 503, and 20 lose their connection, half of
them when the server has done the request. Of Iceberg's, which are more than twice as many, 4, 4 and 8.

| destination | date | {names} | kills | runs | sources loaded | rows compared | minutes | result |
|---|---|{rules}---:|---:|---:|---:|---:|---|
"""


def main() -> None:
    """Torture each destination; a broken promise ends the program with what was found, and writes nothing."""
    kinds = sys.argv[1:] or list(VERSIONS)
    names = [*STEPS, "random instant"]
    new = {VERSIONS[kind]: _line(kind, names, _tortured(kind)) for kind in kinds}
    lines = _lines() | new
    head = HEAD.format(
        rows=f"{ROWS:,}",
        fewer=f"{ROWS_OF_LAKES:,}",
        settings=" and ".join(f"`{setting}`" for setting in SETTINGS),
        tailrace=tailrace.__version__,
        pyarrow=pa.__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
        names=" | ".join(names),
        rules="---:|" * len(names),
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
    with _places(kind) as places:
        rows = ROWS_OF_LAKES if kind in KINDS else ROWS
        kills = spread_kills(places, each_step=EACH_STEP, instants=INSTANTS, rows=rows, seed=SEED)
        return killed(places, kills, rows, seed=SEED)


@contextmanager
def _places(kind: str) -> Iterator[Places]:
    """Gives new databases of that kind; a server is started for them."""
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


def _line(kind: str, names: list[str], tally: Tally) -> str:
    kills = " | ".join(str(tally.kills.get(name, 0)) for name in names)
    numbers = f"{sum(tally.kills.values())} | {tally.runs} | {tally.loads} | {tally.rows:,} | {tally.seconds / 60:.0f}"
    date = datetime.now(UTC).date().isoformat()
    return f"| {VERSIONS[kind]} | {date} | {kills} | {numbers} | no row lost, none twice, no state ahead |\n"


if __name__ == "__main__":
    main()
