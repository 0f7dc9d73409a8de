"""The drain when rows are refused: which they are, each once, and how a run goes on up to an earlier line."""

import pytest
from drains import THINGS, end, rows, things

from tailrace.destinations.memory import Fault
from tailrace.errors import DestinationError, FencedError, RecordError, RowsRefusedError, SchemaError
from tailrace.model import Activation
from tailrace.runtime.items import Preparation
from tailrace.testing.parts import PIPELINE


def refusing(*lines):
    """Refuses rows by name."""
    return {"refuses": lambda row: f"{row['n']} is odd" if row["n"] in lines else None}


def refusing_all_with(*lines):
    """Refuses a whole batch for one of these rows, as databases do that don't say which it is."""

    def before_stage(batch):
        if any(line in lines for line in batch.rows["n"].to_pylist()):
            raise RowsRefusedError(f"{batch.rows.num_rows} rows: one is odd")

    return {"before_stage": before_stage}


def staged(made):
    return [call[1:3] for call in made.destination.calls if call[0] == "stage"]


def test_rows_that_are_named_are_refused_and_the_others_staged(going):
    made = going(**refusing(2, 4)).put(rows(1, 2, 3, 4, 5), end(5))
    made.drain.finish()
    assert made.refused == [(2, "2 is odd"), (4, "4 is odd")]
    assert (staged(made), made.numbers()) == ([(1, 5), (1, 5)], [1, 3, 5])
    assert made.budget.held == 0


def test_a_batch_of_which_all_rows_are_refused_leaves_nothing_to_stage(going):
    made = going(**refusing(1, 2)).put(rows(1, 2), end(2))
    made.drain.finish()
    assert (staged(made), made.told) == ([(1, 2)], [(1, b"{}", {})])


@pytest.mark.parametrize("odd", [(1,), (3,), (6,), (1, 6), (3, 4), (2, 4, 6), (1, 2, 3, 4, 5, 6)])
def test_rows_that_are_not_named_are_found_by_halving_in_the_order_of_lines(going, odd):
    made = going(**refusing_all_with(*odd)).put(rows(1, 2, 3, 4, 5, 6), end(6))
    made.drain.finish()
    assert made.refused == [(line, "1 rows: one is odd") for line in odd]
    assert made.numbers() == [line for line in range(1, 7) if line not in odd]
    assert made.budget.held == 0


def test_halving_stages_the_larger_parts_that_are_taken(going):
    made = going(**refusing_all_with(5)).put(rows(1, 2, 3, 4, 5, 6), end(6))
    made.drain.finish()
    assert staged(made) == [(1, 6), (1, 3), (4, 6), (4, 4), (5, 6), (5, 5), (6, 6)]


def test_the_lines_of_several_checkpoints_are_refused_each(going):
    made = going(**refusing(1, 3)).put(rows(1, 2), end(2), rows(3, 4, checkpoint=2), end(4))
    made.drain.finish()
    assert ([line for line, _ in made.refused], made.numbers()) == ([1, 3], [2, 4])


def test_a_refused_row_that_ends_the_run_leaves_the_rows_before_it_staged(going):
    made = going(**refusing_all_with(4), fails=True)
    failure = made.put_all(rows(1, 2, 3, 4, 5, 6), end(6))
    assert (type(failure), failure.line) == (RecordError, 4)
    assert staged(made) == [(1, 6), (1, 3), (4, 6), (4, 4)]
    made.drain.resume(3)
    made.put(end(3, b"3")).drain.finish()
    assert (made.numbers(), made.told) == ([1, 2, 3], [(1, b"3", {"things": 3})])
    assert made.budget.held == 0


@pytest.mark.parametrize("until_line", [0, 1, 3, 5])
@pytest.mark.parametrize("refuses", [refusing, refusing_all_with])
def test_a_run_goes_on_up_to_any_line_before_the_refused_one(going, refuses, until_line):
    made = going(**refuses(6), fails=True)
    assert made.put_all(Preparation(THINGS, 1), rows(1, 2), rows(3, 4), rows(5, 6, 7), end(7), rows(8)).line == 6
    made.drain.resume(until_line)
    made.put(end(until_line, b"until")).drain.finish()
    assert made.numbers() == list(range(1, until_line + 1))
    assert [(number, state) for number, state, _ in made.told] == [(1, b"until")]
    assert made.budget.held == 0


def test_what_is_staged_beyond_the_line_is_let_go_of_and_staged_anew_up_to_it(going):
    made = going(**refusing(6), fails=True)
    made.put_all(rows(1, 2), rows(3, 4), rows(6), end(7))
    made.drain.resume(3)
    made.put(end(3)).drain.finish()
    at = made.destination.calls.index(("recover", PIPELINE))
    assert made.destination.calls[at:] == [
        ("recover", PIPELINE),
        ("stage", 1, 2, 1),
        ("stage", 3, 3, 1),
        ("commit", 1, b"{}", (1, 3)),
    ]


def test_what_is_staged_up_to_the_line_stays(going):
    made = going(**refusing(6), fails=True)
    made.put_all(rows(1, 2), rows(3, 4), rows(6), end(7))
    made.drain.resume(4)
    made.put(end(4)).drain.finish()
    assert staged(made) == [(1, 2), (3, 4), (6, 6)]
    assert made.numbers() == [1, 2, 3, 4]


def test_checkpoints_that_wait_behind_the_error_give_their_activations_back(going):
    early, late = Activation(THINGS, 1, 1), Activation(THINGS, 2, 4)
    made = going(**refusing(3), fails=True)
    made.put_all(rows(3), end(3, activate=(early,)), rows(4, checkpoint=2), end(5, activate=(late,)))
    assert made.drain.next_number == 3
    assert made.drain.resume(2) == (early, late)
    assert (made.drain.next_number, made.drain.has_failed) == (1, False)
    made.put(end(2)).drain.finish()
    assert [number for number, _, _ in made.told] == [1]


def test_rows_of_later_checkpoints_are_those_of_the_one_that_ends_the_run(going):
    made = going(**refusing(6), fails=True)
    made.put_all(rows(1), end(1), rows(6, of=things("others"), checkpoint=2), rows(2, 3, checkpoint=2), end(6))
    made.drain.resume(3)
    made.put(end(3)).drain.finish()
    assert made.destination.calls[-2:] == [("stage", 2, 3, 2), ("commit", 2, b"{}", (2,))]
    assert made.numbers() == [1, 2, 3]


def test_tables_are_prepared_that_lines_up_to_there_ask_for(going):
    made = going(**refusing(6), fails=True)
    made.put_all(rows(6), Preparation(things("early"), 3), Preparation(things("late"), 4))
    made.drain.resume(3)
    made.put(end(3)).drain.finish()
    assert [call for call in made.destination.calls if call[0] == "prepare"] == [("prepare", "early")]


def test_a_row_that_is_tried_again_is_not_refused_again(going):
    def before_stage(batch):
        if 5 in batch.rows["n"].to_pylist():
            raise SchemaError("too wide", stream="things", line=5)

    made = going(before_stage=before_stage, **refusing(2))
    assert made.put_all(rows(1, 2, 3), rows(5), end(5)).line == 5
    made.drain.resume(1)
    made.put(rows(2), end(2)).drain.finish()
    assert (made.refused, made.numbers()) == ([(2, "2 is odd")], [1])


@pytest.mark.parametrize("error", [DestinationError("down"), FencedError(PIPELINE), RuntimeError("a fault")])
def test_after_an_error_that_is_about_no_line_a_run_does_not_go_on(going, error):
    made = going({("stage", 2): Fault(error)})
    assert made.put_all(rows(1), rows(2), end(2)) is error
    with pytest.raises(type(error)) as raised:
        made.drain.resume(1)
    assert (raised.value, made.drain.has_failed) == (error, True)


@pytest.mark.parametrize("until_line", [3, 4, 9])
def test_a_run_does_not_go_on_up_to_the_refused_line_or_beyond(going, until_line):
    made = going(**refusing(3), fails=True)
    failure = made.put_all(rows(1), rows(3))
    with pytest.raises(RecordError) as raised:
        made.drain.resume(until_line)
    assert (raised.value, made.drain.has_failed) == (failure, True)


def test_a_run_does_not_go_on_up_to_a_line_that_more_was_staged_behind_than_memory_holds(going):
    made = going(**refusing(6), fails=True, max_bytes=8 * rows(1, 2).rows.nbytes - 1)
    failure = made.put_all(rows(1, 2), rows(6))
    with pytest.raises(RecordError) as raised:
        made.drain.resume(1)
    assert (raised.value, made.drain.has_failed, made.budget.held) == (failure, True, rows(6).rows.nbytes)
    made.drain.resume(2)  # nothing is to be staged anew up to there
    made.put(end(2)).drain.finish()
    assert (made.numbers(), made.budget.held) == ([1, 2], 0)


def test_a_checkpoint_that_is_refused_as_a_whole_names_its_end_and_is_staged_anew(going):
    activation = Activation(THINGS, 1, 2)
    made = going({("commit", 2): Fault(RowsRefusedError("a key is there twice"))})
    made.put(rows(1), end(1))
    failure = made.put_all(rows(2, 3, checkpoint=2), rows(4, checkpoint=2), end(5, activate=(activation,)))
    assert (str(failure), failure.line) == ("a key is there twice", 5)
    assert made.drain.resume(3) == (activation,)
    made.put(end(3, b"3")).drain.finish()
    assert made.destination.calls[-3:] == [("recover", PIPELINE), ("stage", 2, 3, 2), ("commit", 2, b"3", (2,))]
    assert (made.numbers(), made.budget.held) == ([1, 2, 3], 0)


def test_all_rows_of_a_refused_checkpoint_are_staged_anew_though_none_is_beyond_the_line(going):
    made = going({("commit", 1): Fault(RowsRefusedError("a key is there twice"))})
    made.put_all(rows(1, 2), rows(3), end(4))
    made.drain.resume(3)
    made.put(end(3)).drain.finish()
    assert made.destination.calls[-4:] == [
        ("recover", PIPELINE),
        ("stage", 1, 2, 1),
        ("stage", 3, 3, 1),
        ("commit", 1, b"{}", (1, 3)),
    ]


def test_a_destination_that_fails_while_rows_are_let_go_of_ends_the_run(going):
    made = going({("recover", 2): Fault(DestinationError("down"))}, **refusing(6), fails=True)
    made.put_all(rows(1, 2), rows(6))
    with pytest.raises(DestinationError, match="down"):
        made.drain.resume(1)
