"""Whatever a tap sends and however it is cut up, the tables are those of a plain model, and so is the report.

The examples are the same each time; TAILRACE_EXAMPLES is how many times as many others are tried instead.
"""

from itertools import islice

import pytest
from examples import law
from hypothesis import assume, given
from hypothesis import strategies as st
from loads import Place, a_place
from message_streams import cases, line_of
from plain_model import Model

from tailrace import load
from tailrace.runtime import sink

EXAMPLES = {"memory": 100, "sqlite": 50, "duckdb": 20, "delta": 6}

each_destination = pytest.mark.parametrize("kind", EXAMPLES)


@pytest.fixture(autouse=True)
def _several_runs_are_decoded_at_once(monkeypatch):
    """A few records are enough to decode together, so that runs, marks and changes of the schema cross."""
    monkeypatch.setattr(sink, "DECODE_BYTES", 300)


class CrashError(Exception):
    """What ends a run in the middle of its input."""


@each_destination
def test_tables_report_states_and_quarantine_are_those_of_a_plain_model(kind):
    @law(EXAMPLES[kind])
    @given(case=cases())
    def holds(case):
        final = Model(case.plans).after(case.messages)
        with a_place(kind) as place:
            report = place.load(case, case.lines())
            assert_loaded(place, case, final)
            assert_adds_up(report, final)
            assert_told_in_order(place.told, case.states())
            assert place.set_aside() == [
                (number, line_of(message))
                for number, message in enumerate(case.messages, start=1)
                if any(message is invalid for stream in final.streams.values() for invalid in stream.invalid)
            ]

    holds()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_state_is_told_when_just_what_comes_before_it_is_visible(kind):
    @law(EXAMPLES[kind])
    @given(case=cases())
    def holds(case):
        final = Model(case.plans).after(case.messages)
        columns = final.columns()
        with a_place(kind) as place:
            place.load(case, case.lines(), look=lambda: place.tables(case, columns))
            for told, seen in zip(place.told, place.seen, strict=True):
                covered = Model(case.plans).after(case.messages[: case.at_state(told)])
                expected = [covered.tables(columns, with_replaced=False)]
                if told == case.states()[-1]:
                    expected.append(final.tables(columns))
                assert seen in expected

    holds()


@each_destination
def test_a_run_that_crashes_anywhere_is_made_up_for_by_the_next(kind):
    @law(EXAMPLES[kind])
    @given(case=cases(methods=("append", "upsert", "insert_ignore"), is_steady=True), data=st.data())
    def holds(case, data):
        final = Model(case.plans).after(case.messages)
        lines = case.lines()
        crash_at = data.draw(st.integers(0, len(lines)))
        with a_place(kind) as place:
            with pytest.raises(CrashError):
                place.load(case, crashing(lines, crash_at), pipeline="p")
            at = case.at_state(place.told[-1]) if place.told else 0
            assert at <= crash_at
            rest = [*map(line_of, case.schemas_before(at)), *lines[at:]]
            place.load(case, rest, pipeline="p")
            assert_loaded(place, case, final)
            assert_told_in_order(place.told, case.states())
            invalid = [line_of(message) for stream in final.streams.values() for message in stream.invalid]
            assert sorted(text for _, text in place.set_aside()) == sorted(invalid)

    holds()


@each_destination
def test_all_but_one_record_of_a_key_are_deduplicated_in_a_single_checkpoint(kind):
    @law(EXAMPLES[kind])
    @given(case=cases(methods=("append", "upsert", "replace"), is_steady=True))
    def holds(case):
        final = Model(case.plans).after(case.messages)
        with a_place(kind) as place:
            report = place.load(case, case.lines(), checkpoint_rows=1000)
        assume(report.checkpoints == 1)
        for name, stream in final.streams.items():
            plan = stream.plan
            if plan.key and plan.method != "append" and not plan.is_versioned and len(stream.schemas) == 1:
                assert report.streams[name].loaded == len(stream.keys)
                assert report.streams[name].deduplicated == stream.loadable - len(stream.keys)

    holds()


def schema(*later):
    properties = {"id": {"type": "integer"}, "t": {"type": "string"}, **{name: {"type": "integer"} for name in later}}
    return {"type": "SCHEMA", "stream": "s", "schema": {"properties": properties}, "key_properties": ["id"]}


def record(fields, **more):
    return {"type": "RECORD", "stream": "s", "record": fields, **more}


def test_a_record_that_brings_the_first_version_keeps_the_schema_that_it_came_under(tmp_path):
    place = Place("memory", tmp_path)
    load([schema(), record({"id": 1, "c1": 5}, version=1), schema("c1")], f"memory://{tmp_path.name}")
    assert [(row["id"], row["c1"]) for row in place.rows("s")] == [(1, None)]


@pytest.mark.parametrize(
    ("first", "unknown_fields"),
    [(record({"id": 1, "t": "first"}, version=1), "drop"), (record({"id": 1, "t": "first", "c2": 5}), "evolve")],
    ids=["a version", "an unknown field"],
)
def test_last_line_wins_behind_a_schema_that_follows_a_record_with(first, unknown_fields, tmp_path):
    place = Place("memory", tmp_path)
    sent = [schema(), first, schema("c1"), record({"id": 1, "t": "last"})]
    load(sent, f"memory://{tmp_path.name}", unknown_fields=unknown_fields)
    assert [(row["id"], row["t"]) for row in place.rows("s")] == [(1, "last")]


def test_a_field_that_a_record_brings_before_an_activation_is_a_column_behind_it(tmp_path):
    place = Place("memory", tmp_path)
    activation = {"type": "ACTIVATE_VERSION", "stream": "s", "version": 1}
    sent = [schema(), record({"id": 1, "t": "first", "c2": 5}), activation, record({"id": 1, "t": "last"})]
    load(sent, f"memory://{tmp_path.name}", unknown_fields="evolve")
    assert [(row["t"], row["c2"]) for row in place.rows("s")] == [("last", None)]


def crashing(lines, crash_at):
    """The first lines, then a crash."""
    yield from islice(lines, crash_at)
    raise CrashError


def assert_adds_up(report, final):
    """read = loaded + deduplicated + filtered + quarantined, and each is the model's."""
    for name, stream in final.streams.items():
        found = report.streams[name]
        assert (found.read, found.filtered, found.quarantined) == (stream.read, stream.filtered, len(stream.invalid))
        assert found.loaded + found.deduplicated == stream.loadable
        assert found.uncommitted == 0
        if not stream.plan.key or stream.plan.method == "append":
            assert found.loaded == stream.loadable


def assert_told_in_order(told, sent):
    """States are told once each, in the order in which they were sent, and the last one sent is the last one told."""
    places = [sent.index(state) for state in told]
    assert places == sorted(set(places))
    assert told[-1:] == sent[-1:]


def assert_loaded(place, case, final):
    """The tables have the model's rows, in the model's columns."""
    columns = final.columns()
    assert place.tables(case, columns) == final.tables(columns)
    for plan in case.plans:
        assert all(set(row) == set(columns[plan.name]) for row in place.rows(plan.name))
