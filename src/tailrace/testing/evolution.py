"""Behaviours: a table follows its stream's schema without losing a value, or refuses to, as the contract says."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime
from decimal import Decimal

from tailrace.errors import RecordError, SchemaError
from tailrace.testing.messages import (
    BINARY,
    BOOL,
    DATE,
    DECIMAL,
    FLOAT,
    INT,
    TEXT,
    THINGS,
    TIME,
    TIMESTAMPTZ,
    UUID,
    Message,
    by,
    decimal,
    loaded,
    only,
    raises,
    record,
    records,
    schema,
    things,
)
from tailrace.testing.subject import Row, Subject

_ROW = {"id": INT, "name": TEXT}
_A, _B = {"id": 1, "name": "a"}, {"id": 2, "name": "b"}


def a_new_column_is_added_and_null_in_older_rows(subject: Subject) -> None:
    """Between two runs."""
    loaded(subject, schema(_ROW, ["id"]), record(_A))
    loaded(subject, schema({**_ROW, "size": INT}, ["id"]), record({**_B, "size": 5}))
    assert things(subject, "id", "name", "size") == [(1, "a", None), (2, "b", 5)]


def a_schema_that_changes_in_mid_run_changes_the_rows_after_it(subject: Subject) -> None:
    """Records before it keep the old one; both are in one checkpoint."""
    wider = schema({**_ROW, "size": INT, "day": DATE})
    loaded(subject, schema(_ROW), record({**_A, "size": 9}), wider, record({**_B, "size": 5, "day": "2024-01-31"}))
    assert things(subject, "id", "size", "day") == [(1, None, None), (2, 5, date(2024, 1, 31))]


def last_line_wins_across_schemas_of_one_checkpoint(subject: Subject) -> None:
    """A key that comes under three schemas, the third being the first again."""
    narrow, wide = schema(_ROW, ["id"]), schema({**_ROW, "size": INT}, ["id"])
    sent = [narrow, record(_A), wide, record({"id": 1, "name": "b", "size": 5}), narrow, record({"id": 1, "name": "c"})]
    report = loaded(subject, *sent)
    row = only(subject.rows(THINGS))
    assert (row["id"], row["name"], row["size"]) == (1, "c", 5)
    assert report.total.read == 3


def a_column_that_the_stream_lost_is_kept(subject: Subject) -> None:
    """It is null in new rows, even if the schema had required it."""
    properties = {"id": {"type": "integer"}, "name": {"type": "string"}}
    demanding = {"type": "object", "properties": properties, "required": ["id", "name"]}
    loaded(subject, {"type": "SCHEMA", "stream": THINGS, "schema": demanding}, record(_A))
    loaded(subject, schema({"id": INT}), record({"id": 2}), record({"id": None}))
    assert [row["name"] for row in by(subject.rows(THINGS), "id", "name")] == [None, "a", None]


def an_integer_column_takes_text(subject: Subject) -> None:
    """In place, or in a new column `n__text`. The old value stays readable."""
    loaded(subject, schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 7}))
    loaded(subject, schema({"id": INT, "n": TEXT}, ["id"]), record({"id": 2, "n": "seven"}))
    old, new = by(subject.rows(THINGS), "id")
    assert str(_value(old, "n", "text")) == "7"
    assert _value(new, "n", "text") == "seven"


def an_integer_column_takes_decimals(subject: Subject) -> None:
    """In place, or in a new column `n__decimal`. Both keep all digits."""
    loaded(subject, schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 2**63 - 1}))
    line = '{"type":"RECORD","stream":"things","record":{"id":2,"n":1234567890123456789.123456789}}'
    loaded(subject, schema({"id": INT, "n": DECIMAL}, ["id"]), line)
    old, new = by(subject.rows(THINGS), "id")
    assert _value(old, "n", "decimal") == 2**63 - 1
    assert _value(new, "n", "decimal") == Decimal("1234567890123456789.123456789")


def a_decimal_column_takes_more_digits(subject: Subject) -> None:
    """On both sides of the point."""
    loaded(subject, schema({"id": INT, "n": decimal(5, 2)}, ["id"]), record({"id": 1, "n": Decimal("999.99")}))
    wider = record({"id": 2, "n": Decimal("1234567.1234")})
    loaded(subject, schema({"id": INT, "n": decimal(12, 4)}, ["id"]), wider)
    old, new = by(subject.rows(THINGS), "id")
    assert _value(old, "n", "decimal") == Decimal("999.99")
    assert _value(new, "n", "decimal") == Decimal("1234567.1234")


def an_integer_column_takes_floats(subject: Subject) -> None:
    """In a new column, for neither kind holds all values of the other."""
    loaded(subject, schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 2**53 + 1}))
    loaded(subject, schema({"id": INT, "n": FLOAT}, ["id"]), record({"id": 2, "n": 0.1}))
    assert things(subject, "id", "n", "n__float") == [(1, 2**53 + 1, None), (2, None, 0.1)]


def values_that_become_text_are_written_as_those_that_come_as_text_later(subject: Subject) -> None:
    """Whether they are in the table, or still staged, when their columns become text."""
    kinds = {"i": INT, "f": FLOAT, "b": BOOL, "n": decimal(9, 2), "d": DATE, "t": TIME, "m": TIMESTAMPTZ, "u": UUID}
    row: Row = {"i": -7, "f": 5.0, "b": True, "n": Decimal("1.5"), "d": "2024-01-31", "t": "07:15:00.5"}
    row = {**row, "m": "2024-01-31T12:00:00.5+02:00", "u": "123E4567-e89b-12d3-a456-426614174000"}
    rows: list[Row] = [{"id": 1, **row}, {"id": 2, **row, "f": 1e-5, "b": False, "t": "07:15:00"}, {"id": 3, "f": 1e16}]
    texts = dict.fromkeys(kinds, TEXT)
    first: list[Message] = []
    second: list[Message] = []
    for stream in ("waiting", "there", "later"):
        narrow, wide = (schema({"id": INT, **columns}, ["id"], stream) for columns in (kinds, texts))
        sent, text = records(*rows, stream=stream), record({"id": 4, **dict.fromkeys(kinds, "x")}, stream)
        runs = {
            "waiting": [[narrow, *sent, wide, text], []],
            "there": [[narrow, *sent], [wide, text]],
            "later": [[wide, text], [narrow, *sent]],
        }
        first += runs[stream][0]
        second += runs[stream][1]
    loaded(subject, *first)
    loaded(subject, *second)
    waiting, there, later = (by(subject.rows(stream), "id") for stream in ("waiting", "there", "later"))
    assert waiting == there
    for number, expected in enumerate(later):
        became = {name: there[number][name] for name in kinds if f"{name}__text" not in there[number]}
        assert became == {name: expected[name] for name in became}


def a_key_that_becomes_text_finds_the_rows_that_wait(subject: Subject) -> None:
    """Where the column can be altered. Otherwise the error says what to run."""
    narrow, wide = (schema({"id": kind, "name": TEXT}, ["id"]) for kind in (INT, TEXT))
    sent = [narrow, *records({"id": 1, "name": "a"}, {"id": 2, "name": "b"})]
    sent += [wide, *records({"id": "2", "name": "c"}, {"id": "x", "name": "d"}, {"id": "02", "name": "e"})]
    try:
        loaded(subject, *sent)
    except SchemaError as error:
        assert "alter it to TEXT yourself" in str(error) or "run `" in str(error)  # noqa: PT017 either is right
        assert subject.rows(THINGS) == []
    else:
        assert things(subject, "id", "name") == [("02", "e"), ("1", "a"), ("2", "c"), ("x", "d")]


def a_value_leaves_the_column_beside_the_one_that_it_goes_into(subject: Subject) -> None:
    """An update sets the other column to null, so that a row has its value in one column only."""
    for value, kind in (("AQ==", BINARY), ("text", TEXT), (None, TEXT), ("text", TEXT), ("AA==", BINARY)):
        loaded(subject, schema({"id": INT, "v": kind}, ["id"]), record({"id": 1, "v": value}))
    row = only(subject.rows(THINGS))
    assert (row["v"], row["v__text"]) == (b"\x00", None)
    loaded(subject, schema({"id": INT, "v": TEXT}, ["id"]), record({"id": 1}))
    assert only(subject.rows(THINGS)) == {"id": 1, "v": None, "v__text": None}


def a_date_column_takes_timestamps(subject: Subject) -> None:
    """In place, or in a new column `d__timestamptz`. A date becomes its midnight in UTC."""
    loaded(subject, schema({"id": INT, "d": DATE}, ["id"]), record({"id": 1, "d": "2024-01-31"}))
    later = record({"id": 2, "d": "2024-01-31T12:00:00.000001Z"})
    loaded(subject, schema({"id": INT, "d": TIMESTAMPTZ}, ["id"]), later)
    old, new = by(subject.rows(THINGS), "id")
    assert _value(old, "d", "timestamptz") in (date(2024, 1, 31), datetime(2024, 1, 31, tzinfo=UTC))
    assert _value(new, "d", "timestamptz") == datetime(2024, 1, 31, 12, 0, 0, 1, UTC)


def a_column_that_cannot_be_altered_gets_another_beside_it(subject: Subject) -> None:
    """BINARY and TEXT share no values. Later runs find the new column again."""
    loaded(subject, schema({"id": INT, "v": BINARY}), record({"id": 1, "v": base64.b64encode(b"\x00a").decode()}))
    for number in (2, 3):
        loaded(subject, schema({"id": INT, "v": TEXT}), record({"id": number, "v": "text"}))
    loaded(subject, schema({"id": INT, "v": BINARY}), record({"id": 4, "v": "AQ=="}))
    assert things(subject, "id", "v", "v__text") == [
        (1, b"\x00a", None),
        (2, None, "text"),
        (3, None, "text"),
        (4, b"\x01", None),
    ]


def an_update_into_the_column_beside_is_seen_there(subject: Subject) -> None:
    """A key has one row, whichever column its value goes into."""
    loaded(subject, schema({"id": INT, "v": BINARY}, ["id"]), record({"id": 1, "v": "AQ=="}))
    loaded(subject, schema({"id": INT, "v": TEXT}, ["id"]), record({"id": 1, "v": "text"}))
    assert only(subject.rows(THINGS))["v__text"] == "text"


def a_narrower_kind_goes_into_a_wider_column(subject: Subject) -> None:
    """Integers into a column of text, floats into decimals, dates into timestamps."""
    wide = {"id": INT, "t": TEXT, "d": DECIMAL, "m": TIMESTAMPTZ}
    loaded(subject, schema(wide), record({"id": 1, "t": "a", "d": Decimal("0.5"), "m": "2024-01-31T12:00:00Z"}))
    narrow = {"id": INT, "t": INT, "d": FLOAT, "m": DATE}
    loaded(subject, schema(narrow), record({"id": 2, "t": 7, "d": 0.1, "m": "2024-01-31"}))
    row = by(subject.rows(THINGS), "id")[1]
    assert row == {"id": 2, "t": "7", "d": Decimal("0.1"), "m": datetime(2024, 1, 31, tzinfo=UTC)}


def a_value_that_a_wider_column_would_change_is_refused(subject: Subject) -> None:
    """A float with more digits than the column's decimals. The error names its line; it is never rounded."""
    loaded(subject, schema({"id": INT, "n": decimal(5, 2)}), record({"id": 1, "n": 1}))
    sent = records({"id": 2, "n": 1.25}, {"id": 3, "n": 1.234}, {"id": 4, "n": 1e5})
    with raises(RecordError, "line 3", "1.234"):
        loaded(subject, schema({"id": INT, "n": FLOAT}), *sent)
    assert things(subject, "id", "n") == [(1, Decimal(1))]


def a_schema_that_is_sent_again_changes_nothing(subject: Subject) -> None:
    """Taps repeat themselves."""
    sent = [m for n in range(4) for m in (schema(_ROW, ["id"]), record({"id": n % 2, "name": str(n)}))]
    report = loaded(subject, *sent)
    assert things(subject, "id", "name") == [(0, "2"), (1, "3")]
    assert (report.total.loaded, report.total.deduplicated) == (2, 2)


def a_frozen_contract_refuses_a_new_column(subject: Subject) -> None:
    """The error names the column, and the table stays as it was."""
    loaded(subject, schema(_ROW), record(_A))
    with raises(SchemaError, "size", "freeze"):
        loaded(subject, schema({**_ROW, "size": INT}), record({**_B, "size": 5}), contract="freeze")
    assert subject.rows(THINGS) == [_A]


def a_frozen_contract_refuses_a_wider_kind(subject: Subject) -> None:
    """No column is altered or added."""
    loaded(subject, schema({"id": INT, "n": INT}), record({"id": 1, "n": 7}))
    with raises(SchemaError, "'n'", "freeze"):
        loaded(subject, schema({"id": INT, "n": TEXT}), record({"id": 2, "n": "seven"}), contract="freeze")
    assert subject.rows(THINGS) == [{"id": 1, "n": 7}]


def a_frozen_contract_takes_what_fits(subject: Subject) -> None:
    """A new table, rows of the same schema, and of one with fewer columns."""
    loaded(subject, schema(_ROW), record(_A), contract="freeze")
    loaded(subject, schema(_ROW), record(_B), contract="freeze")
    loaded(subject, schema({"id": INT}), record({"id": 3}), contract="freeze")
    assert things(subject, "id", "name") == [(1, "a"), (2, "b"), (3, None)]


def a_contract_that_discards_columns_loads_the_others(subject: Subject) -> None:
    """New columns, and those whose kind doesn't fit, are left out."""
    loaded(subject, schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 7}))
    changed = {"id": INT, "n": TEXT, "size": INT}
    sent = records({"id": 1, "n": "seven", "size": 5}, {"id": 2, "n": "eight", "size": 6})
    loaded(subject, schema(changed, ["id"]), *sent, contract="discard_columns")
    assert by(subject.rows(THINGS), "id") == [{"id": 1, "n": 7}, {"id": 2, "n": None}]


def a_contract_that_discards_columns_also_replaces(subject: Subject) -> None:
    """The new table has the columns of the old one."""
    loaded(subject, schema(_ROW), record(_A))
    wider = schema({**_ROW, "size": INT})
    loaded(subject, wider, record({**_B, "size": 5}), method="replace", contract="discard_columns")
    assert subject.rows(THINGS) == [_B]


def a_failed_change_leaves_the_table_as_it_was(subject: Subject) -> None:
    """A column that fits isn't added when another is refused."""
    loaded(subject, schema({"id": INT, "v": TEXT}, ["v"]), record({"id": 1, "v": "a"}))
    with raises(SchemaError, "'v'"):
        loaded(subject, schema({"id": INT, "v": BINARY, "size": INT}, ["v"]), record({"id": 2, "v": "AQ==", "size": 1}))
    assert subject.rows(THINGS) == [{"id": 1, "v": "a"}]


def _value(row: Row, column: str, kind: str) -> object:
    """The value, in the new column beside the old one or in the old one."""
    beside = row.get(f"{column}__{kind}")
    return row[column] if beside is None else beside
