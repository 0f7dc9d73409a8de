"""Checkpoints: when one is due, at which STATE it ends, which states stay safe points, and how a commit is settled."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from tailrace.config import Settings
from tailrace.destinations.memory import Fault, MemoryDestination, TransientError
from tailrace.errors import CommitUnknownError, DestinationError, FencedError
from tailrace.model import Published
from tailrace.pipelines import unnamed
from tailrace.runtime import checkpoint as checkpoints
from tailrace.runtime.checkpoint import CheckpointPolicy, SafePoint, committed
from tailrace.runtime.retry import Retry
from tailrace.singer.states import PassedState, StateMessages
from tailrace.testing.parts import PIPELINE, batch, checkpoint, stream

UNNAMED = unnamed("1")
NEVER = {"checkpoint_rows": 10**9, "checkpoint_bytes": 10**12, "checkpoint_age_s": 10**9}


def policy(**settings):
    """A policy that begins at second 100, whose limits are out of reach but for those that are given."""
    return CheckpointPolicy(Settings(**(NEVER | settings)), 100.0)


def point(line, state=b"{}"):
    """A safe point before which nothing was read."""
    return SafePoint(line, state)


def passed(policy, *states, before=0):
    """Pass STATEs with these lines, or (line, value), behind so many records of ten bytes, in one block."""
    values = [state if isinstance(state, tuple) else (state, b"{}") for state in states]
    passed = (PassedState(line, value, before, 10 * before) for line, value in values)
    policy.read(before, 10 * before, StateMessages.of(passed))


def with_states(*lines, **settings):
    made = policy(**settings)
    for line in lines:
        passed(made, line)
    return made


def due_line(policy, now_s=100.0):
    found = policy.due(now_s)
    return found and found.line


@pytest.mark.parametrize(
    ("limit", "records", "size", "now_s", "is_due"),
    [
        ({"checkpoint_rows": 3}, 2, 10**9, 10**6, False),
        ({"checkpoint_rows": 3}, 3, 0, 100.0, True),
        ({"checkpoint_rows": 3}, 4, 0, 100.0, True),
        ({"checkpoint_bytes": 50}, 10**6, 49, 10**6, False),
        ({"checkpoint_bytes": 50}, 0, 50, 100.0, True),
        ({"checkpoint_bytes": 50}, 0, 51, 100.0, True),
        ({"checkpoint_age_s": 5}, 10**6, 10**9, 104.75, False),
        ({"checkpoint_age_s": 5}, 0, 0, 105.0, True),
        ({"checkpoint_age_s": 5}, 0, 0, 105.25, True),
        ({}, 10**6, 10**9, 10**6, False),
    ],
)
def test_a_checkpoint_is_due_from_the_limit_on_and_not_before(limit, records, size, now_s, is_due):
    made = with_states(1, **limit)
    made.read(records, size)
    assert (made.due(now_s) == point(1)) is is_due


def test_what_is_read_adds_up_to_the_limit():
    made = with_states(1, checkpoint_rows=3)
    made.read(2, 10)
    assert made.due(100.0) is None
    made.read(1, 10)
    assert made.due(100.0) == point(1)


def test_without_a_state_no_limit_makes_a_checkpoint_due():
    made = policy(checkpoint_rows=1, checkpoint_bytes=1, checkpoint_age_s=1)
    made.read(5, 500)
    assert (made.due(10**6), made.latest) == (None, None)
    passed(made, 6)
    assert (due_line(made, 10**6), made.latest.line) == (6, 6)


def test_a_checkpoint_that_is_due_by_age_ends_at_the_last_state_that_has_passed():
    made = with_states(2, 4, 9, checkpoint_age_s=5)
    assert (made.latest, made.due(105.0)) == (point(9), point(9))


def test_of_the_states_of_one_block_the_first_where_the_limit_is_reached_ends_a_checkpoint():
    made = policy(checkpoint_rows=3)
    counts = {10: 1, 20: 2, 30: 3, 40: 4, 50: 6, 60: 7}
    made.read(8, 80, StateMessages.of(PassedState(line, b"", n, 10 * n) for line, n in counts.items()))
    found = []
    while (due := made.due(100.0)) is not None:
        found.append(due.line)
        made.take(due, 100.0)
    assert found == [30, 50]


@pytest.mark.parametrize(("limit", "line"), [({"checkpoint_bytes": 25}, 30), ({"checkpoint_bytes": 41}, 50)])
def test_bytes_are_counted_up_to_each_state_too(limit, line):
    made = policy(**limit)
    counts = {10: 1, 20: 2, 30: 3, 40: 4, 50: 5}
    made.read(6, 60, StateMessages.of(PassedState(line, b"", n, 10 * n) for line, n in counts.items()))
    assert due_line(made) == line


def test_a_checkpoint_that_is_taken_needs_another_state_before_the_next():
    made = with_states(2, checkpoint_rows=1)
    made.read(9, 9)
    made.take(made.latest, 100.0)
    assert (made.latest, made.due(100.0)) == (None, None)
    passed(made, 30)
    assert (made.latest.line, due_line(made)) == (30, 30)


def test_counting_begins_anew_behind_a_checkpoint_with_what_is_left_beyond_it():
    made = policy(checkpoint_rows=3, checkpoint_age_s=5)
    made.read(7, 70, StateMessages.of([PassedState(6, b"", 5, 50)]))  # two records stand behind it
    made.take(made.latest, 104.0)
    passed(made, 8)
    assert made.due(108.75) is None
    assert due_line(made, 109.0) == 8
    made.read(1, 10)
    assert due_line(made, 104.0) == 8


@pytest.mark.parametrize("limit", [{"checkpoint_rows": 2}, {"checkpoint_bytes": 20}, {"checkpoint_age_s": 5}])
def test_a_checkpoint_without_a_state_is_due_at_each_limit_where_that_is_wanted(limit):
    wanted, unwanted = policy(commit_without_state=True, **limit), policy(**limit)
    for made in (wanted, unwanted):
        made.read(1, 19)
        assert not made.is_due_without_state(104.75)
        made.read(1, 1)
    assert (wanted.is_due_without_state(105.0), unwanted.is_due_without_state(105.0)) == (True, False)


def test_a_checkpoint_without_a_state_is_not_due_while_nothing_was_read():
    made = policy(commit_without_state=True, checkpoint_age_s=5)
    assert not made.is_due_without_state(10**6)


def test_a_state_that_has_passed_comes_before_a_checkpoint_without_one():
    made = policy(commit_without_state=True, checkpoint_rows=1)
    passed(made, 2, before=1)
    assert (due_line(made), made.is_due_without_state(100.0)) == (2, False)


def test_a_checkpoint_without_a_state_makes_no_state_true_and_parts_the_states_around_it():
    made = policy(commit_without_state=True)
    assert made.take(SafePoint(5, None), 100.0) is None
    assert made.is_taken(point(5))
    assert not made.is_taken(point(6))
    passed(made, (8, b"8"))
    assert made.take(made.latest, 100.0) == b"8"


def test_a_checkpoint_makes_the_state_true_at_which_it_ends():
    made = policy()
    passed(made, (2, b"2"), (4, b"4"))
    assert made.take(point(2, b"2"), 100.0) == b"2"
    assert (made.is_taken(point(2)), made.is_taken(point(4))) == (True, False)
    assert made.take(None, 100.0) == b"4"


def test_the_end_of_the_input_makes_the_last_state_true_once():
    made = with_states(2, 4)
    assert made.take(None, 100.0) == b"{}"
    assert made.take(None, 100.0) is None


def test_the_end_of_an_input_without_states_makes_none_true():
    assert policy().take(None, 100.0) is None


def test_states_behind_records_of_a_replaced_table_end_no_checkpoint_before_the_end():
    made = policy(checkpoint_rows=1, commit_without_state=True)
    made.hold(3)
    made.hold(7)
    made.read(9, 9, StateMessages.of([PassedState(2, b"2"), PassedState(5, b"5", 1, 1)]))
    assert (made.latest, made.last_before(None)) == (point(2, b"2"), point(2, b"2"))
    assert made.take(made.latest, 100.0) == b"2"
    assert (made.due(10**6), made.is_due_without_state(10**6)) == (None, False)
    assert made.take(None, 100.0) == b"5"


def test_a_run_can_end_at_the_last_state_before_a_line():
    made = with_states(3, 5, 8)
    found = [made.last_before(line) for line in (1, 3, 4, 5, 6, 8, 9, None)]
    assert found == [None, None, point(3), point(3), point(5), point(5), point(8), point(8)]


def test_a_run_can_not_end_before_what_is_committed():
    made = with_states(3, 5, 8)
    made.committed(5)
    assert [made.last_before(line) for line in (4, 6, 8, 9)] == [None, None, None, point(8)]


def test_behind_a_commit_the_states_that_it_covers_are_forgotten(monkeypatch):
    monkeypatch.setattr(checkpoints, "MAX_STATE_BYTES", 0)
    made = with_states(3, 5, 8)
    made.committed(5)
    made.take(point(8), 100.0)
    assert (made.last_before(None), made.is_crowded) == (point(8), False)
    made.committed(8)
    assert (made.latest, made.last_before(None)) == (None, None)


def test_a_checkpoint_that_was_asked_for_and_is_not_committed_can_be_taken_back():
    made = with_states(3, 5, 8)
    made.take(point(3), 100.0)
    made.committed(3)
    made.take(point(8), 100.0)
    assert (made.latest, made.is_taken(point(5))) == (None, True)
    made.retreat()
    assert (made.latest, made.is_taken(point(3)), made.is_taken(point(5))) == (point(8), True, False)
    assert made.last_before(8) == point(5)
    assert made.take(point(5), 100.0) == b"{}"


def test_states_are_crowded_by_their_bytes_until_they_are_superseded(monkeypatch):
    monkeypatch.setattr(checkpoints, "MAX_STATE_BYTES", 1000)
    made = policy()
    passed(made, (1, b"x" * 5000))
    assert not made.is_crowded  # one is never too much: without it there is no way back
    passed(made, (2, b"y"))
    assert made.is_crowded
    made.supersede(2)
    assert not made.is_crowded
    passed(made, (3, b"z" * 935))  # 33 + 967 bytes, with what a state takes by itself
    assert not made.is_crowded
    passed(made, (4, b""))
    assert made.is_crowded


class Commit:
    """A checkpoint of three rows in two batches, staged in a memory that can be told to fail."""

    def __init__(self, fail_at):
        self.name = uuid.uuid4().hex
        self.destination = MemoryDestination(self.name, fail_at)
        self.destination.recover(PIPELINE)
        of = stream(key=())
        receipts = [
            self.destination.stage(batch(of, (1, "a"), (2, "b"))),
            self.destination.stage(batch(of, (3, "c"), first_line=3)),
        ]
        self.checkpoint = checkpoint(*receipts)

    def __call__(self):
        return committed(self.destination, Retry(self.destination, 5, sleep=lambda _: None), self.checkpoint)

    def rows(self):
        return len(self.destination.tables()["things"])


@pytest.fixture
def commit():
    return Commit


def test_a_commit_gives_what_it_did(commit):
    made = commit({})
    assert made() == {"things": Published(inserted=3)}
    assert made.rows() == 3


def test_a_commit_that_fails_for_a_while_is_tried_again(commit):
    made = commit({("commit", 1): Fault(TransientError("busy"))})
    assert made() == {"things": Published(inserted=3)}


def test_a_commit_of_unknown_outcome_that_has_landed_counts_its_rows_as_inserted(commit):
    made = commit({("commit", 1): Fault(CommitUnknownError("lost"), after=True)})
    assert made() == {"things": Published(inserted=3)}
    assert made.rows() == 3


def test_a_commit_of_unknown_outcome_is_read_back_as_often_as_that_takes(commit):
    lost = Fault(CommitUnknownError("lost"), after=True)
    made = commit({("commit", 1): lost, ("recover", 2): Fault(TransientError("busy"))})
    assert made() == {"things": Published(inserted=3)}


def test_a_commit_of_unknown_outcome_that_has_not_landed_is_an_error_that_says_what_to_do(commit):
    made = commit({("commit", 1): Fault(CommitUnknownError("lost"))})
    with pytest.raises(DestinationError, match="checkpoint 1 was not committed; run again") as failed:
        made()
    assert isinstance(failed.value.__cause__, CommitUnknownError)
    assert made.rows() == 0


def test_a_commit_of_unknown_outcome_that_follows_another_is_not_taken_for_that_one(commit):
    made = commit({("commit", 2): Fault(CommitUnknownError("lost"))})
    made()
    receipt = made.destination.stage(batch(stream(key=()), (4, "d"), first_line=4, checkpoint=2))
    made.checkpoint = checkpoint(receipt, number=2)
    with pytest.raises(DestinationError, match="checkpoint 2 was not committed"):
        made()


def test_a_commit_of_unknown_outcome_is_not_taken_for_another_runs_of_that_number(commit):
    made = commit({("commit", 1): Fault(CommitUnknownError("lost"))})
    other = MemoryDestination(made.name)
    other.recover(PIPELINE)
    theirs = checkpoint(other.stage(batch(stream(key=()), (4, "d"))))
    other.commit(replace(theirs, at=theirs.at + timedelta(seconds=1)))
    with pytest.raises(DestinationError, match="checkpoint 1 was not committed"):
        made()
    assert made.rows() == 1


@pytest.mark.parametrize("after", [True, False], ids=["landed", "not landed"])
def test_the_last_commit_of_a_run_without_pipeline_is_found_though_it_is_forgotten(commit, after):
    made = commit({("commit", 2): Fault(CommitUnknownError("lost"), after=after)})
    made.destination.recover(UNNAMED)
    of = stream(key=())
    made.checkpoint = checkpoint(made.destination.stage(batch(of, (1, "a"))), pipeline=UNNAMED)
    made()
    receipt = made.destination.stage(batch(of, (2, "b"), first_line=2, checkpoint=2))
    made.checkpoint = checkpoint(receipt, number=2, pipeline=UNNAMED, final=True)
    if after:
        assert made() == {"things": Published(inserted=1)}
    else:
        with pytest.raises(DestinationError, match="checkpoint 2 was not committed"):
            made()


def test_a_commit_that_is_refused_is_neither_tried_again_nor_read_back(commit):
    made = commit({("recover", 2): Fault(AssertionError("asked"))})
    MemoryDestination(made.destination._made_from[0]).recover(PIPELINE)
    with pytest.raises(FencedError):
        made()
