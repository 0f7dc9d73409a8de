"""A stream's pipeline: what is sealed under which plan, in which order, and what it holds meanwhile."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tailrace.config import Settings
from tailrace.errors import RecordError
from tailrace.model import LINE, Batch, Clock, RecordBlock, Traits
from tailrace.runtime import pipeline as pipelines
from tailrace.runtime.budget import Budget
from tailrace.runtime.findings import Findings
from tailrace.runtime.invalid import Invalid
from tailrace.runtime.items import Preparation
from tailrace.runtime.pipeline import Shared, StreamPipeline
from tailrace.runtime.report import Tally
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import SchemaMessage

NOW = datetime(2024, 1, 2, tzinfo=UTC)


class Puts:
    """What is put into a drain, in its order: (revision, line) of a plan, (revision, lines) of a batch.

    `outdated` are the lines of rows that an activation before them may be about.
    """

    next_number = 1

    def __init__(self):
        self.items = []
        self.outdated = []

    def put(self, item):
        match item:
            case Preparation():
                self.items.append((item.stream.revision, item.line))
            case Batch():
                self.items.append((item.stream.revision, item.rows[LINE].to_pylist()))
                self.outdated += item.rows[LINE].to_pylist() if item.is_outdated else []


class Made:
    """A pipeline of a stream `s`, and what comes out of it."""

    def __init__(self, threads, key=(), **settings):
        self.key = key
        self.drain = Puts()
        self.budget = Budget(10**6)
        given = Settings(**settings)
        tally = Tally()
        self.streams = Streams(given, Traits("tests", "none"))
        findings = Findings(tally, Invalid(given, tally, "p", "r"), self.streams)
        clock = Clock(NOW, lambda: NOW)
        self.shared = Shared(given, clock, threads, self.budget, self.drain, self.streams, findings, tally)
        self.pipeline = None

    def schema(self, line, *fields):
        """Open the plan of a SCHEMA with these integers."""
        properties = {name: {"type": ["null", "integer"]} for name in ("id", *fields)}
        message = SchemaMessage(line, "s", json.dumps({"properties": properties}).encode(), self.key, (), None, None)
        stream = self.streams.accept(message)
        if stream is None:
            return self
        if self.pipeline is None:
            self.pipeline = StreamPipeline(self.shared, stream, line)
        else:
            self.pipeline.open(stream, line)
        return self

    def records(self, first_line, *records, now_s=0.0, **more):
        messages = [{"type": "RECORD", "stream": "s", "record": each, **more} for each in records]
        lines = [json.dumps(each).encode() + b"\n" for each in messages]
        self.pipeline.add(RecordBlock.of("s", b"".join(lines), (first_line, len(lines))), now_s)
        return self

    def sealed(self, until_line=None):
        """What sealing puts into the drain, and all that was put before."""
        self.pipeline.seal(until_line, 0.0)
        items, self.drain.items = self.drain.items, []
        return items


@pytest.fixture
def made():
    with ThreadPoolExecutor(2) as threads:
        yield lambda *arguments, **settings: Made(threads, *arguments, **settings)


def test_records_become_one_batch_behind_their_plan(made):
    going = made().schema(1).records(2, {"id": 1}).records(3, {"id": 2}, {"id": 3})
    assert going.sealed() == [(1, 1), (1, [2, 3, 4])]
    assert going.sealed() == []


def test_rows_up_to_a_line_are_sealed_and_the_others_stay(made):
    going = made().schema(1).records(2, {"id": 1}, {"id": 2}, {"id": 3})
    assert going.sealed(until_line=3) == [(1, 1), (1, [2, 3])]
    assert going.sealed() == [(1, [4])]


def test_two_plans_that_take_turns_have_one_batch_each(made):
    going = made().schema(1).records(2, {"id": 1}).schema(3, "a").records(4, {"id": 2}).schema(5).records(6, {"id": 3})
    going.schema(7, "a").records(8, {"id": 4})
    # The first plan was prepared before the second, so it is again before a batch of it.
    assert going.sealed() == [(1, 1), (2, 3), (2, [4, 8]), (1, 2), (1, [2, 6])]


def test_a_schema_with_its_members_in_another_order_is_the_same_plan(made):
    going = made().schema(1, "a", "b").records(2, {"id": 1}).schema(3, "b", "a").records(4, {"id": 2})
    assert going.sealed() == [(1, 1), (1, [2, 4])]


def test_where_rows_are_merged_each_turn_of_a_plan_is_a_later_revision(made):
    going = made(("id",)).schema(1).records(2, {"id": 1}).schema(3, "a").records(4, {"id": 1})
    going.schema(5).records(6, {"id": 1}).schema(7, "a").records(8, {"id": 1})
    batches = [item for item in going.sealed() if isinstance(item[1], list)]
    assert batches == [(1, [2]), (2, [4]), (3, [6]), (4, [8])]


def test_rows_are_outdated_by_a_later_version_that_was_activated_before_them_in_any_checkpoint(made):
    going = made().schema(1).records(2, {"id": 1}, version=1).records(3, {"id": 2})
    going.sealed()
    going.pipeline.activate(2, 4, 0.0)
    going.pipeline.activate(1, 5, 0.0)
    for line, version in ((6, 2), (7, None), (8, 3), (9, 1)):
        going.records(line, {"id": line}, version=version).sealed()
    assert going.drain.outdated == [9]


def test_a_plan_is_prepared_before_each_batch_that_follows_another_plans(made):
    going = made(("id",)).schema(1).schema(2, "a").records(3, {"id": 1})
    assert going.sealed() == [(1, 1), (2, 2), (2, [3])]
    going.schema(4).records(5, {"id": 1})
    assert going.sealed() == [(3, 4), (3, [5])]


def test_an_unknown_field_moves_the_records_from_there_on_to_a_grown_plan(made, monkeypatch):
    monkeypatch.setattr(pipelines, "DECODE_BYTES", 1)
    going = made(unknown_fields="evolve").schema(1).records(2, {"id": 1})
    going.pipeline.advance(0.0)
    going.records(3, {"id": 2}, {"id": 3, "new": 1}).records(5, {"id": 4})
    assert going.sealed() == [(1, 1), (2, 4), (2, [3, 4, 5]), (1, 2), (1, [2])]


def test_where_rows_are_merged_growth_reaches_the_later_plans_too(made):
    going = made(("id",), unknown_fields="evolve").schema(1).records(2, {"id": 1, "new": 1})
    going.schema(3, "a").records(4, {"id": 1})
    batches = [item for item in going.sealed() if isinstance(item[1], list)]
    revisions = [revision for revision, _ in batches]
    assert [lines for _, lines in batches] == [[2], [4]]
    assert revisions == sorted(revisions)
    assert going.pipeline.stream.column("new") is not None


def test_a_refusal_ends_the_run_with_the_rows_before_it_still_to_be_sealed(made):
    going = made().schema(1).records(2, {"id": 1}, {"id": "x"}, {"id": 3})
    with pytest.raises(RecordError) as refused:
        going.sealed()
    assert refused.value.line == 3
    assert going.sealed(until_line=2)[-1] == (1, [2])


def test_what_is_held_is_in_the_budget_until_it_is_sealed(made):
    going = made().schema(1).records(2, {"id": 1}, {"id": 2})
    raw = going.budget.held
    assert raw == going.pipeline.held_bytes == going.pipeline.waiting_bytes > 0
    going.pipeline.decode(None, 0.0)
    assert 0 < going.budget.held == going.pipeline.held_bytes
    assert going.pipeline.waiting_bytes == 0
    going.sealed()
    assert (going.budget.held, going.pipeline.held_bytes, going.pipeline.is_empty) == (0, 0, True)


def test_a_stream_is_old_by_the_first_record_since_it_was_last_empty(made):
    going = made(batch_age_s=10).schema(1)
    assert not going.pipeline.is_old(1000.0)
    going.records(2, {"id": 1}, now_s=5.0).records(3, {"id": 2}, now_s=14.0)
    assert (going.pipeline.is_old(14.75), going.pipeline.is_old(15.0)) == (False, True)
    going.sealed()
    assert not going.pipeline.is_old(1000.0)


@pytest.mark.parametrize(("limit", "is_full"), [({"batch_rows": 2}, True), ({"batch_rows": 3}, False)])
def test_a_stream_is_full_at_the_rows_of_a_batch(made, limit, is_full):
    going = made(**limit).schema(1).records(2, {"id": 1}, {"id": 2})
    going.pipeline.decode(None, 0.0)
    assert going.pipeline.is_full is is_full
