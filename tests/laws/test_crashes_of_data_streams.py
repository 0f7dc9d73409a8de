"""No crash loses a document of a data stream or adds one twice, beside an index with keys in the same run."""

import signal

import pytest
from crashing import Runs
from places import database
from test_crashes import KILLS, SOURCE, genuine

from tailrace.testing.crashes import a_crash_at_any_call_loses_no_row_and_loads_none_twice


@pytest.fixture
def places(opensearch_server):
    return lambda: database(opensearch_server, f"{opensearch_server.database()}?data_streams=*events")


@pytest.mark.newest
def test_runs_that_crash_at_any_call_come_to_exactly_the_source(places):
    tally = a_crash_at_any_call_loses_no_row_and_loads_none_twice(places().subject)
    assert tally.crashes["before"] > 10
    assert tally.crashes["after"] > 10


def test_processes_that_are_killed_come_to_exactly_the_source(places, tmp_path, opensearch_server):
    instants = Runs(places(), SOURCE, tmp_path, start=genuine).instants(seed=1)
    kills = 0
    while kills < KILLS:
        place = places()
        runs, told = Runs(place, SOURCE, tmp_path, start=genuine), []
        while kills < KILLS and (ended := runs.killed(*instants.next())).code != 0:
            assert ended.code == -signal.SIGKILL, ended.stderr
            kills += 1
            told += ended.told
            runs.require_truth(told, was_interrupted=True)
        runs.complete()
    found = opensearch_server.ask("GET", "_data_stream")["data_streams"]
    assert all(each["name"].endswith("events") for each in found)
    assert found
