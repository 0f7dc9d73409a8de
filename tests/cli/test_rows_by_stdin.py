"""Rows that come by stdin are kept on this machine until they were read twice, in a folder that goes with the run."""

import os
import sqlite3

import pytest
from commands import tailrace
from services.processes import wait_until

HOUR_S = 3600


@pytest.fixture
def load(tmp_path):
    """Starts a load of CSV from stdin, whose temporary files come into a folder of that name."""
    (tmp_path / "kept").mkdir()
    words = ("load", "--to", f"sqlite:///{tmp_path}/s.db", "--format", "csv", "--stream", "people")
    return lambda: tailrace(*words, environ={"TMPDIR": str(tmp_path / "kept")}, stdin=True)


def test_rows_of_stdin_are_loaded_and_what_a_killed_load_has_kept_of_them_goes_with_the_next_one(tmp_path, load):
    with load() as killed:
        killed.stdin.write(b"id,name\n1,Ada\n")
        wait_until(lambda: [*tmp_path.glob("kept/*/stdin")], lambda: "nothing is kept of stdin")
        killed.kill()
        killed.wait()
    (left,) = tmp_path.glob("kept/*")
    os.utime(left, (left.stat().st_mtime - HOUR_S,) * 2)
    with load() as command:
        _, said = command.communicate(b"id,name\n1,Ada\n2,Bob\n")
        assert command.wait() == 0, said.decode()
    assert [*tmp_path.glob("kept/*")] == []
    with sqlite3.connect(tmp_path / "s.db") as database:
        assert database.execute("SELECT id, name FROM people ORDER BY id").fetchall() == [(1, "Ada"), (2, "Bob")]
