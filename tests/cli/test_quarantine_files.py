"""Quarantine files of real runs: two at once, one that is killed, one that is replayed while it is written."""

import json
from contextlib import ExitStack

import pytest
from commands import run, tailrace

ASIDE = ("--set", "on_invalid=quarantine")
SCHEMA = b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}}}\n'


def bad(number):
    return b'{"type":"RECORD","stream":"s","record":{"id":"x%d"}}\n' % number


def state(number):
    return b'{"type":"STATE","value":%d}\n' % number


@pytest.fixture
def started(tmp_path):
    """Starts a load that reads from a pipe; all are killed at the end."""
    with ExitStack() as running:

        def start(*words):
            load = tailrace("load", *words, *ASIDE, "--set", "checkpoint_rows=1", cwd=tmp_path, stdin=True)
            return running.enter_context(load)

        yield start


def send(process, *lines):
    """Send lines of which the last is a STATE, and wait until it is told."""
    process.stdin.write(b"".join(lines))
    assert process.stdout.readline()


def end(process):
    said = process.communicate()[1].decode()
    assert process.returncode == 0, said


def replayed(folder, path):
    """The numbers of the bad records that a replay of the file sends, in order."""
    done = run("replay", path.name, "--to", "memory:x", *ASIDE, cwd=folder)
    assert done.returncode == 0, done.stderr
    again = path.with_name(f"{path.stem}.again{path.suffix}")
    entries = [json.loads(line) for line in again.read_text().splitlines()] if again.exists() else []
    again.unlink(missing_ok=True)
    return [int(json.loads(entry["record"])["record"]["id"][1:]) for entry in entries if "record" in entry]


def test_two_runs_without_a_pipeline_in_one_folder_have_a_file_each(started, tmp_path):
    first, second = started("--to", "duckdb:///a.duckdb"), started("--to", "duckdb:///b.duckdb")
    send(first, SCHEMA, bad(1), state(1))
    send(second, SCHEMA, bad(2), state(2))
    send(first, bad(3), state(3))
    for process in (first, second):
        end(process)
    files = list(tmp_path.glob("tailrace-*.quarantine.jsonl"))
    assert sorted(replayed(tmp_path, path) for path in files) == [[1, 3], [2]]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_second_pipeline_that_names_the_file_ends_before_it_loads_anything(started, tmp_path):
    aside = ("--set", "quarantine=q.jsonl")
    first = started("--to", "duckdb:///a.duckdb", "--pipeline", "p", *aside)
    send(first, SCHEMA, bad(1), state(1))
    for pipeline in ("p", "q"):
        words = ("--to", "duckdb:///b.duckdb", "--pipeline", pipeline, *ASIDE, *aside)
        done = run("load", *words, cwd=tmp_path, stdin=SCHEMA + bad(2) + state(2))
        assert (done.returncode, done.stdout) == (2, b"")
        assert "error: quarantine: q.jsonl is in use by another run" in done.stderr.decode()
    assert not (tmp_path / "b.duckdb").exists()
    send(first, bad(3), state(3))
    end(first)
    assert replayed(tmp_path, tmp_path / "q.jsonl") == [1, 3]


def test_a_file_that_is_being_written_isnt_replayed(started, tmp_path):
    first = started("--to", "duckdb:///a.duckdb", "--set", "quarantine=q.jsonl")
    send(first, SCHEMA, bad(1), state(1))
    done = run("replay", "q.jsonl", "--to", "memory:x", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: FILE: a run is writing to q.jsonl (replay it once that has ended)" in done.stderr.decode()
    end(first)
    assert replayed(tmp_path, tmp_path / "q.jsonl") == [1]


def test_each_refused_record_is_replayed_once_when_a_run_was_killed_and_went_on(started, tmp_path):
    words = ("--to", "duckdb:///a.duckdb", "--pipeline", "p")
    path = tmp_path / "p.quarantine.jsonl"
    killed = started(*words)
    send(killed, SCHEMA, bad(1), state(1))
    killed.stdin.write(b"".join(bad(number) for number in range(2, 2000)))
    killed.kill()
    killed.wait()
    assert replayed(tmp_path, path) == [1]
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    before = path.read_bytes()
    whole = before[: before.rindex(b"\n") + 1]
    again = started(*words, "--set", "quarantine=link.jsonl")
    send(again, SCHEMA, bad(2), bad(3), state(3))
    end(again)
    assert replayed(tmp_path, path) == [1, 2, 3]
    assert link.is_symlink()
    assert path.read_bytes().startswith(whole)


def test_a_run_of_which_nothing_was_refused_leaves_no_file(started, tmp_path):
    process = started("--to", "duckdb:///a.duckdb", "--pipeline", "p")
    send(process, SCHEMA, b'{"type":"RECORD","stream":"s","record":{"id":1}}\n', state(1))
    end(process)
    assert list(tmp_path.glob("*.jsonl")) == []
