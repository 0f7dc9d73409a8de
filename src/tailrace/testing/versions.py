"""Behaviours: deletions, by records that are marked and by versions that are activated."""

from __future__ import annotations

from datetime import UTC, datetime

from tailrace.testing.messages import (
    INT,
    TEXT,
    THINGS,
    TIMESTAMPTZ,
    Message,
    activate,
    by,
    loaded,
    only,
    record,
    schema,
    state,
    things,
)
from tailrace.testing.subject import Row, Subject

_ROW = {"id": INT, "name": TEXT}
_MARKED = {**_ROW, "_sdc_deleted_at": TIMESTAMPTZ}
_DELETED_AT = "2024-01-31T12:00:00Z"


def a_marked_record_keeps_its_row_and_the_mark(subject: Subject) -> None:
    """Without hard_delete."""
    loaded(subject, schema(_MARKED, ["id"]), record({"id": 1, "name": "a"}), _gone(1))
    row = only(subject.rows(THINGS))
    assert (row["id"], row["_sdc_deleted_at"]) == (1, datetime(2024, 1, 31, 12, tzinfo=UTC))


def a_marked_record_deletes_its_row_under_hard_delete(subject: Subject) -> None:
    """One row of two, counted as deleted; the record counts as loaded."""
    loaded(subject, schema(_MARKED, ["id"]), _there(1), _there(2), hard_delete=True)
    report = loaded(subject, schema(_MARKED, ["id"]), _gone(1), hard_delete=True)
    assert things(subject, "id") == [(2,)]
    assert (report.total.loaded, report.total.updated, report.total.deleted) == (1, 0, 1)


def the_last_line_says_whether_a_row_is_deleted(subject: Subject) -> None:
    """Within one checkpoint: added and deleted, deleted and added again, and both for rows that are there.

    A row that is deleted and added again is a new one, as it is where a checkpoint comes between.
    """
    loaded(subject, schema(_MARKED, ["id"]), _there(3), _there(4), hard_delete=True)
    sent = [_there(1), _gone(1), _gone(2), _there(2, "b"), _there(3, "c"), _gone(3), _gone(4), _there(4, "d")]
    report = loaded(subject, schema(_MARKED, ["id"]), *sent, hard_delete=True, batch_rows=1)
    assert things(subject, "id", "name") == [(2, "b"), (4, "d")]
    assert (report.total.read, report.total.loaded, report.total.deduplicated) == (8, 4, 4)
    assert (report.total.updated, report.total.deleted) == (0, 2)


def a_row_that_is_deleted_and_comes_again_has_nothing_of_before(subject: Subject) -> None:
    """Not even in a column that is gone from its stream; a row that is just updated keeps what is there."""
    narrow = {"id": INT, "_sdc_deleted_at": TIMESTAMPTZ}
    wide = narrow | {"c": TEXT}
    gone = [{"id": key, "_sdc_deleted_at": _DELETED_AT} for key in (1, 2)]
    methods = ("upsert", "insert_ignore")

    def run(properties: Row, *rows: Row) -> None:
        schemas = [schema(properties, ["id"], method) for method in methods]
        sent = [record(row, method) for method in methods for row in rows]
        loaded(subject, *schemas, *sent, hard_delete=True, streams={method: {"method": method} for method in methods})

    run(wide, *({"id": key, "c": "OLD"} for key in (1, 2)))
    run(narrow, gone[0], {"id": 1}, {"id": 2})
    for method in methods:
        assert [(row["id"], row["c"]) for row in by(subject.rows(method), "id", "c")] == [(1, None), (2, "OLD")]
    run(wide, *gone)
    for method in methods:
        assert subject.rows(method) == []


def deleting_a_row_that_is_not_there_does_nothing(subject: Subject) -> None:
    """The record still counts as loaded."""
    report = loaded(subject, schema(_MARKED, ["id"]), _there(1), _gone(9), hard_delete=True)
    assert things(subject, "id") == [(1,)]
    assert (report.total.loaded, report.total.deleted) == (2, 0)


def insert_ignore_deletes_what_is_marked_under_hard_delete(subject: Subject) -> None:
    """The row is deleted. Only a later record inserts it again."""
    settings = {"method": "insert_ignore", "hard_delete": True}
    loaded(subject, schema(_MARKED, ["id"]), _there(1), _there(2), **settings)
    loaded(subject, schema(_MARKED, ["id"]), _gone(1), _gone(2), _there(2, "again"), **settings)
    assert things(subject, "id", "name") == [(2, "again")]


def a_mark_is_understood_beside_metadata_columns(subject: Subject) -> None:
    """With `metadata: singer`, though the schema doesn't name `_sdc_deleted_at`."""
    settings = {"hard_delete": True, "metadata": "singer"}
    loaded(subject, schema(_ROW, ["id"]), _there(1), _there(2), **settings)
    loaded(subject, schema(_ROW, ["id"]), _gone(1), **settings)
    assert things(subject, "id") == [(2,)]


def an_activated_version_marks_rows_of_older_ones(subject: Subject) -> None:
    """The rows stay, and `_sdc_deleted_at` is set."""
    loaded(subject, schema(_ROW, ["id"]), *_version(1, 1, 2, 3), activate(1))
    report = loaded(subject, schema(_ROW, ["id"]), *_version(2, 2, 4), activate(2))
    assert _marks(subject) == [(1, True), (2, False), (3, True), (4, False)]
    assert (report.total.loaded, report.total.deleted) == (2, 2)


def an_activated_version_deletes_rows_of_older_ones_under_hard_delete(subject: Subject) -> None:
    """Rows that came again under the new version stay."""
    loaded(subject, schema(_ROW, ["id"]), *_version(1, 1, 2, 3), activate(1), hard_delete=True)
    report = loaded(subject, schema(_ROW, ["id"]), *_version(2, 2, 4), activate(2), hard_delete=True)
    assert things(subject, "id") == [(2,), (4,)]
    assert (report.total.loaded, report.total.updated, report.total.deleted) == (2, 1, 2)


def an_activation_takes_effect_between_the_records_of_one_checkpoint(subject: Subject) -> None:
    """Older records before it are deleted. Records of its version stay, whether before or after it."""
    sent = [*_version(1, 1, 2), *_version(2, 3), activate(2), *_version(2, 1, 4)]
    report = loaded(subject, schema(_ROW, ["id"]), *sent, hard_delete=True)
    assert things(subject, "id") == [(1,), (3,), (4,)]
    assert (report.total.read, report.total.deleted) == (5, 2)


def an_activation_does_not_depend_on_the_batches(subject: Subject) -> None:
    """The same, with batches of one row."""
    sent = [*_version(1, 1, 2), *_version(2, 3), activate(2), *_version(2, 1, 4)]
    loaded(subject, schema(_ROW, ["id"]), *sent, batch_rows=1)
    assert _marks(subject) == [(1, False), (2, True), (3, False), (4, False)]


def an_activation_does_not_reach_records_after_it(subject: Subject) -> None:
    """An old version's record that comes later is loaded, until the next activation; without a key too."""
    schemas = schema(_ROW, ["id"]), schema(_ROW, stream="appended")
    sent = [
        message
        for stream in (THINGS, "appended")
        for message in (
            record({"id": 1}, stream, version=1),
            activate(2, stream),
            record({"id": 2}, stream, version=2),
            record({"id": 3}, stream, version=1),
        )
    ]
    loaded(subject, *schemas, *sent, hard_delete=True, batch_rows=1)
    assert things(subject, "id") == [(2,), (3,)]
    assert [row["id"] for row in by(subject.rows("appended"), "id")] == [2, 3]


def several_activations_of_one_checkpoint_come_in_their_order(subject: Subject) -> None:
    """Each applies to the older rows of the records before it."""
    sent = [*_version(1, 1), activate(1), *_version(2, 2), activate(2), *_version(3, 3), activate(3)]
    loaded(subject, schema(_ROW), *sent)
    assert _marks(subject) == [(1, True), (2, True), (3, False)]


def an_activation_works_on_streams_without_key(subject: Subject) -> None:
    """Appended rows have a version too."""
    loaded(subject, schema(_ROW), *_version(1, 1, 1, 2), activate(1), hard_delete=True)
    loaded(subject, schema(_ROW), *_version(2, 1, 3), state(1), activate(2), hard_delete=True, checkpoint_rows=1)
    assert things(subject, "id", "_sdc_table_version") == [(1, 2), (3, 2)]


def an_activation_leaves_other_streams_alone(subject: Subject) -> None:
    """A version belongs to one stream."""
    others = [record({"id": n}, "others", version=1) for n in (1, 2)]
    sent = [*_version(1, 1), *others, *_version(2, 2), activate(2)]
    loaded(subject, schema(_ROW, ["id"]), schema({"id": INT}, ["id"], "others"), *sent, hard_delete=True)
    assert things(subject, "id") == [(2,)]
    assert [row["id"] for row in by(subject.rows("others"), "id")] == [1, 2]


def an_activation_leaves_rows_without_a_version(subject: Subject) -> None:
    """Rows that were loaded before the tap sent versions, and records that it sends without one."""
    for stream in ("marked", "deleted"):
        sent = [record({"id": 2}, stream), record({"id": 3}, stream, version=1), activate(2, stream)]
        for messages in ([record({"id": 1}, stream)], sent):
            loaded(subject, schema(_ROW, ["id"], stream), *messages, hard_delete=stream == "deleted")
    marks = [(row["id"], row["_sdc_deleted_at"] is not None) for row in by(subject.rows("marked"), "id")]
    assert marks == [(1, False), (2, False), (3, True)]
    assert [row["id"] for row in by(subject.rows("deleted"), "id")] == [1, 2]


def an_activation_without_records_empties_the_table(subject: Subject) -> None:
    """The source has no rows of the new version."""
    loaded(subject, schema(_ROW, ["id"]), *_version(1, 1, 2), activate(1), hard_delete=True)
    report = loaded(subject, schema(_ROW, ["id"]), activate(2), hard_delete=True)
    assert subject.rows(THINGS) == []
    assert report.total.deleted == 2


def a_marked_row_that_comes_again_is_unmarked(subject: Subject) -> None:
    """The source has it again."""
    loaded(subject, schema(_ROW, ["id"]), *_version(1, 1, 2), *_version(2, 2), activate(2))
    assert _marks(subject) == [(1, True), (2, False)]
    loaded(subject, schema(_ROW, ["id"]), *_version(2, 1))
    assert _marks(subject) == [(1, False), (2, False)]


def a_mark_keeps_the_time_of_the_first_activation(subject: Subject) -> None:
    """A later activation doesn't change it."""
    loaded(subject, schema(_ROW, ["id"]), *_version(1, 1), activate(2))
    first = only(subject.rows(THINGS))["_sdc_deleted_at"]
    report = loaded(subject, schema(_ROW, ["id"]), activate(3))
    assert only(subject.rows(THINGS))["_sdc_deleted_at"] == first
    assert report.total.deleted == 0


def _there(key: int, name: str = "a") -> Message:
    return record({"id": key, "name": name})


def _gone(key: int) -> Message:
    return record({"id": key, "_sdc_deleted_at": _DELETED_AT})


def _version(version: int, *keys: int) -> list[Message]:
    return [record({"id": key, "name": "a"}, version=version) for key in keys]


def _marks(subject: Subject) -> list[tuple[object, bool]]:
    """Each row's id, and whether it is marked as deleted."""
    return [(row["id"], row["_sdc_deleted_at"] is not None) for row in by(subject.rows(THINGS), "id")]
