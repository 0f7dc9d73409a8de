"""Parting: rows up to a line and behind it, and copies of staged batches for as long as they are few."""

from dataclasses import replace

import pytest
from drains import rows
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import LINE
from tailrace.runtime.budget import Budget
from tailrace.runtime.parting import Copies, batch_after, batch_until, rows_parted

LINES = st.lists(st.integers(1, 60), unique=True).map(sorted)


@given(LINES, st.integers(0, 61))
def test_rows_are_parted_at_any_line(lines, until_line):
    table = rows(*(lines or [1])).rows.slice(0, len(lines))
    table = table.set_column(1, LINE, [lines]) if lines else table
    before, after = rows_parted(table, until_line)
    assert before[LINE].to_pylist() == [line for line in lines if line <= until_line]
    assert after[LINE].to_pylist() == [line for line in lines if line > until_line]


def test_a_part_of_a_batch_is_one_of_the_same_stream_for_the_checkpoint_that_is_asked_for():
    given_rows = replace(rows(3, 4, 5, checkpoint=7), is_outdated=True)
    until, after = batch_until(given_rows, 4, 2), batch_after(given_rows, 4)
    assert (until.first_line, until.last_line, until.checkpoint, until.stream) == (3, 4, 2, given_rows.stream)
    assert (after.first_line, after.last_line, after.checkpoint) == (5, 5, 7)
    assert until.is_outdated
    assert after.is_outdated


@pytest.mark.parametrize(("line", "has_until", "has_after"), [(2, False, True), (3, True, True), (5, True, False)])
def test_a_part_without_rows_is_none(line, has_until, has_after):
    given_rows = rows(3, 4, 5)
    assert (batch_until(given_rows, line, 1) is not None) == has_until
    assert (batch_after(given_rows, line) is not None) == has_after


SIZE = rows(1).rows.nbytes


def test_copies_are_held_until_they_are_taken():
    budget = Budget(8 * 2 * SIZE)
    copies, first, second = Copies(budget), rows(1), rows(2)
    copies.add(first)
    copies.add(second)
    assert budget.held == 2 * SIZE
    assert copies.take() == [first, second]
    assert (copies.take(), budget.held) == ([], 0)


def test_of_too_many_batches_there_are_no_copies_until_all_begins_anew():
    budget = Budget(8 * 2 * SIZE)
    copies = Copies(budget)
    for line in (1, 2, 3, 4):
        copies.add(rows(line))
    assert budget.held == 0
    assert copies.take() is None
    copies.add(rows(5))
    assert ([batch.first_line for batch in copies.take()], budget.held) == ([5], 0)


def test_copies_that_are_cleared_are_not_held():
    budget = Budget(8 * SIZE)
    copies = Copies(budget)
    copies.add(rows(1))
    copies.clear()
    assert (copies.take(), budget.held) == ([], 0)
