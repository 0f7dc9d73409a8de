"""The target: when boundaries are taken, what is told, and what becomes of failures."""

import json
import uuid

import pytest

from tailrace.config import Settings
from tailrace.destinations.memory import Fault, MemoryDestination, TransientError
from tailrace.errors import CommitUnknownError, DestinationError, FencedError, RecordError, SchemaError
from tailrace.runtime.feed import feed_lines
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader


class Run:
    """A target that is fed by lines, with a clock that stands until it is moved, and what it has told."""

    def __init__(self, destination, **settings):
        self.told = []
        self.now_s = 0.0
        self.destination = destination
        self.reader = Reader(max_line_bytes=2**20)
        self.target = Target(
            destination,
            Settings(pipeline="p", **settings),
            tell=lambda state: self.told.append(json.loads(state)),
            monotonic_s=lambda: self.now_s,
        )
        self.target.begin()

    def send(self, *messages):
        for message in messages:
            for block in self.reader.feed(json.dumps(message).encode() + b"\n"):
                self.target.accept(block)
        return self

    def wait(self):
        """Let the drain do all that it has."""
        drain = self.target._drain
        while not drain.is_idle:
            drain._thread.join(0.001)
        drain.raise_failure()
        return self

    def rows(self, table="s"):
        return sorted(row["n"] for row in self.destination.tables().get(table, []))


def schema(stream="s", **properties):
    fields = {"n": {"type": "integer"}} | properties
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": fields}, "key_properties": []}


def records(*numbers, stream="s"):
    return [{"type": "RECORD", "stream": stream, "record": {"n": n}} for n in numbers]


def state(value):
    return {"type": "STATE", "value": value}


@pytest.fixture
def place():
    return uuid.uuid4().hex


@pytest.fixture
def run(place):
    """Begins a run into memory; closes it afterwards."""
    begun = []

    def begin(fail_at=None, refuses=None, **settings):
        begun.append(Run(MemoryDestination(place, fail_at, refuses), **settings))
        return begun[-1]

    yield begin
    for made in begun:
        made.target.close()


def test_a_state_before_any_limit_is_not_told_until_the_end(run):
    going = run().send(schema(), *records(1), state(1), *records(2)).wait()
    assert (going.told, going.rows()) == ([], [])
    report = going.target.end()
    assert (going.told, going.rows(), report.checkpoints) == ([1], [1, 2], 1)


def test_past_a_limit_the_last_state_is_a_checkpoint(run):
    going = run(checkpoint_rows=2).send(schema(), *records(1), state(1), *records(2, 3), state(3), *records(4)).wait()
    assert (going.told, going.rows()) == ([1, 3], [1, 2, 3])


def test_a_limit_of_bytes_makes_a_checkpoint_too(run):
    going = run(checkpoint_bytes=10).send(schema(), *records(1), state(1)).wait()
    assert (going.told, going.rows()) == ([1], [1])


def test_a_silent_tap_gets_its_checkpoint_by_age(run):
    going = run(checkpoint_age_s=5).send(schema(), *records(1), state(1), *records(2))
    going.now_s = 4.9
    going.target.keep_time()
    assert going.wait().told == []
    going.now_s = 5.0
    going.target.keep_time()
    going.wait()
    assert (going.told, going.rows()) == ([1], [1])


def test_before_rows_beyond_a_state_are_staged_its_checkpoint_is_committed(run):
    going = run(batch_age_s=60).send(schema(), *records(1), state(1), *records(2, 3, 4))
    going.now_s = 60.0
    going.target.keep_time()
    assert going.wait().told == []
    going.now_s = 120.0
    going.target.keep_time()
    going.wait()
    assert (going.told, going.rows()) == ([1], [1])


def test_stopping_commits_up_to_the_last_state_and_no_further(run):
    going = run(batch_age_s=1).send(schema(), *records(1), state(1), *records(2, 3))
    report = going.target.stop()
    assert (going.told, going.rows(), report.total.uncommitted) == ([1], [1], 2)


def test_stopping_without_a_state_commits_nothing(run):
    going = run().send(schema(), *records(1, 2))
    going.target.stop()
    assert (going.told, going.rows()) == ([], [])


def test_a_tap_without_states_has_one_checkpoint_at_the_end(run):
    going = run(checkpoint_rows=1).send(schema(), *records(1, 2, 3)).wait()
    assert going.rows() == []
    report = going.target.end()
    assert (going.told, going.rows(), report.checkpoints) == ([], [1, 2, 3], 1)


def test_commit_without_state_commits_at_the_limits(run):
    going = run(checkpoint_rows=2, commit_without_state=True).send(schema(), *records(1, 2, 3)).wait()
    assert (going.told, going.rows()) == ([], [1, 2])


def test_no_state_is_told_while_a_replaced_stream_is_being_read(run):
    going = run(checkpoint_rows=1, streams={"r": {"method": "replace"}})
    going.send(schema(), schema("r"), *records(1), state(1), *records(7, stream="r"), state(2), *records(2), state(3))
    going.wait()
    assert (going.told, going.rows(), going.rows("r")) == ([1], [1], [])
    going.target.end()
    assert (going.told, going.rows(), going.rows("r")) == ([1, 3], [1, 2], [7])


def test_a_stopped_run_replaces_nothing(run):
    run(streams={"r": {"method": "replace"}}).send(schema("r"), *records(1, stream="r")).target.end()
    going = run(streams={"r": {"method": "replace"}}).send(schema("r"), *records(2, stream="r"), state(2))
    going.target.stop()
    assert (going.told, going.rows("r")) == ([], [1])


def test_states_are_remembered_for_the_next_run_though_it_has_none(run, place):
    run().send(schema(), *records(1), state({"at": 1})).target.end()
    run().send(schema(), *records(2)).target.end()
    last = MemoryDestination(place).recover("p")
    assert (last.number, last.state) == (2, b'{"at": 1}')


def test_a_changed_schema_keeps_the_rows_before_it(run):
    going = run().send(schema(), *records(1), schema(m={"type": "string"}))
    going.send({"type": "RECORD", "stream": "s", "record": {"n": 2, "m": "x"}})
    going.target.end()
    assert going.destination.tables()["s"] == [{"n": 1, "m": None}, {"n": 2, "m": "x"}]


def test_a_field_beyond_the_schema_becomes_a_column_when_that_is_wanted(run):
    going = run(unknown_fields="evolve").send(schema(), *records(1))
    going.send({"type": "RECORD", "stream": "s", "record": {"n": 2, "more": {"x": 1.50}}}, state(1))
    going.target.end()
    assert going.destination.tables()["s"] == [{"n": 1, "more": None}, {"n": 2, "more": '{"x": 1.5}'}]


def test_records_of_a_stream_that_isnt_selected_are_counted_as_filtered(run):
    going = run(streams={"x": {"select": False}}).send(schema("x"), *records(1, 2, stream="x"))
    report = going.target.end()
    assert (report.streams["x"].read, report.streams["x"].filtered, going.destination.tables()) == (2, 2, {})


def test_two_streams_that_would_share_a_table_are_refused(run):
    going = run().send(schema("Users"))
    with pytest.raises(SchemaError, match="'Users' would both be the table users"):
        going.send(schema("users"))


def test_a_transient_failure_is_tried_again(run):
    faults = {("stage", 1): Fault(TransientError("busy")), ("commit", 1): Fault(TransientError("busy"))}
    going = run(fail_at=faults).send(schema(), *records(1), state(1))
    going.target.end()
    assert (going.told, going.rows()) == ([1], [1])


def test_a_lasting_failure_ends_the_run_and_tells_nothing(run):
    going = run(fail_at={("commit", 1): Fault(DestinationError("the disk is full"))})
    going.send(schema(), *records(1), state(1))
    with pytest.raises(DestinationError, match="the disk is full"):
        going.target.end()
    assert (going.told, going.rows()) == ([], [])


def test_a_commit_of_unknown_outcome_that_has_landed_is_told(run):
    going = run(fail_at={("commit", 1): Fault(CommitUnknownError("the line is dead"), after=True)})
    report = going.send(schema(), *records(1), state(1)).target.end()
    assert (going.told, going.rows(), report.total.loaded) == ([1], [1], 1)


def test_a_commit_of_unknown_outcome_that_has_not_landed_is_an_error(run):
    going = run(fail_at={("commit", 1): Fault(CommitUnknownError("the line is dead"))})
    going.send(schema(), *records(1), state(1))
    with pytest.raises(DestinationError, match="checkpoint 1 was not committed; run again"):
        going.target.end()
    assert (going.told, going.rows()) == ([], [])


def test_the_older_of_two_runs_of_a_pipeline_is_fenced(run):
    older = run().send(schema(), *records(1), state(1))
    younger = run().send(schema(), *records(2), state(2))
    with pytest.raises(FencedError, match="pipeline 'p' was taken over"):
        older.target.end()
    younger.target.end()
    assert (older.told, younger.told, younger.rows()) == ([], [2], [2])


def test_rows_that_the_destination_refuses_are_set_aside_and_the_others_loaded(run, tmp_path):
    path = tmp_path / "q.jsonl"
    going = run(refuses=lambda row: "no threes" if row["n"] == 3 else None, on_invalid="quarantine", quarantine=path)
    report = going.send(schema(), *records(1, 2, 3, 4), state(4)).target.end()
    assert (going.rows(), report.total.loaded, report.total.quarantined) == ([1, 2, 4], 3, 1)
    (entry,) = [e for e in map(json.loads, path.read_text().splitlines()) if "record" in e]
    assert (json.loads(entry["record"])["record"], entry["line"]) == ({"n": 3}, 4)
    assert entry["reasons"][0]["got"] == "no threes"


def test_a_row_that_the_destination_refuses_ends_the_run_otherwise(run):
    going = run(refuses=lambda row: "no threes" if row["n"] == 3 else None).send(schema(), *records(3), state(3))
    with pytest.raises(RecordError, match=r"line 2: .*no threes"):
        going.target.end()
    assert (going.told, going.rows()) == ([], [])


@pytest.mark.parametrize(("limit", "is_past"), [(2, False), (1, True), (0.5, False), (0.4, True)])
def test_a_run_fails_when_more_records_are_invalid_than_may_be(run, tmp_path, limit, is_past):
    going = run(on_invalid="quarantine", quarantine=tmp_path / "q.jsonl", max_invalid=limit)
    messages = [schema(), *records(1, "x", 2, "y"), state(1)]
    if is_past:
        with pytest.raises(RecordError) as raised:
            going.send(*messages).target.end()
        assert "2 records are invalid" in raised.value.__notes__[0]
        assert going.rows() == []
    else:
        going.send(*messages).target.end()
        assert going.rows() == [1, 2]


def test_the_memory_budget_is_kept_by_sealing_what_is_largest(run):
    going = run(max_memory_bytes=20_000)
    going.send(schema(), schema("t"))
    for n in range(400):
        going.send(*records(n), *records(n, stream="t"))
        assert going.target.budget.held < 25_000
    report = going.target.end()
    assert (report.total.loaded, going.target.budget.held) == (800, 0)


def fed(going, lines):
    """Read all lines ahead, as from a file, until one can't be loaded."""
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    with pytest.raises((RecordError, SchemaError)) as raised:
        feed_lines(going.target, going.reader, [data])
    return raised.value


@pytest.mark.parametrize("settings", [{}, {"batch_rows": 7}, {"checkpoint_rows": 10}, {"checkpoint_rows": 10**6}])
@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (records("x")[0], 95),
        (schema(n={"type": "date"}), 95),
        (schema() | {"key_properties": ["n"], "schema": {"properties": {"m": {"type": "integer"}}}}, 95),
        (records(-1)[0], 95),
    ],
    ids=["a bad record", "a broken schema", "a key that isn't there", "a row that the destination refuses"],
)
def test_what_cannot_be_loaded_undoes_nothing_that_a_state_before_it_covers(run, settings, bad, line):
    going = run(refuses=lambda row: "it is below 0" if (row["n"] or 0) < 0 else None, **settings)
    lines = [schema()]
    for n in range(90):
        lines += records(n) + ([state(n)] if n % 30 == 29 else [])
    error = fed(going, [*lines, bad, *records(90), state("beyond"), *records(91)])
    assert error.line == line
    assert (going.told[-1], going.rows()) == (89, list(range(90)))


def test_a_schema_error_of_the_destination_names_the_line_of_the_schema(run):
    going = run()
    first = schema() | {"key_properties": ["n"]}
    other = schema(m={"type": "integer"}) | {"key_properties": ["m"]}
    later = {"type": "RECORD", "stream": "s", "record": {"n": 2, "m": 2}}
    error = fed(going, [first, *records(1), state(1), other, later, state(2)])
    assert str(error).startswith("stream 's', line 4")
    assert (going.told, going.rows()) == ([1], [1])


def test_an_activation_before_its_schema_waits_for_it(run):
    versioned = [{**record, "version": 1} for record in records(1)]
    run(hard_delete=True).send(schema(), *versioned).target.end()
    activation = {"type": "ACTIVATE_VERSION", "stream": "s", "version": 2}
    going = run(hard_delete=True).send(activation, state(1), schema(), *[{**r, "version": 2} for r in records(2)])
    going.target.end()
    assert going.rows() == [2]


def test_an_activation_whose_schema_never_comes_is_said(run, caplog):
    going = run().send({"type": "ACTIVATE_VERSION", "stream": "gone", "version": 2}, schema(), *records(1))
    going.target.end()
    assert "the stream's SCHEMA never came stream=gone version=2 line=1" in caplog.text
    assert going.rows() == [1]


def test_an_activation_of_a_stream_that_is_not_selected_says_nothing(run, caplog):
    going = run(streams={"left": {"select": False}}).send({"type": "ACTIVATE_VERSION", "stream": "left", "version": 2})
    going.target.end()
    assert "never came" not in caplog.text
