"""Behaviours: settings add, rename, flatten and leave out columns, and name tables and schemas."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from tailrace.errors import RecordError
from tailrace.testing.messages import (
    BOOL,
    DECIMAL,
    FLOAT,
    INT,
    OBJECT,
    TEXT,
    THINGS,
    assert_same,
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
from tailrace.testing.subject import Row, Subject

_ROW = {"id": INT, "name": TEXT}
_A = {"id": 1, "name": "a"}
_ADDRESS = {
    "type": ["null", "object"],
    "properties": {
        "city": TEXT,
        "geo": {"type": "object", "properties": {"lat": FLOAT, "lon": FLOAT}},
        "tags": {"type": "array"},
    },
}


def singer_metadata_is_added(subject: Subject) -> None:
    """Seven columns; times are in UTC, and sequence numbers rise with the lines."""
    before = datetime.now(UTC)
    extracted = "2024-01-31T12:00:00.5-05:00"
    sent = [record(_A, time_extracted=extracted, version=3), record({"id": 2, "name": "b"}, version=3)]
    loaded(subject, schema(_ROW, ["id"]), *sent, metadata="singer")
    first, second = by(subject.rows(THINGS), "id")
    assert first["_sdc_extracted_at"] == datetime(2024, 1, 31, 17, 0, 0, 500000, UTC)
    assert second["_sdc_extracted_at"] is None
    for name in ("_sdc_received_at", "_sdc_batched_at"):
        assert before <= _time(first, name) <= datetime.now(UTC)
    assert first["_sdc_deleted_at"] is None
    assert first["_sdc_table_version"] == 3
    assert _int(first, "_sdc_sequence") < _int(second, "_sdc_sequence")
    assert first["_sdc_sync_started_at"] == second["_sdc_sync_started_at"]


def the_time_of_a_rows_creation_is_kept_on_update(subject: Subject) -> None:
    """`metadata: mage`: `_mage_created_at` stays, `_mage_updated_at` advances."""
    loaded(subject, schema(_ROW, ["id"]), record(_A), metadata="mage")
    created = only(subject.rows(THINGS))
    loaded(subject, schema(_ROW, ["id"]), *records({"id": 1, "name": "b"}, {"id": 1, "name": "c"}), metadata="mage")
    updated = only(subject.rows(THINGS))
    assert updated["name"] == "c"
    assert updated["_mage_created_at"] == created["_mage_created_at"]
    assert _time(updated, "_mage_updated_at") > _time(created, "_mage_updated_at")


def an_update_keeps_creation_times_and_columns_that_the_stream_lacks_together(subject: Subject) -> None:
    """Rows that are updated and rows that are new, in one checkpoint."""
    loaded(subject, schema({**_ROW, "note": TEXT}, ["id"]), record({**_A, "note": "kept"}), metadata="mage")
    created = only(subject.rows(THINGS))["_mage_created_at"]
    report = loaded(subject, schema(_ROW, ["id"]), *records({"id": 2}, {"id": 1, "name": "b"}), metadata="mage")
    assert things(subject, "id", "name", "note") == [(1, "b", "kept"), (2, None, None)]
    assert by(subject.rows(THINGS), "id")[0]["_mage_created_at"] == created
    assert (report.total.loaded, report.total.updated) == (2, 1)


def metadata_comes_to_a_table_that_has_none(subject: Subject) -> None:
    """Its columns are added like any others."""
    loaded(subject, schema(_ROW, ["id"]), record(_A))
    loaded(subject, schema(_ROW, ["id"]), record({"id": 2, "name": "b"}), metadata="mage")
    assert [row["_mage_created_at"] is None for row in by(subject.rows(THINGS), "id")] == [True, False]


def constants_are_columns_of_every_row(subject: Subject) -> None:
    """The column's kind follows from the setting's value."""
    constants = {"source": "it's", "batch": 2**40, "rate": 0.5, "is_test": False}
    loaded(subject, schema(_ROW), *records(_A, _A), constants=constants)
    for row in subject.rows(THINGS):
        for name, value in constants.items():
            assert_same(row[name], value)


def flattened_objects_are_columns(subject: Subject) -> None:
    """They are named by their path. Arrays stay JSON, and missing fields are null."""
    sent = records({"id": 1, "at": {"city": "é", "geo": {"lat": 1.5, "lon": -2.5}, "tags": [1]}}, {"id": 2, "at": None})
    loaded(subject, schema({"id": INT, "at": _ADDRESS}, ["id"]), *sent, nested="flatten")
    names = ("id", "at__city", "at__geo__lat", "at__geo__lon", "at__tags")
    assert things(subject, *names) == [(1, "é", 1.5, -2.5, "[1]"), (2, None, None, None, None)]


def flattening_stops_at_the_level_that_is_set(subject: Subject) -> None:
    """Objects deeper than that are JSON."""
    sent = record({"id": 1, "at": {"city": "x", "geo": {"lat": 1.5}}})
    loaded(subject, schema({"id": INT, "at": _ADDRESS}), sent, nested="flatten", max_level=1)
    row = only(subject.rows(THINGS))
    assert json.loads(str(row["at__geo"])) == {"lat": 1.5}
    assert row == {"id": 1, "at__city": "x", "at__geo": row["at__geo"], "at__tags": None}


def columns_are_renamed_retyped_and_left_out_by_settings(subject: Subject) -> None:
    """`columns` maps fields to their settings."""
    columns = {"id": {"name": "number"}, "amount": {"kind": "DECIMAL(18,4)"}, "secret": {"select": False}}
    sent = record({"id": 1, "amount": Decimal("0.1234"), "secret": "x"})
    loaded(subject, schema({"id": INT, "amount": FLOAT, "secret": TEXT}, ["id"]), sent, columns=columns)
    assert only(subject.rows(THINGS)) == {"number": 1, "amount": Decimal("0.1234")}


def numbers_are_decimals_by_a_setting(subject: Subject) -> None:
    """They keep digits that no float holds."""
    line = '{"type":"RECORD","stream":"things","record":{"n":517.600000001,"m":12345678901234567890.1}}'
    loaded(subject, schema({"n": FLOAT, "m": FLOAT}), line, numbers="decimal")
    assert only(subject.rows(THINGS)) == {"n": Decimal("517.600000001"), "m": Decimal("12345678901234567890.1")}


def inexact_floats_are_reported(subject: Subject) -> None:
    """How many, and the line of the first."""
    line = '{"type":"RECORD","stream":"things","record":{"n":9007199254740993}}'
    report = loaded(subject, schema({"n": FLOAT}), record({"n": 0.1}), line, line)
    found = report.streams[THINGS].inexact["n"]
    assert (found.count, found.first_line) == (2, 3)


def tables_are_named_by_a_template(subject: Subject) -> None:
    """`{schema}` and `{table}` are the parts before and after the stream's first hyphen."""
    loaded(subject, schema(_ROW, (), "sales-orders"), record(_A, "sales-orders"), table="raw_{schema}_{table}")
    assert subject.rows("raw_sales_orders") == [_A]


def tables_stand_in_a_schema_by_a_template(subject: Subject) -> None:
    """The schema is created where it is missing. The same name in another schema is another table."""
    loaded(subject, schema(_ROW, (), "orders"), record({"id": 9, "name": "z"}, "orders"))
    for method in ("append", "upsert", "replace"):
        stream = "sales-orders"
        settings = {"schema": "raw_{schema}", "table": "{table}", "method": method, "key_properties": ["id"]}
        loaded(subject, schema(_ROW, ["id"], stream), record(_A, stream), **settings)
        assert subject.rows("orders", "raw_sales") == [_A]
    assert subject.rows("orders") == [{"id": 9, "name": "z"}]


def unknown_fields_are_dropped_and_counted(subject: Subject) -> None:
    """The default."""
    report = loaded(subject, schema(_ROW), *records({**_A, "x": 1}, {**_A, "x": 2, "y": None}, _A))
    assert subject.rows(THINGS) == [_A] * 3
    assert report.streams[THINGS].unknown_fields == {"x": 2, "y": 1}


def unknown_fields_become_columns(subject: Subject) -> None:
    """`unknown_fields: evolve`, in mid-run and in a table of an earlier run."""
    loaded(subject, schema(_ROW, ["id"]), record(_A), unknown_fields="evolve")
    sent = records({"id": 2, "size": 5}, {"id": 3, "note": "x"}, {"id": 1, "size": 7, "ok": True})
    loaded(subject, schema(_ROW, ["id"]), *sent, unknown_fields="evolve")
    assert things(subject, "id", "size", "note", "ok") == [(1, 7, None, True), (2, 5, None, None), (3, None, "x", None)]


def unknown_fields_widen(subject: Subject) -> None:
    """No schema describes them, so values of any type are loaded and none is refused."""
    values = [1, 2.5, {"a": 1}, [1], "x", None, True]
    for first, between in ((0, []), (len(values), [state(1)])):
        rows = [record({"id": n, "size": value, "ok": n % 3 or True}) for n, value in enumerate(values, first)]
        sent = [message for row in rows for message in (row, *between)]
        report = loaded(subject, schema(_ROW, ["id"]), *sent, unknown_fields="evolve", checkpoint_rows=1)
        assert (report.total.loaded, report.total.quarantined) == (len(values), 0)
    assert [row["id"] for row in by(subject.rows(THINGS), "id")] == list(range(2 * len(values)))


def a_stream_without_columns_waits_for_its_first(subject: Subject) -> None:
    """Its table is created by the first field that comes, under `unknown_fields: evolve`."""
    loaded(subject, schema({}), *records({}, {"a": None}), unknown_fields="evolve", pipeline="p")
    assert subject.rows(THINGS) == []
    sent = [record({}), state(1), record({"a": 1}), state(2), record({}), record({"a": 2, "b": "x"})]
    report = loaded(subject, schema({}), *sent, unknown_fields="evolve", checkpoint_rows=1, pipeline="p")
    assert (report.total.loaded, report.total.filtered) == (2, 2)
    assert sorted((row["a"], row.get("b")) for row in subject.rows(THINGS)) == [(1, None), (2, "x")]


def unknown_fields_fail_by_a_setting(subject: Subject) -> None:
    """The error names the field and its line."""
    with raises(RecordError, "line 3", "size"):
        loaded(subject, schema(_ROW), record(_A), record({"id": 2, "size": 5}), unknown_fields="fail")
    assert subject.rows(THINGS) == []


def a_table_that_somebody_else_made_wider_is_loaded(subject: Subject) -> None:
    """Its columns have another order than the stream's, and it has more of them."""
    loaded(subject, schema({"note": TEXT, "amount": DECIMAL, **_ROW}), record({"note": "n", "amount": 1, **_A}))
    loaded(subject, schema({"name": TEXT, "id": INT}), record({"id": 2, "name": "b"}))
    assert things(subject, "id", "name", "note") == [(1, "a", "n"), (2, "b", None)]


def _time(row: Row, name: str) -> datetime:
    value = row[name]
    assert isinstance(value, datetime), row
    assert value.tzinfo is not None, row
    return value


def _int(row: Row, name: str) -> int:
    value = row[name]
    assert isinstance(value, int), row
    return value


def coerced_values_are_reported(subject: Subject) -> None:
    """Under `coerce: exact`, and under `validation: off`, which implies it; others are refused by default."""
    properties = {"id": INT, "t": TEXT, "f": FLOAT, "b": BOOL, "j": OBJECT}
    sent: list[Row] = [
        {"id": "1", "t": 2, "f": "0.5", "b": "true", "j": '{"a": 1}'},
        {"id": 2, "t": True, "f": 1.5, "b": 0},
    ]
    for settings in ({"coerce": "exact"}, {"validation": "off"}):
        report = loaded(subject, schema(properties), *records(*sent), method="replace", **settings)
        coerced = {name: (noted.count, noted.first_line) for name, noted in report.streams[THINGS].coerced.items()}
        assert coerced == {"id": (1, 2), "t": (2, 2), "f": (1, 2), "b": (2, 2), "j": (1, 2)}
        first, second = by(subject.rows(THINGS), "id")
        assert (first["id"], first["t"], first["f"], first["b"]) == (1, "2", 0.5, True)
        assert json.loads(str(first["j"])) == {"a": 1}
        assert (second["id"], second["t"], second["f"], second["b"], second["j"]) == (2, "true", 1.5, False, None)
    with raises(RecordError, "$.t"):
        loaded(subject, schema(properties), *records(*sent))
