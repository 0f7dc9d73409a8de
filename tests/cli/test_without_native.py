"""Loading without tailrace-native: what decodes says so, and data are loaded and refused as they are with it."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
WITHOUT_NATIVE = 'import sys; sys.modules["tailrace_native"] = None; from tailrace.cli import main; main()'

FIRST = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMA = {
    "id": {"type": "integer"},
    "sold": {"type": "string", "format": "date-time"},
    "price": {"type": "number", "multipleOf": 0.01},
    "note": {"type": ["null", "string"]},
}


def run(*words, stdin=b"", cwd=None):
    command = [sys.executable, "-c", WITHOUT_NATIVE, *words]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def rows(path, query):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_about_says_that_the_reference_decodes():
    assert json.loads(run("about", "--format", "json"))["decoder"] == "reference"


def test_a_file_of_orders_is_loaded_into_duckdb(tmp_path):
    path = tmp_path / "shop.duckdb"
    told = run("load", ROOT / "examples" / "orders.singer", "--to", f"duckdb:///{path}")
    assert told.splitlines() == [b'{"bookmarks": {"orders": {"ordered_at": "2026-01-02T04:00:00Z"}}}']
    found = rows(path, "SELECT id, customer, total FROM orders ORDER BY id")
    assert found == [(1, "Ada", Decimal("499.99")), (2, "Zoë", Decimal("12.00"))]


def test_flat_records_are_loaded_into_duckdb_and_so_are_those_among_them_that_are_written_unusually(tmp_path):
    expected = [
        (number, FIRST + timedelta(seconds=number), Decimal(number) / 100, None if number % 7 == 0 else f"é {number}")
        for number in range(5000)
    ]
    lines = [json.dumps({"type": "SCHEMA", "stream": "sales", "schema": {"properties": SCHEMA}})]
    for number, at, price, note in expected:
        record = f'"id": {number}, "sold": "{at.isoformat()}", "price": {price}, "note": {json.dumps(note)}'
        if number % 500 == 499:
            record = f'"id":{number}.0,"sold":"{at:%Y-%m-%dt%H:%M:%Sz}","price":{number}e-2,"note":{json.dumps(note)}'
        lines.append(f'{{"type": "RECORD", "stream": "sales", "record": {{{record}}}}}')
    path = tmp_path / "shop.duckdb"
    run("load", "--to", f"duckdb:///{path}", stdin="\n".join(lines).encode())
    found = rows(path, "SELECT id, epoch(sold), price, note FROM sales ORDER BY id")
    assert found == [(number, at.timestamp(), price, note) for number, at, price, note in expected]


@pytest.mark.parametrize("validation", ["types", "full"])
def test_records_that_break_the_schema_are_set_aside_with_their_reasons(tmp_path, validation):
    lines = [json.dumps({"type": "SCHEMA", "stream": "sales", "schema": {"properties": SCHEMA}})]
    lines += [
        f'{{"type": "RECORD", "stream": "sales", "record": {record}}}'
        for record in ('{"id": 1}', '{"id": 2, "id": 2}', '{"id": "x", "sold": "yesterday"}', '{"id": 3, "note": null}')
    ]
    options = ("--set", "on_invalid=quarantine", "--set", "quarantine=q.jsonl", "--set", f"validation={validation}")
    run("load", "--to", "duckdb:///shop.duckdb", *options, stdin="\n".join(lines).encode(), cwd=tmp_path)
    assert rows(tmp_path / "shop.duckdb", "SELECT id FROM sales ORDER BY id") == [(1,), (3,)]
    entries = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    refused = [(each["line"], [reason["code"] for reason in each["reasons"]]) for each in entries if "record" in each]
    assert refused == [(3, ["duplicate_key"]), (4, ["type", "format"])]
