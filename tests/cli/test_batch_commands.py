"""BATCH messages by the command line: of a tap of the Singer SDK, by stdin, files, workers, and of our own taps."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import duckdb
import pytest
from commands import run, tailrace

WITHOUT_NATIVE = 'import sys; sys.modules["tailrace_native"] = None; from tailrace.cli import main; main()'

SDK_TAP = """
from singer_sdk import Stream, Tap
from singer_sdk import typing as th


class Orders(Stream):
    name = "orders"
    primary_keys = ("id",)
    replication_key = "at"
    is_sorted = True
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("at", th.DateTimeType),
        th.Property("price", th.NumberType),
        th.Property("name", th.StringType),
        th.Property("more", th.ObjectType(th.Property("tags", th.ArrayType(th.StringType)))),
    ).to_dict()

    def get_records(self, context):
        for number in range(25):
            yield {
                "id": number,
                "at": f"2026-01-01T00:00:{number:02}+00:00",
                "price": number / 4,
                "name": None if number == 3 else f"größe {number}",
                "more": {"tags": [str(number)]},
            }


class TapOrders(Tap):
    name = "tap-orders"
    config_jsonschema = th.PropertiesList(th.Property("x", th.StringType)).to_dict()

    def discover_streams(self):
        return [Orders(self)]


TapOrders.cli()
"""

OUR_TAP = """
import gzip, json, sys
from tailrace.singer import write_batch, write_schema, write_state

write_schema("s", {"properties": {"id": {"type": "integer"}}}, "id")
with gzip.open("files/a.jsonl.gz", "wt") as file:
    file.write('{"id": 1}\\n{"id": 2}\\n')
write_batch("s", [sys.argv[1] + "/a.jsonl.gz"], compression="gzip")
write_state({"n": 1})
"""

SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "schema": {"properties": {"id": {"type": "integer"}, "n": {"type": ["null", "string"]}}},
    "key_properties": ["id"],
}
STATE = {"type": "STATE", "value": {"n": 1}}


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def record(number, text):
    return {"type": "RECORD", "stream": "s", "record": {"id": number, "n": text}}


def batch(*files):
    manifest = [f"file://{file}" for file in files]
    return {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": manifest}


@pytest.fixture
def files(tmp_path):
    """A folder with files of records, that of number n with the keys 10n and 10n + 1."""
    (tmp_path / "files").mkdir()
    found = [tmp_path / "files" / f"{number}.jsonl" for number in range(4)]
    for number, path in enumerate(found):
        path.write_text("".join(f'{{"id": {10 * number + more}, "n": "é"}}\n' for more in range(2)), encoding="utf-8")
    return found


def rows(path, query):
    if str(path).endswith(".duckdb"):
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(query).fetchall()
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_batches_of_a_tap_of_the_singer_sdk_are_loaded_with_their_values(tmp_path, form):
    (tmp_path / "tap.py").write_text(SDK_TAP, encoding="utf-8")
    storage = {"root": f"file://{tmp_path}/files", "prefix": "of the tap-"}
    encoding = {"format": form, "compression": "gzip"}
    config = {"batch_config": {"encoding": encoding, "storage": storage, "batch_size": 10}}
    (tmp_path / "tap.json").write_text(json.dumps(config))
    words = ["run", "--tap", f"{sys.executable} tap.py --config tap.json", "--pipeline", "p"]
    done = run(*words, "--to", "duckdb:///s.duckdb", "--set", f"batch_roots={tmp_path}/files", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert len([*(tmp_path / "files").iterdir()]) == 3
    found = rows(tmp_path / "s.duckdb", "SELECT id, \"at\", price, name, more->>'$.tags[0]' FROM orders ORDER BY id")
    names = [None if number == 3 else f"größe {number}" for number in range(25)]
    assert found == [(n, datetime(2026, 1, 1, 0, 0, n, tzinfo=UTC), n / 4, names[n], str(n)) for n in range(25)]
    last = json.loads(done.stdout.splitlines()[-1])["bookmarks"]["orders"]
    assert last["replication_key_value"] == "2026-01-01T00:00:24+00:00"


def test_a_tap_that_is_written_with_tailrace_sends_batches(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "tap.py").write_text(OUR_TAP)
    words = ["run", "--tap", f"{sys.executable} tap.py file://{tmp_path}/files", "--pipeline", "p"]
    done = run(
        *words,
        "--to",
        "sqlite:///s.db",
        "--set",
        "batch_roots=files",
        cwd=tmp_path,
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    assert done.returncode == 0, done.stderr.decode()
    assert rows(tmp_path / "s.db", "SELECT id FROM s ORDER BY id") == [(1,), (2,)]
    assert json.loads(done.stdout) == {"n": 1}


@pytest.mark.parametrize("program", ["tailrace", "target-tailrace", "without native"])
@pytest.mark.parametrize("to", ["duckdb:///s.duckdb", "sqlite:///s.db"])
def test_batches_come_by_stdin(tmp_path, files, program, to):
    sent = lines(SCHEMA, record(0, "-"), batch(files[0], files[1]), record(1, "+"), STATE)
    roots = str(tmp_path / "files")
    (tmp_path / "config.json").write_text(json.dumps({"to": to, "batch_roots": [roots]}))
    if program == "without native":
        words = [sys.executable, "-c", WITHOUT_NATIVE, "load", "--config", "config.json"]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(words, input=sent, capture_output=True, check=False, cwd=tmp_path, env=environ)
    else:
        words = ["--config", "config.json"] if program == "target-tailrace" else ["load", "--config", "config.json"]
        done = run(*words, program=program, stdin=sent, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == {"n": 1}
    found = rows(tmp_path / to.rpartition("/")[2], "SELECT id, n FROM s ORDER BY id")
    assert found == [(0, "é"), (1, "+"), (10, "é"), (11, "é")]


@pytest.mark.parametrize("parallel", [(), ("--set", "parallel.backend=threading"), ("--set", "parallel.backend=loky")])
def test_several_inputs_may_have_batches_and_errors_name_input_and_line(tmp_path, files, parallel):
    for number, path in enumerate(files):
        sent = lines(SCHEMA, batch(path), record(10 * number + 1, "+"), STATE)
        (tmp_path / f"{number}.singer").write_bytes(sent)
    words = ("load", "*.singer", "--to", "sqlite:///s.db", "--set", "batch_roots=files", *parallel)
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    wanted = [(10 * n + more, "é+"[more]) for n in range(4) for more in range(2)]
    assert rows(tmp_path / "s.db", "SELECT id, n FROM s ORDER BY id") == wanted
    (tmp_path / "2.singer").write_bytes(lines(SCHEMA, batch(files[0]), record("x", "+")))
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 4
    assert "line 30000000005 is line 3 of 2.singer" in done.stderr.decode()
    files[1].write_text('{"id": 1}\n{"id": "y"}\n')
    done = run(*words, cwd=tmp_path)
    assert f"line 20000000004 is record 2 of {files[1]}" in done.stderr.decode()


def test_without_roots_the_run_ends_with_the_setting_to_set(tmp_path, files):
    sent = lines(SCHEMA, record(5, "-"), STATE, batch(files[0]))
    done = run("load", "--to", "sqlite:///s.db", stdin=sent, cwd=tmp_path)
    assert done.returncode == 2
    assert b"error: batch_roots: line 4 is a BATCH message, and no file may be read for it" in done.stderr
    assert json.loads(done.stdout) == {"n": 1}
    assert rows(tmp_path / "s.db", "SELECT id FROM s") == [(5,)]


def test_a_manifest_that_names_another_file_ends_the_run(tmp_path, files):
    (tmp_path / "secret").write_text('{"id": 1}\n')
    named = {
        "type": "BATCH",
        "stream": "s",
        "encoding": {"format": "jsonl"},
        "manifest": [f"file://{tmp_path}/files/../secret"],
    }
    done = run("load", "--to", "sqlite:///s.db", "--set", "batch_roots=files", stdin=lines(SCHEMA, named), cwd=tmp_path)
    assert done.returncode == 3
    assert b"isn't the plain address of a file" in done.stderr


def test_a_signal_ends_the_run_within_a_batch_and_the_last_state_is_told(tmp_path, files):
    big = tmp_path / "files" / "big.jsonl.gz"
    with gzip.open(big, "wb", 1) as file:
        for _ in range(300):
            file.write(b'{"id": 7, "n": "%s"}\n' % (b"x" * 1000) * 1000)
    sent = lines(SCHEMA, record(5, "-"), STATE, batch(big))
    words = ("load", "--to", "sqlite:///s.db", "--set", "batch_roots=files", "--set", "checkpoint_rows=1")
    with tailrace(*words, cwd=tmp_path, stdin=True) as process:
        process.stdin.write(sent)
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"n": 1}
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
    assert rows(tmp_path / "s.db", "SELECT id FROM s") == [(5,)]
