"""The rows of a checkpoint wait in memory, then in files, and come back in the order of their lines."""

import tempfile
from pathlib import Path

import pytest

from tailrace.errors import DestinationError
from tailrace.model import LINE
from tailrace.spool import Spool
from tailrace.testing.parts import batch, stream

THINGS, LOG = stream(), stream(key=(), name="log")


def lines(spool, of):
    return [line for rows in spool.read(of) for line in rows[LINE].to_pylist()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def large(first_line):
    return batch(THINGS, *((n, "x" * 1000) for n in range(3000)), first_line=first_line)


def test_rows_come_back_by_stream_in_the_order_of_their_lines(folder):
    spool = Spool()
    for each in (batch(THINGS, (3, "c"), first_line=7), batch(LOG, (1, "x"), first_line=2), batch(THINGS, (1, "a"))):
        spool.add(each)
    assert spool.streams == [THINGS, LOG]
    assert (lines(spool, THINGS), lines(spool, LOG), spool.rows()) == ([1, 7], [2], 3)
    assert [*folder.iterdir()] == []


def test_many_rows_wait_in_files_which_go_with_the_checkpoint(folder):
    spool = Spool()
    for number in range(6):
        spool.add(large(1 + 3000 * (5 - number)))
    (inside,) = folder.iterdir()
    assert len([*inside.iterdir()]) == 4
    assert lines(spool, THINGS) == list(range(1, 18_001))
    assert lines(spool, THINGS) == list(range(1, 18_001))
    spool.clear()
    assert [*folder.iterdir()] == []
    assert (spool.rows(), spool.streams) == (0, [])


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    spool = Spool()
    spool.add(large(1))
    spool.add(large(3001))
    with pytest.raises(DestinationError, match="no temporary folder can be made"):
        spool.add(large(6001))


def test_a_file_that_cannot_be_written_is_told(folder):
    spool = Spool()
    for number in range(4):
        spool.add(large(1 + 3000 * number))
    (inside,) = folder.iterdir()
    for file in inside.iterdir():
        file.unlink()
    Path(inside).rmdir()
    with pytest.raises(DestinationError, match="can't wait"):
        spool.add(large(100_000))
    spool.clear()
