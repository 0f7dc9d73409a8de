"""Real data through a real tap: what stands in DuckDB is what stands in the CSV files, value by value."""

import csv
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import demo

TABLES = {"airlines": 16, "airports": 1458, "flights": 56_130, "planes": 3322, "weather": 26_115}
EVERY = 6
"""Of the flights every sixth is read, of all days of the year: the tap takes half a minute for all."""


@pytest.fixture
def loaded(tmp_path):
    """The folder of CSV files, and the DuckDB file that they were loaded into through the tap."""
    if not demo.TAP.exists():
        pytest.skip("the tap isn't set up: run scripts/setup-tap")
    demo.unpack(tmp_path / "csv")
    flights = tmp_path / "csv" / "flights.csv"
    header, *lines = flights.read_text(encoding="utf-8").splitlines(keepends=True)
    flights.write_text("".join([header, *lines[::EVERY]]), encoding="utf-8")
    database = tmp_path / "flights.duckdb"
    load = [str(demo.TAILRACE), "load", "--to", f"duckdb:///{database}"]
    with subprocess.Popen(demo.tap_command(tmp_path / "csv"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tap:
        subprocess.run(load, stdin=tap.stdout, stdout=subprocess.DEVNULL, check=True)
    assert tap.returncode == 0
    return tmp_path / "csv", database


def test_each_table_equals_its_csv_file_value_by_value(loaded):
    folder, database = loaded
    for table, count in TABLES.items():
        with (folder / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        columns = ", ".join(f'"{name}"' for name in header)
        with duckdb.connect(str(database), read_only=True) as connection:
            found = connection.execute(f'SELECT {columns} FROM "{table}" ORDER BY _sdc_line_number').fetchall()
        assert len(found) == count, table
        assert found == [tuple(row) for row in rows], table
