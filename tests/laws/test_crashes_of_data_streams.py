"""No crash loses a document of a data stream or adds one twice, beside an index with keys in the same run."""

import pytest
from places import database
from test_crashes import SOURCE, load_while_killed

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
    load_while_killed(places, SOURCE, tmp_path)
    found = opensearch_server.ask("GET", "_data_stream")["data_streams"]
    assert all(each["name"].endswith("events") for each in found)
    assert found
