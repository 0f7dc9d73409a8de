"""Behaviours: a record asks for its row's deletion by a field, whether or not the schema has that field."""

from __future__ import annotations

from datetime import UTC, datetime

from tailrace.errors import SchemaError
from tailrace.testing.messages import (
    INT,
    TEXT,
    THINGS,
    TIMESTAMPTZ,
    by,
    loaded,
    raises,
    record,
    records,
    schema,
    things,
)
from tailrace.testing.subject import Subject

_ROW = {"id": INT, "name": TEXT}
_AT = "2024-01-31T12:00:00Z"
_SDC, _MAGE = "_sdc_deleted_at", "_mage_deleted_at"


def a_deletion_needs_no_field_in_the_schema(subject: Subject) -> None:
    """Under hard_delete, without metadata. The row was loaded in the same run, or in an earlier one."""
    sent = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}, {"id": 1, _SDC: _AT}]
    report = loaded(subject, schema(_ROW, ["id"]), *records(*sent), hard_delete=True)
    assert things(subject, "id", "name") == [(2, "b"), (3, "c")]
    assert report.streams[THINGS].unknown_fields == {}
    report = loaded(subject, schema(_ROW, ["id"]), record({"id": 2, _SDC: _AT}), hard_delete=True, batch_rows=1)
    assert things(subject, "id", "name") == [(3, "c")]
    assert report.total.deleted == 1


def mages_field_of_deletions_deletes_too(subject: Subject) -> None:
    """Where the schema names it, and where it doesn't."""
    named = schema(_ROW | {_MAGE: TEXT}, ["id"])
    loaded(subject, named, *records({"id": 1}, {"id": 2}, {"id": 3}), hard_delete=True)
    loaded(subject, named, record({"id": 1, _MAGE: _AT}), hard_delete=True)
    assert things(subject, "id") == [(2,), (3,)]
    loaded(subject, schema(_ROW, ["id"]), record({"id": 2, _MAGE: _AT}), hard_delete=True)
    assert things(subject, "id") == [(3,)]


def either_of_two_fields_deletes(subject: Subject) -> None:
    """Null and an empty text ask for nothing."""
    properties = _ROW | {_SDC: TIMESTAMPTZ, _MAGE: TEXT}
    none = [{"id": number, _SDC: None, _MAGE: text} for number, text in enumerate(("", None, "", None, ""))]
    marked = [{"id": 1, _SDC: _AT}, {"id": 2, _MAGE: "yes"}, {"id": 3, _SDC: _AT, _MAGE: _AT}, {"id": 4, _MAGE: ""}]
    loaded(subject, schema(properties, ["id"]), *records(*none), hard_delete=True)
    assert len(subject.rows(THINGS)) == len(none)
    loaded(subject, schema(properties, ["id"]), *records(*marked), hard_delete=True)
    assert things(subject, "id") == [(0,), (4,)]
    loaded(subject, schema(_ROW | {_SDC: TIMESTAMPTZ}, ["id"]), record({"id": 4, _MAGE: _AT}), hard_delete=True)
    assert things(subject, "id") == [(0,)]


def insert_ignore_deletes_what_no_schema_names(subject: Subject) -> None:
    """The next record with that key is inserted."""
    settings = {"method": "insert_ignore", "hard_delete": True}
    loaded(subject, schema(_ROW, ["id"]), *records({"id": 1, "name": "a"}, {"id": 2, "name": "b"}), **settings)
    sent = [{"id": 1, _SDC: _AT}, {"id": 2, "name": "z"}, {"id": 1, "name": "c"}]
    loaded(subject, schema(_ROW, ["id"]), *records(*sent), **settings)
    assert things(subject, "id", "name") == [(1, "c"), (2, "b")]


def a_replaced_table_has_nothing_that_is_deleted(subject: Subject) -> None:
    """`replace` with a key. The table of the run before doesn't matter."""
    settings = {"method": "replace", "hard_delete": True}
    sent = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 1, _SDC: _AT}]
    for _ in range(2):
        loaded(subject, schema(_ROW, ["id"]), *records(*sent), **settings)
        assert things(subject, "id", "name") == [(2, "b")]


def an_append_keeps_what_is_deleted_with_its_mark(subject: Subject) -> None:
    """Without a key no row can be found to delete."""
    sent = records({"id": 1}, {"id": 1, _MAGE: "2024-01-31T12:00:00+00:00+00:00"})
    loaded(subject, schema(_ROW), *sent, hard_delete=True)
    found = [row[_SDC] for row in by(subject.rows(THINGS), _SDC)]
    assert found == [None, datetime(2024, 1, 31, 12, tzinfo=UTC)]


def a_table_that_stays_as_it_is_must_have_the_column_of_deletions(subject: Subject) -> None:
    """The error names the column. Otherwise the row would stay."""
    loaded(subject, schema(_ROW, ["id"]), record({"id": 1, "name": "a"}), hard_delete=True)
    for contract in ("freeze", "discard_columns"):
        loaded(subject, schema(_ROW, ["id"]), record({"id": 2, _SDC: None}), hard_delete=True, contract=contract)
        with raises(SchemaError, THINGS, _SDC, contract):
            loaded(subject, schema(_ROW, ["id"]), record({"id": 1, _SDC: _AT}), hard_delete=True, contract=contract)
    assert things(subject, "id", "name") == [(1, "a"), (2, None)]
