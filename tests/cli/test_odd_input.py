"""What no tap should send: an error with its line or a quarantined record, never a traceback, never a skipped line."""

import json

import duckdb
import pytest
from commands import run

SCHEMA = (
    b'{"type":"SCHEMA","stream":"s","schema":{"properties":'
    b'{"a":{"type":["null","integer"]},"t":{"type":["null","string"]},"j":{}}}}\n'
)
GOOD = b'{"type":"RECORD","stream":"s","record":{"a":1}}'


def record(fields):
    return b'{"type":"RECORD","stream":"s","record":{%s}}\n' % fields


def load(folder, data, *words):
    return run("load", "--to", "duckdb:///s.duckdb", *words, cwd=folder, stdin=data)


def rows(folder, query="SELECT a FROM s"):
    with duckdb.connect(str(folder / "s.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


BAD_RECORDS = {
    "an integer of 400 digits": (b'"a":' + b"9" * 400, "$.a"),
    "nesting 10,000 deep": (b'"j":' + b"[" * 10_000 + b"]" * 10_000, "$"),
    "a repeated field": (b'"a":1,"a":2', "$.a"),
    "a lone surrogate": (b'"t":"\\ud800"', "$.t"),
    "invalid UTF-8": (b'"t":"\xff"', "$"),
    "no JSON": (b'"t":nonsense', "$"),
}


@pytest.mark.parametrize(("fields", "path"), BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_bad_record_ends_the_run_with_its_line_or_is_set_aside(tmp_path, fields, path):
    data = SCHEMA + GOOD + b"\n" + record(fields)
    failed = load(tmp_path, data)
    assert failed.returncode == 4
    assert f"error: stream 's', line 3: {path}" in failed.stderr.decode()
    assert b"Traceback" not in failed.stderr
    done = load(tmp_path, data, "--set", "on_invalid=quarantine", "--set", "quarantine=q.jsonl")
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path) == [(1,)]
    entries = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [entry["line"] for entry in entries if "line" in entry] == [3]


BAD_LINES = {
    "no JSON": (b"hello\n", "line 3"),
    "null": (b"null\n", "line 3: a message must be a JSON object"),
    "an unknown type": (b'{"type":"RECROD","stream":"s"}\n', "line 3: the message's type 'RECROD' isn't known"),
    "a deep state": (b'{"type":"STATE","value":' + b"[" * 10_000 + b"]" * 10_000 + b"}\n", "line 3"),
    "a batch": (b'{"type":"BATCH","stream":"s","manifest":[]}\n', "line 3: the BATCH message's 'encoding' is missing"),
    "a stream without its schema": (b'{"type":"RECORD","stream":"x","record":{}}\n', "line 3: a message of stream 'x'"),
    "half a record at the end": (GOOD[:-5], "line 3: the input ends in the middle of this line"),
}


@pytest.mark.parametrize(("line", "said"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_is_no_message_ends_the_run_with_its_line(tmp_path, line, said):
    failed = load(tmp_path, SCHEMA + GOOD + b"\n" + line)
    assert failed.returncode == 3
    assert said in failed.stderr.decode()
    assert b"Traceback" not in failed.stderr


def test_a_byte_order_mark_crlf_blank_lines_and_a_missing_last_line_end_are_taken(tmp_path):
    data = b"\xef\xbb\xbf" + SCHEMA.replace(b"\n", b"\r\n") + b"\r\n   \n" + GOOD
    assert load(tmp_path, data).returncode == 0
    assert rows(tmp_path) == [(1,)]


def test_log_lines_of_the_tap_are_relayed(tmp_path):
    lines = b'{"type":"LOG","level":"INFO","message":"hi there"}\n{"level":"warning","message":"take care"}\n'
    done = load(tmp_path, SCHEMA + lines + GOOD)
    assert b"hi there" in done.stderr
    assert b"take care" in done.stderr


def test_a_line_of_100_megabytes_is_loaded(tmp_path):
    text = b"x" * 100_000_000
    assert load(tmp_path, SCHEMA + record(b'"t":"%s"' % text)).returncode == 0
    assert rows(tmp_path, "SELECT length(t), t = repeat('x', 100000000) FROM s") == [(100_000_000, True)]
