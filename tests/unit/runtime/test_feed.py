"""Feeding: how a run ends when its input ends, is cut off, can't be read on, or has lines that can't be loaded."""

import json
import threading
import uuid

import pytest

from tailrace.config import Settings
from tailrace.destinations.memory import Fault, MemoryDestination
from tailrace.errors import (
    ConfigError,
    DestinationError,
    FencedError,
    MessageError,
    RecordError,
    RecordsWithoutSchemaError,
    SchemaError,
)
from tailrace.runtime.feed import feed_chunks, feed_lines
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader


def line(**message):
    return json.dumps(message).encode() + b"\n"


SCHEMA = line(type="SCHEMA", stream="s", schema={"properties": {"n": {"type": "integer"}}}, key_properties=[])


def record(n):
    return line(type="RECORD", stream="s", record={"n": n})


def state(value):
    return line(type="STATE", value=value)


class Pump:
    """Gives chunks one after the other, of which an error is raised and None is a silence; empty at the end."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    def next(self, _):
        chunk = self.chunks.pop(0) if self.chunks else b""
        if isinstance(chunk, Exception):
            raise chunk
        return chunk


class Run:
    """A run into a memory, and the states that it told."""

    def __init__(self, fail_at=None, refuses=None, **settings):
        self.destination = MemoryDestination(uuid.uuid4().hex, fail_at, refuses)
        self.told = []
        self.target = Target(
            self.destination,
            Settings(pipeline="p", **settings),
            tell=lambda value: self.told.append(json.loads(value)),
            monotonic_s=lambda: 0.0,
        )
        self.target.begin()
        self.reader = Reader(max_line_bytes=1000)

    def feed(self, *chunks, stopping=None, **more):
        return feed_chunks(self.target, self.reader, Pump(*chunks), stopping=stopping or threading.Event(), **more)

    def failure(self, error, *chunks):
        with pytest.raises(error) as failed:
            self.feed(*chunks)
        return failed.value

    def rows(self):
        return sorted(row["n"] for row in self.destination.tables().get("s", []))


@pytest.fixture
def run():
    """Begins runs; closes them afterwards."""
    begun = []

    def begin(*arguments, **settings):
        begun.append(Run(*arguments, **settings))
        return begun[-1]

    yield begin
    for each in begun:
        each.target.close()


def test_an_input_is_loaded_to_its_end_in_whatever_pieces_and_after_whatever_silences(run):
    whole = SCHEMA + record(1) + state(1) + record(2).rstrip()
    going = run()
    going.feed(whole[:30], None, whole[30:150], None, whole[150:])
    assert (going.rows(), going.told) == ([1, 2], [1])


def test_an_input_that_was_cut_off_is_loaded_up_to_its_last_state(run):
    going = run()
    going.feed(SCHEMA, record(1), state(1), record(2), is_whole=lambda: False)
    assert (going.rows(), going.told) == ([1], [1])


def test_a_run_that_is_to_stop_ends_at_the_last_state(run):
    going, stopping = run(), threading.Event()

    class Stopping(Pump):
        def next(self, timeout_s):
            if len(self.chunks) == 1:
                stopping.set()
            return super().next(timeout_s)

    pump = Stopping(SCHEMA, record(1), state(1), record(2), record(3))
    feed_chunks(going.target, going.reader, pump, stopping=stopping)
    assert (going.rows(), going.told, pump.chunks) == ([1], [1], [])


def test_what_came_before_an_input_that_can_not_be_read_on_is_loaded_up_to_its_last_state(run):
    going, gone = run(), ConfigError("gone")
    assert going.failure(ConfigError, SCHEMA, record(1), state(1), record(2), gone) is gone
    assert (going.rows(), going.told) == ([1], [1])


@pytest.mark.parametrize(
    ("bad", "error"), [(b"no json\n", MessageError), (record("x"), RecordError), (line(type="RECORD"), MessageError)]
)
def test_what_came_before_a_line_that_can_not_be_loaded_is_loaded_up_to_the_state_before(run, bad, error):
    going = run()
    assert going.failure(error, SCHEMA, record(1) + state(1) + record(2) + bad + state(2)).line == 5
    assert (going.rows(), going.told) == ([1], [1])


OTHER = SCHEMA.replace(b'"s"', b'"other"')
ACTIVATION = line(type="ACTIVATE_VERSION", stream="s", version=1)
EMPTY = line(type="SCHEMA", stream="other", schema={"properties": {}}, key_properties=[])


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (record("x"), RecordError),
        (record(1).replace(b'"s"', b'"strange"'), RecordsWithoutSchemaError),
        (EMPTY, SchemaError),
        (SCHEMA.replace(b'"s"', b'"nested"'), ConfigError),
        (b"no json\n", MessageError),
    ],
)
@pytest.mark.parametrize("behind", [b"", record("y"), b"no json either\n", EMPTY, ACTIVATION])
def test_whatever_else_is_read_with_it_a_line_that_can_not_be_loaded_ends_the_run_at_the_state_before(
    run, bad, error, behind
):
    going = run(streams={"nested": {"nested": "native"}})
    others = [record(n).replace(b'"s"', b'"other"') for n in (1, 2, 3)]
    lines = [SCHEMA, OTHER, record(1), others[0], state(1), others[1], state(2), bad, others[2], state(3), behind]
    # What is wrong with a value is found out later than what is wrong with a message.
    is_found_later = error is RecordError and behind not in (record("y"), ACTIVATION)
    failed = going.failure((error, MessageError, SchemaError) if is_found_later else error, b"".join(lines))
    if not is_found_later and error is not ConfigError:
        assert failed.line == 8
    assert (going.rows(), going.told) == ([1], [2])
    assert len(going.destination.tables()["other"]) == 2


def test_lines_given_one_by_one_are_loaded_like_an_input(run):
    going = run()
    feed_lines(going.target, going.reader, [SCHEMA, record(1), state(1), record(2).rstrip()])
    assert (going.rows(), going.told) == ([1, 2], [1])
    bad = run()
    with pytest.raises(MessageError):
        feed_lines(bad.target, bad.reader, [SCHEMA, record(1), state(1), b"no json\n"])
    assert (bad.rows(), bad.told) == ([1], [1])


def test_an_earlier_line_that_turns_out_to_be_no_better_ends_the_run_before_it(run):
    going = run(refuses=lambda row: "odd" if row["n"] == 2 else None)
    states = [record(1), state(1), record(2), state(2), record(3), state(3)]
    error = going.failure(MessageError, SCHEMA + b"".join(states) + b"no json\n")
    assert (error.line, going.rows(), going.told) == (8, [1], [1])
    assert not hasattr(error, "__notes__")


def test_what_could_not_be_committed_either_is_noted(run):
    going = run({("commit", 1): Fault(DestinationError("down"))})
    error = going.failure(MessageError, SCHEMA + record(1) + state(1) + b"no json\n")
    assert error.__notes__ == ["what came before could not be committed either: down"]
    assert (going.rows(), going.told) == ([], [])


def test_an_error_that_came_twice_is_not_noted(run):
    down = DestinationError("down")
    going = run({("prepare", 1): Fault(down)})
    assert going.failure(DestinationError, SCHEMA + record(1) + state(1)) is down
    assert not hasattr(down, "__notes__")


def test_after_an_error_that_is_about_no_line_nothing_is_committed(run):
    going = run({("commit", 1): Fault(FencedError("p"))}, checkpoint_rows=1)
    going.failure(FencedError, SCHEMA + record(1) + state(1) + record(2) + state(2))
    assert (going.rows(), going.told) == ([], [])
