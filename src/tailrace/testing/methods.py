"""Behaviours: append, upsert, insert_ignore, replace; what each leaves in the table and says in the report."""

from __future__ import annotations

from contextlib import closing

from tailrace.errors import ConfigError, RecordError
from tailrace.model import Method
from tailrace.testing.messages import (
    INT,
    TEXT,
    THINGS,
    by,
    loaded,
    only,
    raises,
    record,
    records,
    schema,
    state,
    things,
)
from tailrace.testing.parts import batch, checkpoint, commit_rows, stream
from tailrace.testing.subject import Subject

_ROW = {"id": INT, "name": TEXT}
_A, _B, _C = {"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 1, "name": "c"}


def append_keeps_every_record(subject: Subject) -> None:
    """Equal records too, and those of earlier runs."""
    for _ in range(2):
        report = loaded(subject, schema(_ROW), *records(_A, _A, _B))
        assert (report.total.loaded, report.total.updated, report.total.deduplicated) == (3, 0, 0)
    assert things(subject, "id", "name") == [(1, "a")] * 4 + [(2, "b")] * 2


def append_keeps_records_with_one_key(subject: Subject) -> None:
    """A key doesn't matter to `method: append`."""
    loaded(subject, schema(_ROW, ["id"]), *records(_A, _C), method="append")
    loaded(subject, schema(_ROW, ["id"]), *records(_C), method="append")
    assert things(subject, "id", "name") == [(1, "a"), (1, "c"), (1, "c")]


def upsert_counts_what_it_inserts_and_updates(subject: Subject) -> None:
    """`loaded` counts both, `updated` only the updates."""
    loaded(subject, schema(_ROW, ["id"]), record(_A))
    report = loaded(subject, schema(_ROW, ["id"]), *records(_B, _C, {"id": 3, "name": "x"}))
    assert (report.total.loaded, report.total.updated, report.total.deduplicated) == (3, 1, 0)
    assert things(subject, "id", "name") == [(1, "c"), (2, "b"), (3, "x")]


def upsert_goes_into_a_table_that_was_appended_to(subject: Subject) -> None:
    """The stream had the same key then, but `append` ignored it."""
    loaded(subject, schema(_ROW, ["id"]), *records(_A, _B), method="append")
    report = loaded(subject, schema(_ROW, ["id"]), *records(_C, {"id": 3, "name": "x"}))
    assert things(subject, "id", "name") == [(1, "c"), (2, "b"), (3, "x")]
    assert (report.total.loaded, report.total.updated) == (2, 1)


def insert_ignore_keeps_the_row_that_is_there(subject: Subject) -> None:
    """What is ignored counts as deduplicated."""
    loaded(subject, schema(_ROW, ["id"]), record(_A), method="insert_ignore")
    report = loaded(subject, schema(_ROW, ["id"]), *records(_B, _C), method="insert_ignore")
    assert things(subject, "id", "name") == [(1, "a"), (2, "b")]
    assert (report.total.loaded, report.total.updated, report.total.deduplicated) == (1, 0, 1)


def insert_ignore_keeps_the_first_of_a_checkpoint(subject: Subject) -> None:
    """However the records are split into batches."""
    report = loaded(subject, schema(_ROW, ["id"]), *records(_A, _B, _C), method="insert_ignore", batch_rows=1)
    assert things(subject, "id", "name") == [(1, "a"), (2, "b")]
    assert (report.total.loaded, report.total.deduplicated) == (2, 1)


def replace_leaves_the_records_of_this_run_alone(subject: Subject) -> None:
    """The rows that were replaced are counted as deleted."""
    loaded(subject, schema(_ROW), *records(_A, _B), method="replace")
    report = loaded(subject, schema(_ROW), *records(_C), method="replace")
    assert things(subject, "id", "name") == [(1, "c")]
    assert (report.total.loaded, report.total.deleted) == (1, 2)


def replace_takes_a_table_of_another_method_over(subject: Subject) -> None:
    """A later run with the first method updates the rows of the new table."""
    loaded(subject, schema(_ROW, ["id"]), *records(_A, _B))
    loaded(subject, schema(_ROW, ["id"]), *records(_C), method="replace")
    assert things(subject, "id", "name") == [(1, "c")]
    loaded(subject, schema(_ROW, ["id"]), *records({"id": 1, "name": "d"}, _B))
    assert things(subject, "id", "name") == [(1, "d"), (2, "b")]


def replace_with_a_key_keeps_the_last_line(subject: Subject) -> None:
    """Across batches too."""
    report = loaded(subject, schema(_ROW, ["id"]), *records(_A, _B, _C), method="replace", batch_rows=1)
    assert things(subject, "id", "name") == [(1, "c"), (2, "b")]
    assert (report.total.loaded, report.total.deduplicated) == (2, 1)


def replace_takes_the_columns_of_this_run(subject: Subject) -> None:
    """The new table is the stream's, not the old one's."""
    loaded(subject, schema(_ROW), record(_A), method="replace")
    loaded(subject, schema({"id": TEXT, "size": INT}), record({"id": "x", "size": 5}), method="replace")
    assert subject.rows(THINGS) == [{"id": "x", "size": 5}]


def replace_without_records_leaves_an_empty_table(subject: Subject) -> None:
    """The source has no rows, so the table has none."""
    loaded(subject, schema(_ROW), *records(_A, _B), method="replace")
    report = loaded(subject, schema(_ROW), method="replace")
    assert subject.rows(THINGS) == []
    assert report.total.deleted == 2


def replace_follows_a_schema_that_changes_in_mid_run(subject: Subject) -> None:
    """Rows from before the change are kept."""
    loaded(subject, schema(_ROW), record(_B), method="replace")
    wider = schema({**_ROW, "size": INT})
    loaded(subject, schema(_ROW), record(_A), wider, record({"id": 2, "name": "b", "size": 5}), method="replace")
    assert things(subject, "id", "name", "size") == [(1, "a", None), (2, "b", 5)]


def replace_is_not_visible_before_the_end(subject: Subject) -> None:
    """A run that fails leaves the old table as it was."""
    loaded(subject, schema(_ROW), record(_A), method="replace")
    sent = [m for n in range(3) for m in (record({"id": n, "name": "new"}), state(n))]
    sent.append(record({"id": "no integer", "name": "new"}))
    with raises(RecordError, "line 8"):
        loaded(subject, schema(_ROW), *sent, method="replace", checkpoint_rows=1, batch_rows=1)
    assert things(subject, "id", "name") == [(1, "a")]


def replace_starts_anew_after_a_run_that_failed(subject: Subject) -> None:
    """What the failed run had staged isn't in the table."""
    bad = record({"id": "no integer", "name": "new"})
    with raises(RecordError):
        loaded(subject, schema(_ROW), record(_B), state(1), bad, method="replace", batch_rows=1, pipeline="p")
    loaded(subject, schema(_ROW), record(_A), method="replace", pipeline="p")
    assert things(subject, "id", "name") == [(1, "a")]


def a_replacement_is_of_all_rows_since_recover(subject: Subject) -> None:
    """Rows of the run's earlier checkpoints too, but none of a run that ended before it replaced the table."""
    replacing = stream(key=(), method=Method.REPLACE)
    with closing(subject.open()) as destination:
        commit_rows(destination, stream(key=()), (1, "there"))
    with closing(subject.open()) as destination:
        commit_rows(destination, replacing, (2, "of a run that ended"))
    assert things(subject, "id") == [(1,)]
    with closing(subject.open()) as destination:
        commit_rows(destination, replacing, (3, "of its first checkpoint"))
        last = destination.stage(batch(replacing, (4, "of its last"), first_line=2, checkpoint=4))
        destination.commit(checkpoint(last, number=4, replace=(replacing,), final=True))
    assert things(subject, "id") == [(3,), (4,)]


def an_update_leaves_columns_that_the_stream_lacks(subject: Subject) -> None:
    """They keep the values that they have."""
    loaded(subject, schema({**_ROW, "note": TEXT}, ["id"]), record({"id": 1, "name": "a", "note": "kept"}))
    loaded(subject, schema(_ROW, ["id"]), *records(_C, _B))
    assert things(subject, "id", "name", "note") == [(1, "c", "kept"), (2, "b", None)]


def streams_of_one_run_are_loaded_each_by_its_method(subject: Subject) -> None:
    """Their records alternate, and `streams` sets each method."""
    names = ("appended", "upserted", "ignored", "replaced")
    streams = {"ignored": {"method": "insert_ignore"}, "re*": {"method": "replace"}, "app*": {"method": "append"}}
    sent = [record(row, name) for row in (_A, _B, _C) for name in names]
    report = loaded(subject, *(schema(_ROW, ["id"], name) for name in names), *sent, streams=streams)
    found = {name: [(row["id"], row["name"]) for row in by(subject.rows(name), "id", "name")] for name in names}
    assert found == {
        "appended": [(1, "a"), (1, "c"), (2, "b")],
        "upserted": [(1, "c"), (2, "b")],
        "ignored": [(1, "a"), (2, "b")],
        "replaced": [(1, "c"), (2, "b")],
    }
    assert {name: report.streams[name].deduplicated for name in names} == {
        "appended": 0,
        "upserted": 1,
        "ignored": 1,
        "replaced": 1,
    }


def a_stream_that_is_not_selected_is_counted_and_not_loaded(subject: Subject) -> None:
    """Its records are filtered."""
    sent = [schema(_ROW), record(_A), schema(_ROW, (), "others"), record(_B, "others")]
    report = loaded(subject, *sent, streams={"others": {"select": False}})
    assert (report.streams[THINGS].loaded, report.streams["others"].filtered) == (1, 1)
    assert subject.rows("others") == []


def a_stream_without_records_has_its_table(subject: Subject) -> None:
    """A later run loads into that table."""
    loaded(subject, schema(_ROW, ["id"]))
    assert subject.rows(THINGS) == []
    loaded(subject, schema(_ROW, ["id"]), record(_A))
    assert only(subject.rows(THINGS)) == _A


def a_method_that_needs_a_key_is_refused_without_one(subject: Subject) -> None:
    """Before anything is loaded."""
    with raises(ConfigError, "upsert", "key"):
        loaded(subject, schema(_ROW), record(_A), method="upsert")
    assert subject.rows(THINGS) == []
