"""Behaviours: which rows have the same key, and which of two records with one key wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from tailrace.errors import RecordError, SchemaError
from tailrace.model import Method
from tailrace.testing.messages import (
    BIG,
    BOOL,
    DATE,
    INT,
    TEXT,
    THINGS,
    TIMESTAMPTZ,
    UUID,
    activate,
    by,
    decimal,
    loaded,
    only,
    raises,
    record,
    records,
    schema,
    state,
    things,
)
from tailrace.testing.parts import stream
from tailrace.testing.subject import Subject

_ROW = {"id": INT, "name": TEXT}
_CHANGES: Sequence[tuple[list[str], list[str], str]] = (
    (["id"], [], "(id) -> none"),
    ([], ["id"], "none -> (id)"),
    (["id"], ["name"], "(id) -> (name)"),
    (["id"], ["id", "name"], "(id) -> (id, name)"),
)


def last_line_wins_when_a_key_repeats_in_one_batch(subject: Subject) -> None:
    """The rows before it count as deduplicated."""
    sent = records({"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 1, "name": "c"}, {"id": 1, "name": "d"})
    report = loaded(subject, schema(_ROW, ["id"]), *sent)
    assert things(subject, "id", "name") == [(1, "d"), (2, "b")]
    assert (report.total.read, report.total.loaded, report.total.deduplicated) == (4, 2, 2)


def last_line_wins_across_batches_of_one_checkpoint(subject: Subject) -> None:
    """Each batch has one row, and several are staged at the same time."""
    sent = records(*({"id": n % 2, "name": str(n)} for n in range(20)))
    report = loaded(subject, schema(_ROW, ["id"]), *sent, batch_rows=1)
    assert things(subject, "id", "name") == [(0, "18"), (1, "19")]
    assert (report.total.loaded, report.total.updated, report.total.deduplicated) == (2, 0, 18)


def last_line_wins_across_checkpoints(subject: Subject) -> None:
    """Each checkpoint updates what the one before has inserted."""
    sent = [m for n in range(3) for m in (record({"id": 1, "name": str(n)}), state(n))]
    report = loaded(subject, schema(_ROW, ["id"]), *sent, checkpoint_rows=1)
    assert things(subject, "id", "name") == [(1, "2")]
    assert report.checkpoints >= 3
    assert (report.total.loaded, report.total.updated, report.total.deduplicated) == (3, 2, 0)


def a_later_run_updates_the_rows_of_an_earlier_one(subject: Subject) -> None:
    """By their key alone."""
    loaded(subject, schema(_ROW, ["id"]), *records({"id": 1, "name": "a"}, {"id": 2, "name": "b"}))
    report = loaded(subject, schema(_ROW, ["id"]), *records({"id": 2, "name": "c"}, {"id": 3, "name": "d"}))
    assert things(subject, "id", "name") == [(1, "a"), (2, "c"), (3, "d")]
    assert (report.total.loaded, report.total.updated) == (2, 1)


def an_update_sets_values_to_null(subject: Subject) -> None:
    """Null and absent fields overwrite what was there."""
    properties = {"id": INT, "name": TEXT, "note": TEXT}
    loaded(subject, schema(properties, ["id"]), record({"id": 1, "name": "a", "note": "b"}))
    loaded(subject, schema(properties, ["id"]), record({"id": 1, "name": None}))
    assert only(subject.rows(THINGS)) == {"id": 1, "name": None, "note": None}


def loads_a_stream_whose_every_column_is_key(subject: Subject) -> None:
    """An update has nothing to set, and no row is inserted twice."""
    for _ in range(2):
        loaded(subject, schema({"a": INT, "b": TEXT}, ["a", "b"]), *records({"a": 1, "b": "x"}, {"a": 1, "b": "y"}))
    assert things(subject, "a", "b") == [(1, "x"), (1, "y")]


def composite_keys_are_compared_column_by_column(subject: Subject) -> None:
    """Rows that share a part of their key stay apart."""
    properties = {"a": INT, "b": TEXT, "v": INT}
    keys = [(1, "x"), (1, "y"), (2, "x")]
    for v in (0, 1):
        loaded(subject, schema(properties, ["a", "b"]), *records(*({"a": a, "b": b, "v": v} for a, b in keys)))
    assert things(subject, "a", "b", "v") == [(1, "x", 1), (1, "y", 1), (2, "x", 1)]


def composite_keys_that_are_one_text_when_joined_stay_apart(subject: Subject) -> None:
    """("a", "b_c") isn't ("a_b", "c"), nor ("1", "11") ("11", "1"), whatever might join them."""
    keys = [("a", "b_c"), ("a_b", "c"), ("1", "11"), ("11", "1"), ("", "aa"), ("aa", "")]
    keys += [("a,b", "c"), ("a", "b,c"), ("a|b", "c"), ("a", "b|c"), ("a-b", "c"), ("a", "b-c")]
    properties = {"a": TEXT, "b": TEXT, "v": INT}
    for v in (0, 1):
        sent = records(*({"a": a, "b": b, "v": v} for a, b in keys))
        loaded(subject, schema(properties, ["a", "b"]), *sent, naming="preserve")
    assert things(subject, "a", "b", "v") == sorted((a, b, 1) for a, b in keys)


def the_order_of_a_key_is_not_the_order_of_the_columns(subject: Subject) -> None:
    """Values are matched by column."""
    for v in (0, 1):
        loaded(
            subject,
            schema({"v": INT, "a": TEXT, "b": TEXT}, ["b", "a"]),
            *records({"v": v, "a": "x", "b": "y"}, {"v": v, "a": "y", "b": "x"}),
        )
    assert things(subject, "a", "b", "v") == [("x", "y", 1), ("y", "x", 1)]


def integers_are_keys_to_their_last_digit(subject: Subject) -> None:
    """Two integers that would be the same float64 stay apart."""
    _are_keys(subject, INT, [2**53, 2**53 + 1, -1, 0, 2**63 - 1, 2**63 - 2])


def texts_are_keys_to_their_last_byte(subject: Subject) -> None:
    """Texts differ by case, accents, spaces at the end, and the form of a letter."""
    _are_keys(subject, TEXT, ["a", "A", "a ", " a", "á", "a\u0301", "", "ß", "ss", "1", "01"])


def texts_with_nul_are_keys(subject: Subject) -> None:
    """Texts that differ only after a NUL differ."""
    _are_keys(subject, TEXT, ["a", "a\x00", "a\x00b", "a\x00c"])


def booleans_are_keys(subject: Subject) -> None:
    """False is a key like true."""
    _are_keys(subject, BOOL, [False, True])


def dates_are_keys(subject: Subject) -> None:
    """The first date, the last date, and two that follow each other."""
    _are_keys(subject, DATE, ["0001-01-01", "2024-02-29", "2024-03-01", "9999-12-31"])


def timestamps_are_keys_by_their_instant(subject: Subject) -> None:
    """To the microsecond; the same instant at another offset is the same key."""
    _are_keys(subject, TIMESTAMPTZ, ["2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00Z"])
    again = records({"k": "2023-12-31T19:00:00-05:00", "v": 7})
    report = loaded(subject, schema({"k": TIMESTAMPTZ, "v": INT}, ["k"]), *again)
    assert report.total.updated == 1
    assert len(subject.rows(THINGS)) == 2


def decimals_are_keys_by_their_value(subject: Subject) -> None:
    """To the last digit; 1.50 is 1.5."""
    _are_keys(subject, decimal(38, 2), [1, 1.01, -1])
    line = '{"type":"RECORD","stream":"things","record":{"k":1.00,"v":7}}'
    assert loaded(subject, schema({"k": decimal(38, 2), "v": INT}, ["k"]), line).total.updated == 1


def integers_beyond_int64_are_keys(subject: Subject) -> None:
    """Two numbers of 38 digits that differ in the last one stay apart."""
    _are_keys(subject, BIG, [10**38 - 1, 10**38 - 2, -(10**38) + 1, 2**63])


def uuids_are_keys_however_they_are_written(subject: Subject) -> None:
    """Upper and lower case are one."""
    code = "123e4567-e89b-12d3-a456-42661417400"
    _are_keys(subject, UUID, [code + "a", code + "b"])
    again = record({"k": (code + "a").upper(), "v": 7})
    assert loaded(subject, schema({"k": UUID, "v": INT}, ["k"]), again).total.updated == 1


def refuses_a_null_in_a_key(subject: Subject) -> None:
    """The error names the line and the key; nothing is loaded."""
    with raises(RecordError, "line 3", "id"):
        loaded(subject, schema(_ROW, ["id"]), *records({"id": 1, "name": "a"}, {"id": None, "name": "b"}))
    assert subject.rows(THINGS) == []


def refuses_a_record_without_its_key(subject: Subject) -> None:
    """A key of two parts needs both."""
    with raises(RecordError, "line 2", "name"):
        loaded(subject, schema(_ROW, ["id", "name"]), record({"id": 1}))
    assert subject.rows(THINGS) == []


def refuses_a_key_that_the_schema_lacks(subject: Subject) -> None:
    """The error names it."""
    with raises(SchemaError, "code"):
        loaded(subject, schema(_ROW, ["code"]), record({"id": 1}))


def takes_the_key_from_the_settings(subject: Subject) -> None:
    """Instead of the one that the tap sends."""
    sent = records({"id": 1, "name": "a"}, {"id": 2, "name": "a"})
    loaded(subject, schema(_ROW, ["id"]), *sent, key_properties=["name"])
    assert things(subject, "id", "name") == [(2, "a")]


def unique_constraints_are_a_key(subject: Subject) -> None:
    """With UPDATE as upsert, with IGNORE as insert_ignore."""
    for method, expected in (("UPDATE", "b"), ("IGNORE", "a")):
        stream = method.lower()
        more = {"unique_constraints": ["id"], "unique_conflict_method": method}
        sent = records({"id": 1, "name": "a"}, {"id": 1, "name": "b"}, stream=stream)
        loaded(subject, schema(_ROW, (), stream, **more), *sent)
        assert only(subject.rows(stream)) == {"id": 1, "name": expected}


def another_key_in_one_run_is_refused_before_a_row_comes_under_it(subject: Subject) -> None:
    """Whether the key changes, appears or vanishes, and whatever the method. The error names both keys."""
    for method in (None, "append", "replace"):
        for number, (before, after, shown) in enumerate(_CHANGES):
            stream = f"s{number}_{method}"
            first, second = (schema(_ROW, key, stream) for key in (before, after))
            row = record({"id": 1, "name": "a"}, stream)
            with raises(SchemaError, stream, f"its key changes: {shown}", "`key_properties`"):
                loaded(subject, first, row, state(1), row, second, row, method=method)
            assert len(subject.rows(stream)) <= (method != "replace")


def another_key_in_a_later_run_is_refused(subject: Subject) -> None:
    """The table stays as it was, and the error says how to give it the new key. `replace` takes any key."""
    changes = {f"s{number}": change for number, change in enumerate(_CHANGES)}

    def run(key: int, number: int, *streams: str, **settings: Any) -> None:
        rows = [(schema(_ROW, changes[s][key], s), record({"id": number, "name": str(number)}, s)) for s in streams]
        loaded(subject, *(message for row in rows for message in row), **settings)

    run(0, 1, *changes)
    for name, (_, _, shown) in changes.items():
        with raises(SchemaError, name, f"its key changes: {shown}", "To give the table"):
            run(1, 2, name)
        assert only(subject.rows(name)) == {"id": 1, "name": "1"}
    run(1, 3, *changes, method="replace")
    run(1, 4, *changes)
    for name in changes:
        assert [row["id"] for row in by(subject.rows(name), "id")] == [3, 4]


def a_destination_by_itself_refuses_another_key(subject: Subject) -> None:
    """prepare() refuses it, though nothing is committed yet."""
    with closing(subject.open()) as destination:
        destination.recover("p")
        destination.prepare(stream(key=()))
        with raises(SchemaError, "its key changes: none -> (id)"):
            destination.prepare(stream(revision=2, method=_method(subject)))


def a_key_in_another_order_is_the_same(subject: Subject) -> None:
    """In one run and in the next."""
    one, other = (schema(_ROW, key) for key in (["id", "name"], ["name", "id"]))
    loaded(subject, one, record({"id": 1, "name": "a"}), other, record({"id": 2, "name": "b"}))
    loaded(subject, other, record({"id": 3, "name": "c"}))
    assert things(subject, "id", "name") == [(1, "a"), (2, "b"), (3, "c")]


def keys_work_beside_versions(subject: Subject) -> None:
    """A stream that gets a version column in mid-run still finds its rows by their key."""
    loaded(
        subject,
        schema(_ROW, ["id"]),
        *records({"id": 1, "name": "a"}, {"id": 2, "name": "b"}),
        record({"id": 1, "name": "c"}, version=1),
        activate(1),
    )
    assert things(subject, "id", "name") == [(1, "c"), (2, "b")]


def _method(subject: Subject) -> Method:
    """The method by which the destination loads a stream with a key."""
    with closing(subject.open()) as destination:
        return Method.UPSERT if Method.UPSERT in destination.traits.methods else Method.APPEND


def _are_keys(subject: Subject, kind: Mapping[str, Any], keys: Sequence[Any]) -> None:
    """Rows with these keys stay apart, and a second run finds each of them again."""
    for v in (0, 1):
        sent = records(*({"k": key, "v": v} for key in keys), *({"k": key, "v": v + 1} for key in reversed(keys)))
        report = loaded(subject, schema({"k": kind, "v": INT}, ["k"]), *sent)
        assert (report.total.loaded, report.total.deduplicated) == (len(keys), len(keys))
        assert report.total.updated == (len(keys) if v else 0)
    assert [row["v"] for row in subject.rows(THINGS)] == [2] * len(keys)
    assert len({repr(row["k"]) for row in subject.rows(THINGS)}) == len(keys)
