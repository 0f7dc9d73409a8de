"""No crash loses a row, loads one twice, or tells a state ahead of its rows; nor do runs that are stopped or fail."""

import signal

import pytest
from crashing import (
    TAILRACE,
    Source,
    command,
    killed,
    positions,
    require_truth,
    run,
    running,
    spread_kills,
)
from lakes import KINDS, TROUBLE, lakes
from launcher import STEPS
from places import databases, files
from replaying_tap import PAUSED
from services.faults import fault_proxy
from waiting import wait_for

ROWS = 4000
ROWS_OF_LAKES = 1000
"""Each file is some requests, and the way to object stores has delays of its own."""
KILLS_EACH_STEP, KILLS_AT_INSTANTS = 3, 10

ONE_CHECKPOINT = ("checkpoint_rows=1000000", "batch_rows=200")
"""Settings under which nothing but the end of a run is a boundary."""


DATABASES = ("duckdb", "sqlite", "postgres", "mariadb", "mysql", "redshift")


@pytest.fixture(params=DATABASES)
def kind(request):
    """Of what kind a database is; how a run is told to end, or fails, is nothing to a lake."""
    return request.param


@pytest.fixture
def places(request, kind, tmp_path):
    """Gives a new database at each call; for lakes there is trouble on the way to the object store."""
    if kind in KINDS:
        server = request.getfixturevalue("s3_server")
        with fault_proxy(server.host, server.port, TROUBLE[kind], seed=1) as faults:
            yield lakes(kind, server, faults, tmp_path)
    elif kind in ("duckdb", "sqlite"):
        yield files(kind, tmp_path)
    else:
        yield databases(request.getfixturevalue(f"{kind}_server"))


@pytest.fixture
def replayed():
    """A source that has rows behind the STATE before its 2500th row."""
    made = Source(seed=7, rows=ROWS)
    assert made.last_state(2500) < 2500
    return made


def complete(database, replayed):
    """Start a run that isn't disturbed, after which the tables must equal the source."""
    ended = run(command(database, replayed))
    assert ended.code == 0, ended.stderr
    assert database.tables() == replayed.tables(ROWS, upserts=database.upserts)
    return ended


@pytest.mark.parametrize("kind", [*KINDS, *DATABASES], indirect=True)
def test_runs_that_are_killed_anywhere_come_to_exactly_the_source(kind, places):
    rows = ROWS_OF_LAKES if kind in KINDS else ROWS
    kills = spread_kills(places, each_step=KILLS_EACH_STEP, instants=KILLS_AT_INSTANTS, rows=rows, seed=1)
    tally = killed(places, kills, rows, seed=1)
    assert tally.kills == dict.fromkeys(STEPS, KILLS_EACH_STEP) | {"random instant": KILLS_AT_INSTANTS}


def test_sigterm_commits_and_tells_the_last_state_and_leaves_what_comes_behind_it(places, replayed):
    database = places()
    words = [TAILRACE, *command(database, replayed, "--silent-at", 2500, settings=ONE_CHECKPOINT)]
    with running(words) as process:
        wait_for(process.stderr, PAUSED)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert process.returncode == 143
    assert positions(out.splitlines()) == [replayed.last_state(2500)]
    assert database.position() == replayed.last_state(2500)
    require_truth(database, replayed, [replayed.last_state(2500)])
    complete(database, replayed)


def test_sigint_ends_with_its_own_exit_code(places, replayed):
    database = places()
    with running([TAILRACE, *command(database, replayed, "--silent-at", 2500)]) as process:
        wait_for(process.stderr, PAUSED)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    assert positions(out.splitlines())[-1] == replayed.last_state(2500)
    require_truth(database, replayed, positions(out.splitlines()))


def test_sigterm_before_the_first_state_commits_nothing(places, replayed):
    database, silent_at = places(), replayed.states()[0] - 1
    with running([TAILRACE, *command(database, replayed, "--silent-at", silent_at)]) as process:
        wait_for(process.stderr, PAUSED)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert (process.returncode, out) == (143, b"")
    assert database.tables() == replayed.tables(0)
    complete(database, replayed)


def test_a_tap_that_fails_leaves_what_it_sent_up_to_its_last_state(places, replayed):
    database = places()
    ended = run(command(database, replayed, "--fail-at", 2500))
    assert ended.code == 8
    assert "ended with exit code 3" in ended.stderr
    assert ended.told[-1] == database.position() == replayed.last_state(2500)
    require_truth(database, replayed, ended.told)
    complete(database, replayed)


def test_a_silent_tap_has_its_last_state_told_by_age(places, replayed):
    database = places()
    by_age = ("checkpoint_age_s=0.2", "batch_age_s=0.2")
    with running([TAILRACE, *command(database, replayed, "--silent-at", 2500, settings=by_age)]) as process:
        told = [positions([process.stdout.readline()])[0]]
        while told[-1] < replayed.last_state(2500):
            told += positions([process.stdout.readline()])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert process.returncode == 143, err.decode()
    assert out == b""
    assert database.position() == told[-1] == replayed.last_state(2500)
    require_truth(database, replayed, told)
    complete(database, replayed)


def test_a_run_with_nothing_new_changes_nothing(places, replayed):
    database = places()
    assert complete(database, replayed).told[-1] == ROWS
    assert complete(database, replayed).told == []
