"""No crash loses a row or loads one twice, and no told state is ahead of the rows; nor when a run is stopped, or its tap fails."""

import sqlite3

import duckdb
import pytest
from crashing import Database, Kill, Source, command, killed, positions, require_truth, run, running, spread_kills
from launcher import STEPS
from replaying_tap import PAUSED

ROWS = 5000
KILLS_EACH_STEP, KILLS_AT_INSTANTS = 3, 10

each_destination = pytest.mark.parametrize("kind", ["duckdb", "sqlite"])


@each_destination
def test_runs_that_are_killed_anywhere_come_to_exactly_the_source(kind, tmp_path):
    kills = spread_kills(KILLS_EACH_STEP, KILLS_AT_INSTANTS, 1, Source(0, ROWS), tmp_path, kind)
    tally = killed(kind, tmp_path, kills, ROWS, seed=1)
    assert tally.kills == dict.fromkeys(STEPS, KILLS_EACH_STEP) | {"random instant": KILLS_AT_INSTANTS}
