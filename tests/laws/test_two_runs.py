"""Two processes of one pipeline: the older one's commit is refused, and the table is the newer one's."""

import signal

import pytest
from crashing import TAILRACE, Source, command, positions, require_truth, run, running
from lakes import KINDS, lakes
from places import databases
from replaying_tap import PAUSED
from services.faults import Rates, fault_proxy
from waiting import wait_for

ROWS = 4000
ONE_CHECKPOINT = ("checkpoint_rows=1000000", "batch_rows=200")
SMALL_CHECKPOINTS = ("checkpoint_rows=500", "batch_rows=200")
NEWEST = pytest.param("newest_postgres", marks=pytest.mark.newest)


@pytest.fixture(params=["postgres", NEWEST, "mariadb", "mysql", "redshift", *KINDS])
def place(request, tmp_path):
    """A new database of a server, or a new lake."""
    if request.param in KINDS:
        server = request.getfixturevalue("s3_server")
        with fault_proxy(server.host, server.port, Rates()) as calm:
            yield lakes(request.param, server, calm, tmp_path)()
    else:
        yield databases(request.getfixturevalue(f"{request.param}_server"))()


@pytest.mark.parametrize("settings", [ONE_CHECKPOINT, SMALL_CHECKPOINTS], ids=["first checkpoint", "later checkpoint"])
def test_the_older_of_two_runs_is_fenced(place, settings):
    replayed = Source(seed=7, rows=ROWS)
    with running([TAILRACE, *command(place, replayed, "--silent-at", 2500, settings=settings)]) as older:
        wait_for(older.stderr, PAUSED)
        newer = run(command(place, replayed, settings=SMALL_CHECKPOINTS))
        assert newer.code == 0, newer.stderr
        older.send_signal(signal.SIGTERM)
        out, err = older.communicate()
    assert older.returncode == 7, err.decode()
    assert b"was taken over by another run" in err
    require_truth(place, replayed, sorted({*positions(out.splitlines()), *newer.told}))
    assert place.position() == ROWS
