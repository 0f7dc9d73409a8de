"""Activations: each is in the checkpoint that covers its line, and one that comes early waits for its SCHEMA."""

import pytest

from tailrace.model import Activation, Stream, TableName
from tailrace.runtime.activations import Activations
from tailrace.singer.messages import ActivateVersionMessage

STREAM = Stream("s", TableName("s"), ())


def message(version, line, stream="s"):
    return ActivateVersionMessage(line, stream, version)


@pytest.fixture
def waiting():
    made = Activations()
    for line in (2, 5, 9):
        made.add(STREAM, message(line * 10, line))
    return made


def lines(taken):
    return [activation.line for activation in taken]


@pytest.mark.parametrize(
    ("until_line", "taken", "left"),
    [(1, [], [2, 5, 9]), (2, [2], [5, 9]), (8, [2, 5], [9]), (9, [2, 5, 9], []), (None, [2, 5, 9], [])],
)
def test_a_checkpoint_has_those_up_to_its_line_once(waiting, until_line, taken, left):
    assert lines(waiting.take(until_line)) == taken
    assert lines(waiting.take(None)) == left


def test_an_activation_is_of_its_stream_version_and_line(waiting):
    assert waiting.take(2) == (Activation(STREAM, 20, 2),)


def test_those_of_a_checkpoint_that_failed_come_before_the_others_again(waiting):
    taken = waiting.take(5)
    waiting.put_back(taken)
    assert lines(waiting.take(None)) == [2, 5, 9]


@pytest.mark.parametrize("versions", [(1, 2), (2, 1), (2, 2)])
def test_of_several_early_ones_that_of_the_highest_version_waits(versions):
    made = Activations()
    for line, version in enumerate(versions, 1):
        made.add_early(message(version, line))
    early = made.early("s")
    assert early.version == 2
    assert early.line == (2 if versions == (1, 2) else 1)
    assert made.early("s") is None


def test_what_waited_in_vain_is_said(caplog):
    made = Activations()
    made.add_early(message(3, 7, "here"))
    made.add_early(message(4, 8, "gone"))
    made.early("here")
    made.say_unmet()
    (said,) = caplog.records
    assert "stream=gone version=4 line=8" in said.getMessage()
