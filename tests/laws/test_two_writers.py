"""Two runs of different pipelines that write into one table at the same time: all rows of both, none twice."""

import shlex
import sys
from contextlib import ExitStack

import pytest
from commands import tailrace
from counting_tap import TABLE
from crashing import TAP, positions
from lakes import lakes
from services.faults import Rates, fault_proxy

from tailrace.testing.crashes import wait_until_settled

IDS, ROUNDS = 200, 12
SETTINGS = ("checkpoint_rows=100", "batch_rows=50")


@pytest.fixture(params=["files", "delta", "iceberg"])
def place(request, s3_server, tmp_path):
    """A new lake."""
    with fault_proxy(s3_server.host, s3_server.port, Rates()) as calm:
        yield lakes(request.param, s3_server, calm, tmp_path)()


def command(place, meet, first, *tap):
    """The arguments of `tailrace` that load every second id, in a pipeline of its own."""
    numbers = ("--first", first, "--ids", IDS, "--rounds", ROUNDS, "--meet", meet)
    words = [sys.executable, TAP.with_name("counting_tap.py"), *numbers, *tap]
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    return ["run", "--tap", shlex.join(map(str, words)), "--to", place.url, "--pipeline", f"of {first}", *sets]


def loaded_by_two(place, meet, *tap):
    """Load by two runs at the same time; the table's rows, sorted."""
    meet.mkdir()
    with ExitStack() as stack:
        both = [stack.enter_context(tailrace(*command(place, meet, n, *tap))) for n in (0, 1)]
        for process in both:
            out, err = process.communicate()
            assert process.returncode == 0, err.decode()
            assert positions(out.splitlines())[-1] == IDS // 2 * ROUNDS
            assert len(out.splitlines()) >= 4, "there are several checkpoints"
    wait_until_settled(place.subject)
    assert not place.subject.leftovers([TABLE])
    return sorted((row["id"], row["round"]) for row in place.subject.rows(TABLE))


def test_rows_that_two_runs_append_are_all_there_and_none_twice(place, tmp_path):
    rows = loaded_by_two(place, tmp_path / "meet")
    assert rows == [(one, number) for one in range(IDS) for number in range(ROUNDS)]


@pytest.mark.parametrize("place", ["delta", "iceberg"], indirect=True)
def test_rows_that_two_runs_upsert_are_their_last_and_none_twice(place, tmp_path):
    rows = loaded_by_two(place, tmp_path / "meet", "--is-keyed")
    assert rows == [(one, ROUNDS - 1) for one in range(IDS)]
