"""No crash loses a row, loads one twice, or tells a state ahead of its rows; nor do runs that are stopped or fail."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from crashing import Runs, positions
from endpoints import endpoint
from lakes import KINDS, TROUBLE, lakes, local_lake
from places import databases, file, files
from replaying_tap import PAUSED
from services.faults import fault_proxy
from services.rest import rest
from waiting import wait_for

from tailrace.testing.crashes import a_crash_at_any_call_loses_no_row_and_loads_none_twice
from tailrace.testing.replay import Replay

SOURCE = Replay(seed=7, rows=2000, state_every=40, people=60)
SILENT_AT = 1250
ROWS_OF_LAKES, KILLS = 800, 2
ONE_CHECKPOINT = ("checkpoint_rows=1000000",)
"""Settings under which nothing but the end of a run ends a checkpoint."""

SERVERS = (
    "postgres",
    "mariadb",
    "mysql",
    "redshift",
    "bigquery",
    "snowflake",
    "mongodb",
    "opensearch",
    "elasticsearch",
)
DATABASES = ("duckdb", "sqlite", *(kind for kind in SERVERS if kind != "elasticsearch"))
ALIKE = ("redshift", "mysql")
"""What others stand for here: PostgreSQL and MariaDB reach their servers by the same calls."""
LONG = ("iceberg", "bigquery", "snowflake", "opensearch", "elasticsearch", *ALIKE)
WAREHOUSES = ("bigquery", "snowflake")


def with_newest(kinds, newest):
    """The kinds, of which these run on the newest servers alone."""
    return [pytest.param(kind, marks=pytest.mark.newest if kind in newest else ()) for kind in kinds]


AT_ANY_CALL = with_newest([*KINDS, "http", *DATABASES, "elasticsearch"], LONG)
"""What stands in for warehouses takes five minutes and more for it, and the others one or two."""
KILLED = with_newest([*KINDS, *DATABASES], WAREHOUSES)


@pytest.fixture(params=with_newest(DATABASES, (*WAREHOUSES, "redshift", "mariadb")))
def kind(request):
    """Of what kind a place is; how a run is told to end, or fails, is nothing to a lake."""
    return request.param


@pytest.fixture
def place(request, kind, tmp_path):
    """A new place; lakes are in a folder."""
    if kind in KINDS:
        yield local_lake(kind, tmp_path)
    elif kind == "http":
        with rest() as server:
            yield endpoint(server, tmp_path)
    elif kind in SERVERS:
        yield databases(request.getfixturevalue(f"{kind}_server"))()
    else:
        yield file(kind, tmp_path / "place")


@pytest.fixture
def places(request, kind, tmp_path):
    """Gives a new place at each call; on the way to lakes, which are in buckets, there is trouble."""
    if kind in KINDS:
        server = request.getfixturevalue("s3_server")
        with fault_proxy(server.host, server.port, TROUBLE[kind], seed=1) as faults:
            yield lakes(kind, server, faults, tmp_path)
    elif kind in SERVERS:
        yield databases(request.getfixturevalue(f"{kind}_server"))
    else:
        yield files(kind, tmp_path)


@pytest.fixture
def runs(place, tmp_path):
    """Runs over a source that has rows behind the last STATE before the row at which the tap falls silent."""
    assert SOURCE.last_state(SILENT_AT) < SILENT_AT
    return Runs(place, SOURCE, tmp_path)


@contextmanager
def genuine(*arguments):
    """`tailrace` as a shell starts it."""
    words = [Path(sys.executable).with_name("tailrace"), *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, bufsize=0, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", AT_ANY_CALL, indirect=True)
def test_runs_that_crash_at_any_call_come_to_exactly_the_source(kind, place):
    tally = a_crash_at_any_call_loses_no_row_and_loads_none_twice(place.subject)
    assert tally.crashes["before"] > 10
    assert tally.crashes["after"] > 10


def load_while_killed(places, source, tmp_path):
    """Load the source, again and again, by genuine processes that are killed at random instants."""
    instants = Runs(places(), source, tmp_path, start=genuine).instants(seed=1)
    kills = 0
    while kills < KILLS:
        runs, told = Runs(places(), source, tmp_path, start=genuine), []
        while kills < KILLS and (ended := runs.killed(*instants.next())).code != 0:
            assert ended.code == -signal.SIGKILL, ended.stderr
            kills += 1
            told += ended.told
            runs.require_truth(told, was_interrupted=True)
        runs.complete()


@pytest.mark.parametrize("kind", KILLED, indirect=True)
def test_processes_of_the_command_line_that_are_killed_come_to_exactly_the_source(kind, places, tmp_path):
    source = Replay(seed=1, rows=ROWS_OF_LAKES if kind in KINDS else SOURCE.rows, state_every=40, people=60)
    load_while_killed(places, source, tmp_path)


def test_sigterm_commits_and_tells_the_last_state_and_leaves_what_comes_behind_it(runs):
    with runs.started("--silent-at", SILENT_AT, settings=ONE_CHECKPOINT) as command:
        wait_for(command.stderr, PAUSED)
        command.send_signal(signal.SIGTERM)
        out, _ = command.communicate()
    assert command.returncode == 143
    assert positions(out.splitlines()) == [SOURCE.last_state(SILENT_AT)]
    assert runs.position() == SOURCE.last_state(SILENT_AT)
    runs.require_truth([SOURCE.last_state(SILENT_AT)])
    runs.complete()


def test_sigint_ends_with_its_own_exit_code(runs):
    with runs.started("--silent-at", SILENT_AT) as command:
        wait_for(command.stderr, PAUSED)
        command.send_signal(signal.SIGINT)
        out, _ = command.communicate()
    assert command.returncode == 130
    assert positions(out.splitlines())[-1] == SOURCE.last_state(SILENT_AT)
    runs.require_truth(positions(out.splitlines()))


def test_sigterm_before_the_first_state_commits_nothing(runs):
    with runs.started("--silent-at", SOURCE.states()[0] - 1) as command:
        wait_for(command.stderr, PAUSED)
        command.send_signal(signal.SIGTERM)
        out, _ = command.communicate()
    assert (command.returncode, out) == (143, b"")
    assert runs.position() == 0
    runs.require_truth([])
    runs.complete()


def test_a_tap_that_fails_leaves_what_it_sent_up_to_its_last_state(runs):
    ended = runs.run("--fail-at", SILENT_AT)
    assert ended.code == 8
    assert "ended with exit code 3" in ended.stderr
    assert ended.told[-1] == runs.position() == SOURCE.last_state(SILENT_AT)
    runs.require_truth(ended.told)
    runs.complete()


def test_a_silent_tap_has_its_last_state_told_by_age(runs):
    by_age = ("checkpoint_age_s=0.2", "batch_age_s=0.2")
    with runs.started("--silent-at", SILENT_AT, settings=by_age) as command:
        told = positions([command.stdout.readline()])
        while told[-1] < SOURCE.last_state(SILENT_AT):
            told += positions([command.stdout.readline()])
        command.send_signal(signal.SIGTERM)
        out, err = command.communicate()
    assert command.returncode == 143, err.decode()
    assert out == b""
    assert runs.position() == told[-1]
    runs.require_truth(told)
    runs.complete()


def test_a_run_with_nothing_new_changes_nothing(runs):
    assert runs.complete().told[-1] == SOURCE.rows
    assert runs.complete().told == []
