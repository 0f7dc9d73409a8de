"""The conformance suite holds together, skips what a destination lacks, and notices one that does wrong."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from unittest import SkipTest

import pyarrow as pa
import pytest

from tailrace.destinations import open_destination
from tailrace.model import LINE, Published
from tailrace.testing import BEHAVIOURS, Subject

BY_NAME = {behaviour.__name__: behaviour for behaviour in BEHAVIOURS}


class Careless:
    """A destination that does one thing wrong, and everything else as the one behind it."""

    def __init__(self, behind, **wrong):
        self._behind = behind
        self._wrong = wrong

    def __getattr__(self, name):
        wrong = self._wrong.get(name)
        right = getattr(self._behind, name)
        return right if wrong is None else lambda *arguments: wrong(right, *arguments)


@pytest.fixture
def careless(tmp_path):
    path = str(tmp_path / "things.db")

    def rows(table, schema=None):
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchall()
            return [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')] if found else []

    def subject(**wrong):
        return Subject(lambda: Careless(open_destination(f"sqlite:///{path}", {}), **wrong), rows)

    return subject


def test_there_are_at_least_ninety_behaviours_each_with_a_name_of_its_own_that_says_what_is_done():
    assert len(BEHAVIOURS) >= 90
    assert [name for name, count in Counter(b.__name__ for b in BEHAVIOURS).items() if count > 1] == []
    assert [b.__name__ for b in BEHAVIOURS if b.__name__.count("_") < 2 or not b.__doc__] == ["keeps_uuids"]


def test_a_behaviour_that_a_subject_lacks_is_skipped_with_its_reason(careless):
    subject = replace(careless(), lacks={"keeps_uuids": "it has no UUIDs"})
    with pytest.raises(SkipTest, match="it has no UUIDs"):
        BY_NAME["keeps_uuids"](subject)


def test_a_lack_that_names_no_behaviour_fails_every_behaviour(careless):
    subject = replace(careless(), lacks={"keeps_uids": "a slip of the pen"})
    for behaviour in BEHAVIOURS:
        with pytest.raises(AssertionError, match="keeps_uids"):
            behaviour(subject)


def lost_state(commit, checkpoint):
    return commit(replace(checkpoint, state=None))


def no_counts(commit, checkpoint):
    return dict.fromkeys(commit(checkpoint), Published())


def lost_row(stage, batch):
    kept = batch.rows.slice(0, max(1, batch.rows.num_rows - 1))
    return replace(stage(replace(batch, rows=kept)), rows=kept.num_rows)


def lines_upside_down(stage, batch):
    first = 10**6 - batch.first_line
    lines = pa.chunked_array([range(first, first + batch.rows.num_rows)], pa.int64())
    at = batch.rows.schema.get_field_index(LINE)
    return stage(replace(batch, rows=batch.rows.set_column(at, batch.rows.schema.field(at), lines)))


def everything_is_transient(is_transient, error):
    return True


@pytest.mark.parametrize(
    ("wrong", "noticed_by"),
    [
        ({"commit": lost_state}, "a_commit_is_remembered"),
        ({"commit": lost_state}, "a_pipeline_remembers_its_last_state"),
        ({"commit": no_counts}, "a_commit_counts_what_it_did"),
        ({"commit": no_counts}, "append_keeps_every_record"),
        ({"stage": lost_row}, "a_large_batch_is_loaded_whole"),
        ({"stage": lines_upside_down}, "the_last_line_wins_though_it_is_staged_first"),
        ({"is_transient": everything_is_transient}, "an_unknown_error_is_not_transient"),
    ],
)
def test_a_destination_that_does_wrong_is_noticed(careless, wrong, noticed_by):
    with pytest.raises(AssertionError):
        BY_NAME[noticed_by](careless(**wrong))
