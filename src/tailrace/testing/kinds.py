"""Behaviours: every kind keeps its values, the smallest and the largest too."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, time
from decimal import Decimal

from tailrace.testing.messages import (
    ANY,
    BIG,
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
    decimal,
    loaded,
    only,
    record,
    round_trip,
    schema,
)
from tailrace.testing.subject import Subject

_NAIVE = {"v": {"kind": "TIMESTAMP"}}


def keeps_the_largest_and_smallest_int64(subject: Subject) -> None:
    """The smallest and the largest INT, and zero."""
    round_trip(subject, INT, [(n, n) for n in (2**63 - 1, -(2**63), 0, -1, 2**53 + 1)])


def keeps_integers_beyond_int64(subject: Subject) -> None:
    """Bounds beyond int64 make DECIMAL(38,0). All its digits are kept."""
    numbers = (2**63, -(2**63) - 1, 10**38 - 1, -(10**38) + 1, 2**64 + 1, 0)
    round_trip(subject, BIG, [(n, Decimal(n)) for n in numbers])


def keeps_decimals_of_38_digits(subject: Subject) -> None:
    """Digits before and after the point, none rounded."""
    texts = ("12345678901234567890123456789.123456789", "-99999999999999999999999999999.999999999", "0.000000001")
    round_trip(subject, DECIMAL, [(Decimal(text), Decimal(text)) for text in texts])


def keeps_decimals_with_every_digit_after_the_point(subject: Subject) -> None:
    """DECIMAL(38,38): nothing before the point."""
    texts = ("0." + "0" * 37 + "1", "0." + "9" * 38, "-0." + "9" * 38, "0")
    round_trip(subject, decimal(38, 38), [(Decimal(text), Decimal(text)) for text in texts])


def keeps_small_decimals(subject: Subject) -> None:
    """The smallest and the largest DECIMAL(5,2), and fractions that no float holds."""
    texts = ("999.99", "-999.99", "0.01", "-0.01", "0", "517.6", "0.1")
    round_trip(subject, decimal(5, 2), [(Decimal(text), Decimal(text)) for text in texts])


def keeps_decimals_that_are_written_with_exponents(subject: Subject) -> None:
    """1e2 is a hundred. `multipleOf` is above one, and exponents have both signs."""
    lines = [f'{{"type":"RECORD","stream":"things","record":{{"v":{text}}}}}' for text in ("1e2", "-12E+3", "700e-2")]
    loaded(subject, schema({"v": {"type": "number", "multipleOf": 100}}), *lines[:2])
    assert sorted(map(_decimal, subject.rows(THINGS))) == [Decimal(-12000), Decimal(100)]
    loaded(subject, schema({"v": {"type": "number", "multipleOf": 100}}), lines[2])
    assert sorted(map(_decimal, subject.rows(THINGS))) == [Decimal(-12000), Decimal(7), Decimal(100)]


def _decimal(row: dict[str, object]) -> Decimal:
    assert isinstance(row["v"], Decimal), row
    return row["v"]


def keeps_floats_from_the_smallest_to_the_largest(subject: Subject) -> None:
    """Every float64 comes back as the same float64."""
    numbers = (1e308, 1.7976931348623157e308, -1e308, 5e-324, 2.2250738585072014e-308, 0.1, -517.6, 1 / 3, 0.0)
    round_trip(subject, FLOAT, [(n, n) for n in numbers])


def keeps_negative_zero(subject: Subject) -> None:
    """-0.0 isn't 0.0."""
    round_trip(subject, FLOAT, [(-0.0, -0.0), (0.0, 0.0)])


def keeps_an_integer_in_a_float_column_a_float(subject: Subject) -> None:
    """A number without a point is still a number."""
    round_trip(subject, FLOAT, [(5, 5.0), (-(2**53), -(2.0**53))])


def keeps_false_apart_from_null(subject: Subject) -> None:
    """Three values, not two."""
    round_trip(subject, BOOL, [(False, False), (True, True), (None, None)])


def keeps_every_byte(subject: Subject) -> None:
    """All 256 of them, NUL at the start and at the end, and an empty value."""
    values = (bytes(range(256)), b"\x00", b"\xff\x00", b"", b"\\x00'\"")
    round_trip(subject, BINARY, [(base64.b64encode(value).decode(), value) for value in values])


def keeps_dates_from_year_1_to_9999(subject: Subject) -> None:
    """Proleptic Gregorian, with a leap day and the days before 1970."""
    texts = ("0001-01-01", "9999-12-31", "1582-10-10", "1900-02-28", "1969-12-31", "2024-02-29")
    round_trip(subject, DATE, [(text, date.fromisoformat(text)) for text in texts])


def keeps_times_to_the_microsecond(subject: Subject) -> None:
    """From midnight to the last microsecond of the day."""
    texts = ("00:00:00", "23:59:59.999999", "12:34:56.000001", "07:08:09.5")
    round_trip(subject, TIME, [(text, time.fromisoformat(text)) for text in texts])


def keeps_timestamps_to_the_microsecond(subject: Subject) -> None:
    """In UTC, before and after 1970."""
    texts = ("2024-01-31T12:00:00.000001Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z")
    round_trip(subject, TIMESTAMPTZ, [(text, datetime.fromisoformat(text)) for text in texts])


def converts_timestamps_with_an_offset_to_utc(subject: Subject) -> None:
    """The instant is kept, whatever the offset it was written with."""
    round_trip(
        subject,
        TIMESTAMPTZ,
        [
            ("2024-01-31T23:30:00.25-05:00", datetime(2024, 2, 1, 4, 30, 0, 250000, UTC)),
            ("2024-03-31T02:30:00+05:45", datetime(2024, 3, 30, 20, 45, tzinfo=UTC)),
            ("2024-03-10T02:30:00-00:00", datetime(2024, 3, 10, 2, 30, tzinfo=UTC)),
        ],
    )


def keeps_timestamps_from_year_1_to_9999(subject: Subject) -> None:
    """The first microsecond of year 1 and the last of year 9999."""
    texts = ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00")
    round_trip(subject, TIMESTAMPTZ, [(text, datetime.fromisoformat(text)) for text in texts])


def takes_a_timestamp_without_offset_as_utc(subject: Subject) -> None:
    """Never as local time, wherever the loader runs."""
    round_trip(subject, TIMESTAMPTZ, [("2024-07-01T12:00:00", datetime(2024, 7, 1, 12, tzinfo=UTC))])


def keeps_naive_timestamps_without_offset(subject: Subject) -> None:
    """TIMESTAMP, by a setting: the time on the clock, from year 1 to 9999."""
    texts = ("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2024-03-31T02:30:00.000001")
    values = [(text, datetime.fromisoformat(text)) for text in texts]
    round_trip(subject, TIMESTAMPTZ, values, columns=_NAIVE)


def keeps_uuids(subject: Subject) -> None:
    """In lower case, however they were written."""
    lower = "123e4567-e89b-12d3-a456-426614174000"
    ends = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
    round_trip(subject, UUID, [(lower, lower), (lower.upper(), lower), *((end, end) for end in ends)])


def keeps_null_in_every_kind(subject: Subject) -> None:
    """Null stays null in all twelve kinds, beside a row that has values."""
    kinds = {
        "bool": (BOOL, True),
        "int": (INT, 1),
        "float": (FLOAT, 1.5),
        "decimal": (DECIMAL, Decimal("1.5")),
        "text": (TEXT, "a"),
        "json": (ANY, {"a": 1}),
        "bytes": (BINARY, "AA=="),
        "day": (DATE, "2024-01-01"),
        "hour": (TIME, "12:00:00"),
        "instant": (TIMESTAMPTZ, "2024-01-01T00:00:00Z"),
        "moment": (TIMESTAMPTZ, "2024-01-01T00:00:00Z"),
        "code": (UUID, "123e4567-e89b-12d3-a456-426614174000"),
    }
    properties = {"id": INT} | {name: kind for name, (kind, _) in kinds.items()}
    full = {"id": 2} | {name: value for name, (_, value) in kinds.items()}
    empty = {"id": 1} | dict.fromkeys(kinds)
    settings = {"columns": {"moment": {"kind": "TIMESTAMP"}}}
    loaded(subject, schema(properties), record(empty), record(full), **settings)
    found = {row["id"]: row for row in subject.rows(THINGS)}
    assert {name: found[1][name] for name in kinds} == dict.fromkeys(kinds)
    assert [name for name in kinds if found[2][name] is None] == []


def keeps_a_column_of_nothing_but_nulls(subject: Subject) -> None:
    """A column is created though its batch has no value for it."""
    loaded(subject, schema({"id": INT, "v": DECIMAL, "w": DATE}), record({"id": 1, "v": None, "w": None}))
    assert only(subject.rows(THINGS)) == {"id": 1, "v": None, "w": None}


def takes_an_absent_field_as_null(subject: Subject) -> None:
    """A field that the schema doesn't require may be left out."""
    loaded(subject, schema({"id": INT, "v": TEXT}), record({"id": 1}))
    assert only(subject.rows(THINGS)) == {"id": 1, "v": None}
