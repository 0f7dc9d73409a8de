"""The drain: in which order it works, what is staged at once, where it halts, and how it goes on or gives up."""

import threading
from dataclasses import replace

import pytest
from drains import AT, LIMIT_S, THINGS, Gate, end, rows, things

from tailrace.destinations.memory import Fault, TransientError
from tailrace.errors import DestinationError, FencedError, SchemaError
from tailrace.model import Activation, Checkpoint, Published
from tailrace.runtime.items import Preparation
from tailrace.testing.parts import PIPELINE, stream


def test_work_is_done_in_the_order_in_which_it_comes(going):
    made = going().put(Preparation(THINGS, 1), rows(2, 3), end(4, b"4"), rows(5, checkpoint=2), end(6, b"6"))
    made.drain.finish()
    assert made.destination.calls == [
        ("prepare", "things"),
        ("stage", 2, 3, 1),
        ("commit", 1, b"4", (2,)),
        ("stage", 5, 5, 2),
        ("commit", 2, b"6", (5,)),
    ]
    assert made.told == [(1, b"4", {"things": 2}), (2, b"6", {"things": 1})]
    assert made.numbers() == [2, 3, 5]


def test_a_checkpoint_publishes_in_the_order_of_lines_whatever_was_staged_first(going):
    other = things("others")
    made = going().put(rows(7, 8), rows(3, of=other), rows(9), end(10))
    made.drain.finish()
    assert made.destination.calls[-1] == ("commit", 1, b"{}", (3, 7, 9))


def test_the_quarantine_is_asked_before_a_commit_and_the_state_told_after_it(going):
    made = going().put(rows(1), end(2))
    made.drain.finish()
    assert made.events == [("covering", 1, 2, 1), ("told", 1, 2, 2)]


def test_a_stream_without_columns_of_its_records_has_no_table_to_prepare(going):
    filled = stream(replace(THINGS.columns[0], path=()), key=())
    made = going().put(Preparation(filled, 1))
    made.drain.finish()
    assert made.destination.calls == []


def test_numbers_and_states_follow_those_of_the_last_run(going):
    going(place="numbers").put(end(1, b"1")).drain.finish()
    made = going(place="numbers")
    assert made.drain.next_number == 2
    made.put(rows(1, checkpoint=2), end(1, None), end(2, b"3"), end(3, None))
    assert made.drain.next_number == 5
    made.drain.finish()
    assert [(number, state) for number, state, _ in made.told] == [(2, b"1"), (3, b"3"), (4, b"3")]


def test_what_a_boundary_asks_for_is_in_its_checkpoint(going):
    seen = []
    made = going()
    made.memory.commit = lambda checkpoint: seen.append(checkpoint) or {"things": Published()}
    activation = Activation(THINGS, 5, 2)
    made.put(end(3, activate=(activation,), replace=(THINGS,), final=True))
    made.drain.finish()
    assert seen == [Checkpoint(PIPELINE, 1, b"{}", AT, (), (activation,), (THINGS,), final=True)]


def staged_alone(going, max_parallelism, *items):
    """For each batch of these items, which all waited when the first was begun, whether it was staged by itself."""
    held, are_alone = Gate(), []

    def before_stage(_):
        are_alone.append(threading.current_thread().name == "tailrace-drain")

    made = going(before_stage=before_stage, max_parallelism=max_parallelism)
    made.memory.prepare = lambda _: held.wait()
    made.put(Preparation(THINGS, 1), *items)
    held.open()
    made.drain.finish()
    return are_alone


def test_batches_that_wait_one_behind_the_other_are_staged_at_once(going):
    everyone = threading.Barrier(3)
    held = Gate()
    made = going(before_stage=lambda _: everyone.wait(LIMIT_S), max_parallelism=3)
    made.memory.prepare = lambda _: held.wait()
    made.put(Preparation(THINGS, 1), rows(1), rows(2), rows(3), rows(4), rows(5), rows(6), end(6))
    held.open()
    made.drain.finish()  # which takes as many at once as the barrier
    assert sorted(made.numbers()) == [1, 2, 3, 4, 5, 6]
    assert {call[1] for call in made.destination.calls[1:4]} == {1, 2, 3}


@pytest.mark.parametrize(
    ("max_parallelism", "items", "are_alone"),
    [
        (1, (rows(1), rows(2)), [True, True]),
        (2, (rows(1), rows(2), rows(3)), [False, False, True]),
        (8, (rows(1), end(1), rows(2, checkpoint=2), rows(3, checkpoint=2)), [True, False, False]),
        (8, (rows(1), Preparation(THINGS, 2), rows(3), rows(4)), [True, False, False]),
    ],
)
def test_nothing_else_is_staged_at_once(going, max_parallelism, items, are_alone):
    assert staged_alone(going, max_parallelism, *items) == are_alone


def test_a_destination_that_gains_nothing_by_it_gets_one_batch_at_a_time(going, monkeypatch):
    monkeypatch.setattr("drains.MemoryDestination.traits", replace(going().memory.traits, is_serial=True))
    assert staged_alone(going, 8, rows(1), rows(2), rows(3)) == [True, True, True]


def test_a_failure_that_passes_halts_nothing(going):
    busy = Fault(TransientError("busy"))
    made = going({("prepare", 1): busy, ("stage", 1): busy, ("stage", 2): busy, ("commit", 1): busy})
    made.put(Preparation(THINGS, 1), rows(2), end(3)).drain.finish()
    assert (made.numbers(), made.drain.has_failed) == ([2], False)


@pytest.mark.parametrize(
    ("call", "left"), [(("prepare", 1), 0), (("stage", 1), 0), (("commit", 1), 0), (("stage", 2), 1)]
)
def test_the_first_error_halts_the_work_and_is_raised_from_then_on(going, call, left):
    broken = DestinationError("broken")
    made = going({call: Fault(broken)})
    assert made.put_all(Preparation(THINGS, 1), rows(2), end(3), rows(4, checkpoint=2), end(5)) is broken
    assert made.drain.has_failed
    calls = len(made.destination.calls)
    for raising in (lambda: made.put(rows(6)), made.drain.raise_failure, made.drain.finish):
        with pytest.raises(DestinationError) as again:
            raising()
        assert again.value is broken
    assert (len(made.destination.calls), len(made.numbers())) == (calls, left)


def test_an_error_of_a_table_names_the_line_that_makes_the_stream_so(going):
    wrong = SchemaError("no such type", stream="things")
    made = going({("prepare", 1): Fault(wrong), ("stage", 1): Fault(SchemaError("gone", stream="things"))})
    assert made.put_all(Preparation(THINGS, 7)) is wrong
    assert str(wrong) == "stream 'things', line 7: no such type"
    other = going({("stage", 1): Fault(SchemaError("gone", stream="things"))})
    assert str(other.put_all(rows(3, 4))) == "stream 'things', line 3: gone"


@pytest.mark.parametrize(
    ("failures", "raised"),
    [
        ({1: SchemaError("a", stream="s"), 3: SchemaError("b", stream="s")}, 1),
        ({3: SchemaError("a", stream="s", line=9), 2: SchemaError("b", stream="s", line=8)}, 2),
        ({1: SchemaError("a", stream="s"), 3: DestinationError("down")}, 3),
        ({2: DestinationError("down"), 3: DestinationError("down too")}, 2),
        ({1: DestinationError("down"), 2: FencedError("p")}, 1),
    ],
)
def test_of_errors_at_once_the_one_about_no_line_wins_then_that_of_the_first_line(going, failures, raised):
    everyone, held = threading.Barrier(3), Gate()

    def before_stage(given):
        everyone.wait(LIMIT_S)
        if given.first_line in failures:
            raise failures[given.first_line]

    made = going(before_stage=before_stage, max_parallelism=3)
    made.memory.prepare = lambda _: held.wait()
    made.put(Preparation(THINGS, 1), rows(1), rows(2), rows(3))
    held.open()
    assert made.failure() is failures[raised]


def test_rows_beyond_the_end_of_a_checkpoint_are_a_fault_of_the_run_unless_it_is_the_last(going):
    made = going()
    assert isinstance(made.put_all(rows(1, 2, 3), end(2)), RuntimeError)
    assert made.destination.calls == [("stage", 1, 3, 1)]
    last = going().put(rows(1, 2, 3), end(2, final=True))
    last.drain.finish()
    assert last.numbers() == [1, 2, 3]


def test_a_drain_is_idle_when_all_is_done(going):
    held = Gate()
    made = going(before_stage=lambda _: held.wait())
    assert made.drain.is_idle
    made.put(rows(1))
    assert not made.drain.is_idle
    held.open()
    made.drain.finish()
    assert made.drain.is_idle


def test_an_abandoned_drain_does_what_it_is_at_and_no_more(going):
    held, staging = Gate(), Gate()

    def before_stage(_):
        staging.open()
        held.wait()

    made = going(before_stage=before_stage, max_bytes=rows(1).rows.nbytes + rows(2).rows.nbytes)
    made.put(rows(1))
    staging.wait()
    made.put(rows(2), end(2))
    abandoning = threading.Thread(target=made.drain.abandon)
    abandoning.start()
    assert made.budget.wait(LIMIT_S), "what waits isn't dropped"
    held.open()
    abandoning.join(LIMIT_S)
    made.drain.abandon()
    assert made.destination.calls == [("stage", 1, 1, 1)]
    assert made.numbers() == []


def test_the_budget_holds_what_waits_and_what_may_have_to_be_staged_anew_and_nothing_in_the_end(going):
    held = Gate()
    made = going(before_stage=lambda _: held.wait())
    first, second = rows(1, 2), rows(3)
    size = first.rows.nbytes + second.rows.nbytes
    made.put(first, second)
    assert made.budget.held == size
    made.put(end(3))
    held.open()
    made.drain.finish()
    assert made.budget.held == 0


def test_copies_of_what_is_staged_count_until_the_commit(going):
    made = going().put(rows(1, 2), rows(3))
    made.drain.finish()
    assert made.budget.held == rows(1, 2).rows.nbytes + rows(3).rows.nbytes


def test_no_copies_are_kept_of_more_than_an_eighth_of_the_memory(going):
    size = rows(1, 2).rows.nbytes
    fitting, larger = going(max_bytes=8 * size), going(max_bytes=8 * size - 1)
    for made in (fitting, larger):
        made.put(rows(1, 2)).drain.finish()
    assert (fitting.budget.held, larger.budget.held) == (size, 0)
