"""A disk that is really full: an error that says so, and a state that is told only of what is there."""

import json
import os
import subprocess

import duckdb
import pytest
from commands import run

SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "schema": {"properties": {"id": {"type": "integer"}, "t": {"type": "string"}}},
    "key_properties": [],
}


@pytest.fixture
def small(tmp_path):
    """A disk of three megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def sent(count, state_every=2000):
    """Records of 400 random characters, with a STATE now and then."""
    yield json.dumps(SCHEMA).encode() + b"\n"
    for number in range(1, count + 1):
        text = os.urandom(200).hex()
        yield b'{"type":"RECORD","stream":"s","record":{"id":%d,"t":"%b"}}\n' % (number, text.encode())
        if number % state_every == 0:
            yield b'{"type":"STATE","value":{"n":%d}}\n' % number


def tailrace(folder, *words, stdin=(), **environment):
    return run(*words, cwd=folder, stdin=b"".join(stdin), **environment)


PLACES = {
    "duckdb": "duckdb:///{}/x.duckdb",
    "sqlite": "sqlite:///{}/x.db",
    "files": "files:{}/lake",
    "delta": "delta:{}/lake",
    "iceberg": "iceberg+sqlite:///{}/catalog.db?warehouse={}/lake",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_of_the_destination_is_an_error_that_says_to_free_some_space(small, tmp_path, place):
    settings = ("--set", "checkpoint_rows=1000", "--set", "retry_s=60")
    to = PLACES[place].format(small, small)
    done = tailrace(tmp_path, "load", "--to", to, *settings, stdin=sent(20_000))
    said = done.stderr.decode()
    assert done.returncode == 6, said
    assert "free some space" in said
    assert "Traceback" not in said
    assert "is tried again" not in said
    assert b'{"n": 20000}' not in done.stdout


def test_what_a_told_state_covers_is_there_when_the_disk_is_full(small, tmp_path):
    to = f"duckdb:///{small}/x.duckdb"
    done = tailrace(tmp_path, "load", "--to", to, "--set", "checkpoint_rows=1000", stdin=sent(20_000))
    told = json.loads(done.stdout.splitlines()[-1])["n"]
    with duckdb.connect(f"{small}/x.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM s").fetchall() == [(told,)]


def test_a_full_disk_of_the_quarantine_is_an_error_and_no_state_is_told_of_what_it_lacks(small, tmp_path):
    bad = b'{"type":"RECORD","stream":"s","record":{"id":"%b"}}\n' % (b"x" * 500)
    lines = [json.dumps(SCHEMA).encode() + b"\n", *(bad for _ in range(10_000)), b'{"type":"STATE","value":1}\n']
    aside = ("--set", "on_invalid=quarantine", "--set", f"quarantine={small}/q.jsonl")
    done = tailrace(tmp_path, "load", "--to", "duckdb:///x.duckdb", *aside, stdin=lines)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b"")
    assert "q.jsonl can't be written: No space left on device (free some space on the disk of" in said
    assert "Traceback" not in said
    assert (small / "q.jsonl").read_bytes().endswith(b"}\n")


def test_a_full_disk_of_temporary_files_is_an_error(small, tmp_path):
    (small / "filling").write_bytes(b"x" * (3 * 2**20 - 16384))
    for place in ("files", "delta"):
        to = PLACES[place].format(tmp_path, tmp_path)
        done = tailrace(tmp_path, "load", "--to", to, stdin=sent(5000), TMPDIR=str(small))
        said = done.stderr.decode()
        assert (done.returncode, done.stdout) == (6, b""), said
        assert "free some space" in said
        assert "Traceback" not in said


def test_a_state_for_the_tap_that_has_no_space_is_an_error(small, tmp_path):
    state = b'{"type":"STATE","value":"%b"}\n' % (b"x" * 2**20)
    words = ("--to", "duckdb:///x.duckdb", "--pipeline", "p")
    assert tailrace(tmp_path, "load", *words, stdin=[state]).returncode == 0
    (small / "filling").write_bytes(b"x" * (3 * 2**20 - 65536))
    done = tailrace(tmp_path, "run", "--tap", "true", *words, TMPDIR=str(small))
    assert done.returncode == 2
    assert "TMPDIR: the tap's state can't be written to a temporary file: No space left" in done.stderr.decode()


def test_a_report_that_has_no_space_is_an_error_behind_a_run_that_is_whole(tmp_path):
    done = tailrace(tmp_path, "load", "--to", "duckdb:///x.duckdb", "--report", "/dev/full", stdin=sent(10, 10))
    assert (done.returncode, done.stdout) == (2, b'{"n":10}\n')
    assert "--report: /dev/full can't be written: No space left on device (free some space" in done.stderr.decode()


def test_a_report_that_cant_be_written_is_an_error_before_the_run_and_never_hides_another(tmp_path):
    before = tailrace(tmp_path, "load", "--to", "duckdb:///x.duckdb", "--report", "/nowhere/r.json", stdin=sent(10))
    assert (before.returncode, (tmp_path / "x.duckdb").exists()) == (2, False)
    bad = b'{"type":"RECORD","stream":"s","record":{"id":"x"}}\n'
    both = tailrace(tmp_path, "load", "--to", "memory:x", "--report", "/dev/full", stdin=[*sent(1), bad])
    assert both.returncode == 4
    error, note = both.stderr.decode().splitlines()[-2:]
    assert error.startswith("error: stream 's', line 3: $.id")
    assert note.startswith("  --report: /dev/full can't be written")
