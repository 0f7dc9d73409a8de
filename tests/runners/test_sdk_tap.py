"""A tap on the Singer SDK is started again with the last line that was printed, and sends only what is new."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from commands import run

TAP = Path(__file__).with_name("sdk_tap.py")
LOADERS = {
    "tailrace": ["load", "--to", "duckdb:///n.duckdb"],
    "target-tailrace": ["--config", "c.json"],
}


def piped(folder, program, until):
    """What `tap | loader >> states; tail -1 states > state.json` does; gives the rows that the tap has sent."""
    (folder / "tap.json").write_text(json.dumps({"until": until}))
    state = ["--state", "state.json"] if (folder / "state.json").exists() else []
    words = [sys.executable, TAP, "--config", "tap.json", *state]
    tap = subprocess.run(words, cwd=folder, capture_output=True, check=True)
    done = run(*LOADERS[program], program=program, cwd=folder, stdin=tap.stdout)
    done.check_returncode()
    (folder / "state.json").write_bytes(done.stdout.splitlines()[-1])
    return sum(b'"RECORD"' in line for line in tap.stdout.splitlines())


@pytest.mark.parametrize("program", LOADERS)
def test_a_tap_that_is_given_the_last_line_sends_only_what_is_new(tmp_path, program):
    (tmp_path / "c.json").write_text(json.dumps({"to": "duckdb:///n.duckdb"}))
    assert [piped(tmp_path, program, until) for until in (5, 8)] == [5, 3]
    assert json.loads((tmp_path / "state.json").read_text())["bookmarks"]["numbers"]["replication_key_value"] == 8
    with duckdb.connect(str(tmp_path / "n.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT list(n ORDER BY n) FROM numbers").fetchall() == [([*range(1, 9)],)]
