"""Temporary folders go with their run, and those of killed runs with the next one."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tailrace import scratch
from tailrace.scratch import ScratchFolder

HOUR_S = 3600
WAITS = """
import sys
from pathlib import Path
from tailrace.scratch import ScratchFolder
folder = ScratchFolder("spool", Path(sys.argv[1]))
(folder.path / "rows").write_text("rows")
print(folder.path, flush=True)
sys.stdin.read()
"""


def aged(path):
    """As if nothing had been made in it for an hour."""
    os.utime(path, (time.time() - HOUR_S,) * 2)
    return path


@pytest.fixture
def other(tmp_path):
    """Another run, and its folder."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, aged(type(tmp_path)(process.stdout.readline().strip()))
        process.kill()


def test_a_folder_is_its_owners_alone_and_goes_with_what_is_in_it(tmp_path):
    with ScratchFolder("spool", tmp_path) as folder:
        (folder.path / "rows").write_text("rows")
        assert folder.path.stat().st_mode & 0o777 == 0o700
    assert [*tmp_path.iterdir()] == []


def test_what_a_killed_run_has_left_goes_with_the_next_run_and_not_before(tmp_path, other):
    process, path = other
    with ScratchFolder("merge", tmp_path):
        assert (path / "rows").read_text() == "rows"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    with ScratchFolder("merge", tmp_path) as folder:
        assert [*tmp_path.iterdir()] == [folder.path]


def test_a_folder_that_its_run_is_about_to_lock_stays(tmp_path, other):
    process, path = other
    process.kill()
    process.wait()
    os.utime(path)
    with ScratchFolder("spool", tmp_path):
        assert path.exists()


def test_only_folders_of_this_machine_go_and_no_link_is_followed(tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    parent = tmp_path / "parent"
    parent.mkdir()
    with ScratchFolder("spool", parent) as folder:
        name = folder.path.name
    (parent / name).symlink_to(kept)
    aged(kept)
    (parent / "tailrace-of-somebody").mkdir()
    aged(parent / "tailrace-of-somebody")
    monkeypatch.setattr(scratch, "_machine", lambda: "elsewhere")
    with ScratchFolder("spool", parent) as folder:
        theirs = folder.path
    theirs.mkdir()
    aged(theirs)
    monkeypatch.undo()
    with ScratchFolder("spool", parent):
        assert theirs.exists()
        assert (parent / "tailrace-of-somebody").exists()
    assert (kept / "file").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        ScratchFolder("spool", tmp_path / "missing")
