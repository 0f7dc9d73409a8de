"""The budget: when it is spent, and who waits until it isn't."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from tailrace.runtime.budget import Budget

LIMIT_S = 60


def test_a_budget_is_spent_from_its_limit_on():
    budget = Budget(10)
    budget.change(9)
    assert (budget.held, budget.is_spent) == (9, False)
    budget.change(1)
    assert (budget.held, budget.is_spent) == (10, True)
    budget.change(-1)
    assert not budget.is_spent


@given(st.lists(st.integers(-50, 50)))
def test_what_is_held_is_the_sum_of_all_changes(changes):
    budget = Budget(100)
    for size in changes:
        budget.change(size)
    assert (budget.held, budget.is_spent) == (sum(changes), sum(changes) >= 100)


def test_nobody_waits_while_there_is_room():
    assert Budget(1).wait(LIMIT_S)


def test_waiting_ends_without_room_when_the_time_is_up():
    budget = Budget(1)
    budget.change(1)
    assert not budget.wait(0)


def test_whoever_waits_goes_on_when_enough_is_given_back():
    budget = Budget(10)
    budget.change(15)
    found = []
    waiting = threading.Thread(target=lambda: found.append(budget.wait(LIMIT_S)))
    waiting.start()
    budget.change(-5)
    assert found == []
    budget.change(-1)
    waiting.join(LIMIT_S)
    assert found == [True]
