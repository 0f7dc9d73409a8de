"""A function as a destination does what every destination does, but keep or change rows: those are the function's."""

import pytest

import tailrace
from tailrace.testing import BEHAVIOURS, DELETIONS, REPLACEMENTS, UPSERTS, Subject

TAKEN = {}


def take(batch, table):
    """Keep the rows by the name of their table."""
    TAKEN.setdefault(table, []).extend(batch.to_pylist())


@pytest.fixture
def subject(tmp_path):
    TAKEN.clear()

    def rows(table, schema=None):
        found = TAKEN.get(table, [])
        names = dict.fromkeys(name for row in found for name in row)
        return [dict.fromkeys(names) | row for row in found]

    def opened():
        return tailrace.destination(checkpoints=tmp_path)(take)

    return Subject(open=opened, rows=rows, lacks=LACKS)


NO_TABLE = "a function gets every row, and has no table"
NO_TYPE = "a function has no columns of a type, which a schema could break or change"
LACKS = dict.fromkeys((*UPSERTS, *DELETIONS, *REPLACEMENTS), NO_TABLE) | {
    "a_column_that_cannot_be_altered_gets_another_beside_it": NO_TYPE,
    "a_failed_change_leaves_the_table_as_it_was": NO_TYPE,
    "a_frozen_contract_refuses_a_new_column": NO_TYPE,
    "a_frozen_contract_refuses_a_wider_kind": NO_TYPE,
    "a_key_that_becomes_text_finds_the_rows_that_wait": NO_TYPE,
    "a_narrower_kind_goes_into_a_wider_column": NO_TYPE,
    "a_value_that_a_wider_column_would_change_is_refused": NO_TYPE,
    "an_integer_column_takes_floats": NO_TYPE,
    "refused_rows_leave_nothing_staged": NO_TYPE,
    "rows_that_the_table_would_change_are_set_aside": NO_TYPE,
    "rows_that_the_table_would_change_end_the_run": NO_TYPE,
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_functions(behaviour, subject):
    behaviour(subject)
