"""Behaviours: rows and state become visible together, and a named pipeline remembers its last state."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pyarrow as pa

from tailrace.api import load
from tailrace.destination import Remembering
from tailrace.errors import MessageError, RecordError, SchemaError
from tailrace.model import Column, Kind
from tailrace.testing.messages import INT, TEXT, THINGS, Message, loaded, raises, record, schema, state, things
from tailrace.testing.parts import AT, ID, NAME, PIPELINE, batch, checkpoint, stream
from tailrace.testing.subject import Subject

_ROW = {"id": INT, "name": TEXT}


def a_state_is_told_when_its_records_are_visible(subject: Subject) -> None:
    """When a state is emitted, all records before it are visible, in every stream."""
    seen: list[tuple[int, int, int]] = []

    def tell(told: bytes) -> None:
        seen.append((json.loads(told), len(subject.rows(THINGS)), len(subject.rows("others"))))

    sent: list[Message] = [schema(_ROW), schema({"id": INT}, ["id"], "others")]
    for n in range(1, 4):
        sent += [record({"id": n}), record({"id": n}, "others"), state(n)]
    load(sent, to=subject.open(), tell=tell, checkpoint_rows=1)
    assert [told for told, _, _ in seen] == sorted(told for told, _, _ in seen)
    assert seen[-1] == (3, 3, 3)
    assert [(things_, others) for told, things_, others in seen] == [(told, told) for told, _, _ in seen]


def records_after_the_last_state_are_loaded_at_the_end(subject: Subject) -> None:
    """The emitted state is still the last one that the tap has sent."""
    report = loaded(subject, schema(_ROW), record({"id": 1}), state({"n": 1}), record({"id": 2}))
    assert things(subject, "id") == [(1,), (2,)]
    assert report.state == '{"n":1}'


def a_run_without_any_state_is_loaded(subject: Subject) -> None:
    """As one checkpoint, at its end."""
    report = loaded(subject, schema(_ROW), record({"id": 1}), checkpoint_rows=1, batch_rows=1)
    assert things(subject, "id") == [(1,)]
    assert (report.checkpoints, report.state) == (1, None)


def a_pipeline_remembers_its_last_state(subject: Subject) -> None:
    """It remembers the number of its checkpoints too, over several runs."""
    for n in (1, 2):
        report = loaded(subject, schema(_ROW), record({"id": n}), state({"n": n}), pipeline="p")
        assert report.checkpoint >= n
        assert _remembered(subject, "p") == (report.checkpoint, {"n": n})
    assert things(subject, "id") == [(1,), (2,)]


def a_pipeline_keeps_its_state_through_a_run_without_one(subject: Subject) -> None:
    """The tap has sent no STATE in it."""
    loaded(subject, schema(_ROW), record({"id": 1}), state({"n": 1}), pipeline="p")
    report = loaded(subject, schema(_ROW), record({"id": 2}), pipeline="p")
    assert _remembered(subject, "p") == (report.checkpoint, {"n": 1})


def a_pipeline_remembers_a_state_without_records(subject: Subject) -> None:
    """A tap that had nothing to send moves on nevertheless."""
    loaded(subject, schema(_ROW), state({"n": 7}), pipeline="p")
    assert _remembered(subject, "p")[1] == {"n": 7}
    assert subject.rows(THINGS) == []


def a_state_can_be_taken_from_a_pipeline_and_its_run_is_not_disturbed_by_questions(subject: Subject) -> None:
    """By a checkpoint without rows and without a state. Whoever asks for the state takes nothing over."""
    with closing(subject.open()) as asked:
        assert not isinstance(asked, Remembering) or asked.remembered("p") is None
    loaded(subject, schema(_ROW), record({"id": 1}), state({"n": 1}), pipeline="p")
    with closing(subject.open()) as run, closing(subject.open()) as asked:
        last = run.recover("p")
        assert last is not None
        assert not isinstance(asked, Remembering) or asked.remembered("p") == last
        run.commit(checkpoint(number=last.number + 1, pipeline="p", state=None))
        assert not isinstance(asked, Remembering) or asked.remembered("p") == replace(
            last, number=last.number + 1, at=AT, state=None
        )
    assert _remembered(subject, "p") == (last.number + 1, None)
    assert things(subject, "id") == [(1,)]


def pipelines_do_not_know_of_each_other(subject: Subject) -> None:
    """Each has its own state, though all load into one table."""
    for name in ("p", "q", "p' --", "é"):
        loaded(subject, schema(_ROW), record({"id": 1, "name": name}), state(name), pipeline=name)
    assert [_remembered(subject, name)[1] for name in ("p", "q", "p' --", "é")] == ["p", "q", "p' --", "é"]
    assert len(subject.rows(THINGS)) == 4


def a_run_without_pipeline_leaves_no_checkpoint(subject: Subject) -> None:
    """It doesn't touch those of named pipelines."""
    loaded(subject, schema(_ROW), record({"id": 1}), state(1), pipeline="p")
    loaded(subject, schema(_ROW), record({"id": 2}), state(2))
    assert _remembered(subject, "p")[1] == 1
    assert len(subject.rows(THINGS)) == 2


def a_run_that_fails_is_taken_up_from_its_last_state(subject: Subject) -> None:
    """The second run sends the records after the state again. Appended rows are there once."""
    sent = [record({"id": 1}), state(1), record({"id": 2}), "no message"]
    with raises(MessageError, "line 5"):
        loaded(subject, schema(_ROW), *sent, pipeline="p", batch_rows=1)
    assert _remembered(subject, "p")[1] == 1
    loaded(subject, schema(_ROW), record({"id": 2}), state(2), pipeline="p")
    assert things(subject, "id") == [(1,), (2,)]


def a_state_behind_a_refused_record_is_not_told(subject: Subject) -> None:
    """Though many records come after it before that record is decoded."""
    told: list[bytes] = []
    sent = [schema(_ROW), record({"id": 1}), record({"id": "two"}), state(1)]
    sent += [record({"id": n, "name": "x" * 100_000}) for n in range(60)]
    with raises(RecordError, "line 3"):
        load(sent, to=subject.open(), tell=told.append)
    assert told == []
    assert subject.rows(THINGS) == []


def the_state_before_a_refused_record_is_told(subject: Subject) -> None:
    """Together with its records, however late the refused record is decoded."""
    told: list[bytes] = []
    sent = [schema(_ROW), record({"id": 1}), state(1), record({"id": "two"})]
    sent += [record({"id": n, "name": "x" * 100_000}) for n in range(60)]
    with raises(RecordError, "line 4"):
        load(sent, to=subject.open(), tell=told.append)
    assert told == [b"1"]
    assert things(subject, "id") == [(1,)]


def the_state_before_a_schema_that_cannot_be_is_told_with_its_records(subject: Subject) -> None:
    """A later field that can't become a column undoes nothing."""
    told: list[bytes] = []
    sent = [schema({"order_id": INT}), record({"order_id": 1}), state(1), record({"order_id": 2, "Order ID": 3})]
    with raises(SchemaError, "'order_id'", "'Order ID'"):
        load(sent, to=subject.open(), tell=told.append, unknown_fields="evolve")
    assert (told, things(subject, "order_id")) == ([b"1"], [(1,)])


def many_small_checkpoints_are_as_one(subject: Subject) -> None:
    """A checkpoint after each record, with batches of one row."""
    sent = [m for n in range(16) for m in (record({"id": n % 5, "name": str(n)}), state(n))]
    report = loaded(subject, schema(_ROW, ["id"]), *sent, checkpoint_rows=1, batch_rows=1, pipeline="p")
    assert things(subject, "id", "name") == [(key, str(max(range(key, 16, 5)))) for key in range(5)]
    assert report.checkpoints >= 16
    assert _remembered(subject, "p") == (report.checkpoint, 15)


def a_large_batch_is_loaded_whole(subject: Subject) -> None:
    """Ten thousand rows, in batches of a few thousand at once."""
    sent = [record({"id": n, "name": f"name {n % 100}"}) for n in range(10_000)]
    report = loaded(subject, schema(_ROW, ["id"]), *sent, batch_rows=3_000)
    rows = subject.rows(THINGS)
    assert report.total.loaded == len(rows) == 10_000
    assert {row["id"] for row in rows} == set(range(10_000))


def a_batch_of_several_chunks_is_loaded_whole(subject: Subject) -> None:
    """The chunks are slices of a larger table: values and nulls before and after them aren't the batch's."""
    column = Column("is_open", ("is_open",), Kind.BOOL)
    opened = stream(ID, NAME, column, key=())
    rows = [(n, None if n % 3 == 0 else f"n{n}", None if n % 4 == 0 else n % 2 == 0) for n in range(24)]
    whole = batch(opened, *rows)
    chunks = [whole.rows.slice(first, count) for first, count in ((3, 4), (7, 1), (8, 11))]
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        destination.prepare(opened)
        receipt = destination.stage(replace(whole, rows=pa.concat_tables(chunks)))
        destination.commit(checkpoint(receipt))
    assert receipt.rows == 16
    assert things(subject, "id", "name", "is_open") == rows[3:19]


def _remembered(subject: Subject, pipeline: str) -> tuple[int, Any]:
    """The pipeline's last checkpoint: its number, and its state as a JSON value."""
    with closing(subject.open()) as destination:
        last = destination.recover(pipeline)
    assert last is not None
    return last.number, None if last.state is None else json.loads(last.state)
