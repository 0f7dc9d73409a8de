"""Two processes of one pipeline: the older one's commit is refused, and the table is the newer one's."""

import signal

import pytest
from crashing import Runs, positions
from endpoints import endpoint
from lakes import KINDS, lakes
from places import databases
from replaying_tap import PAUSED
from services.faults import Rates, fault_proxy
from services.rest import rest
from waiting import wait_for

from tailrace.testing.fencing import the_older_of_two_runs_is_fenced
from tailrace.testing.replay import Replay

NEWEST = pytest.param("newest_postgres", marks=pytest.mark.newest)
SERVERS = ("postgres", NEWEST, "mariadb", "mysql", "redshift", "snowflake", "bigquery", "mongodb", "opensearch")


@pytest.fixture(params=[*SERVERS, "http", *KINDS])
def place(request, tmp_path):
    """A new database of a server, a new lake in a bucket, or an endpoint."""
    if request.param in KINDS:
        server = request.getfixturevalue("s3_server")
        with fault_proxy(server.host, server.port, Rates()) as calm:
            yield lakes(request.param, server, calm, tmp_path)()
    elif request.param == "http":
        with rest() as server:
            yield endpoint(server, tmp_path)
    else:
        yield databases(request.getfixturevalue(f"{request.param}_server"))()


def test_the_older_of_two_runs_is_fenced(place):
    the_older_of_two_runs_is_fenced(place.subject)


@pytest.mark.parametrize("place", ["postgres", "delta"], indirect=True)
def test_the_command_that_was_overtaken_says_so_and_ends_with_a_code_of_its_own(place, tmp_path):
    source = Replay(seed=7, rows=2000, state_every=40, people=60)
    older, newer = Runs(place, source, tmp_path), Runs(place, source, tmp_path)
    # Nothing but its end has it commit, so that it can't find out before it is asked to end.
    with older.started("--silent-at", 1250, settings=("checkpoint_rows=1000000",)) as command:
        wait_for(command.stderr, PAUSED)
        ended = newer.run()
        assert ended.code == 0, ended.stderr
        command.send_signal(signal.SIGTERM)
        out, err = command.communicate()
    assert command.returncode == 7, err.decode()
    assert b"was taken over by another run" in err
    newer.require_truth(sorted({*positions(out.splitlines()), *ended.told}))
    newer.require_whole()
