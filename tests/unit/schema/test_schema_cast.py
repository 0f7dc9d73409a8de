"""Batches in the table's kinds: unchanged, or refused by line."""

import datetime as dt
import json
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import LINE, Column, Kind, Stream, TableName
from tailrace.schema.cast import CASTS, cast_rows
from tailrace.schema.evolve import TableColumn
from tailrace.schema.kinds import FITS

UTC = dt.UTC


def of(kind, precision=0, scale=0, name="a"):
    return Column(name, (name,), Kind[kind], precision, scale)


def into(kind, precision=0, scale=0, name="a"):
    return TableColumn(name, Kind[kind] if kind else None, precision, scale)


def cast(values, column, target):
    """The values as they come out, and the refused ones' lines (counted from 1)."""
    stream = Stream("s", TableName("s"), (column,))
    rows = pa.table({"a": pa.chunked_array([values], column.arrow), LINE: range(1, len(values) + 1)})
    found, refused = cast_rows(rows, stream, {"a": target})
    assert found.num_rows + len(refused) == len(values)
    if target.arrow and (column.kind, target.kind) in CASTS:
        assert found.schema.field("a").type == target.arrow
    return found["a"].to_pylist(), sorted(refused)


AT = dt.datetime(2024, 1, 31, 12, 30, 0, 500_000)
NOON = dt.datetime(2024, 1, 31, 12, tzinfo=UTC)
MIDNIGHT = dt.datetime(2024, 1, 31, tzinfo=UTC)
DAY = dt.date(2024, 1, 31)
ID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("have", "want", "values", "expected", "refused"),
    [
        (of("INT"), into("FLOAT"), [2**53, 2**53 + 1, -(2**60), None], [2.0**53, None], [2, 3]),
        (of("INT"), into("DECIMAL", 5, 2), [999, 1000, -999], [Decimal("999.00"), Decimal("-999.00")], [2]),
        (of("INT"), into("DECIMAL", 50, 10), [2**63 - 1], [Decimal(2**63 - 1)], []),
        (of("INT"), into("TEXT"), [7, -(2**63)], ["7", "-9223372036854775808"], []),
        (of("INT"), into("JSON"), [7, None], ["7", None], []),
        (of("FLOAT"), into("INT"), [1.0, 1.5, float("nan"), 1e19], [1], [2, 3, 4]),
        (of("FLOAT"), into("DECIMAL", 10, 2), [19.99, 0.125, 1e300, float("inf")], [Decimal("19.99")], [2, 3, 4]),
        (of("FLOAT"), into("DECIMAL"), [0.1], [Decimal("0.1")], []),
        (of("FLOAT"), into("JSON"), [0.1, float("nan"), 1e300], ["0.1", "1e+300"], [2]),
        (of("DECIMAL", 5, 2), into("INT"), [Decimal(3), Decimal("3.50")], [3], [2]),
        (of("DECIMAL", 38, 20), into("FLOAT"), [Decimal("0.1"), Decimal("0.12345678901234567891")], [0.1], [2]),
        (of("DECIMAL", 38, 9), into("TEXT"), [Decimal("1e-9"), Decimal("1.5")], ["0.000000001", "1.500000000"], []),
        (
            of("DECIMAL", 38, 2),
            into("DECIMAL", 4, 1),
            [Decimal("1.50"), Decimal("1.55"), Decimal(1000)],
            [Decimal("1.5")],
            [2, 3],
        ),
        (of("BOOL"), into("TEXT"), [True, False, None], ["true", "false", None], []),
        (of("BOOL"), into("INT"), [True, False], [1, 0], []),
        (of("DATE"), into("TIMESTAMPTZ"), [DAY], [MIDNIGHT], []),
        (of("DATE"), into("TIMESTAMP"), [DAY], [MIDNIGHT.replace(tzinfo=None)], []),
        (of("DATE"), into("TEXT"), [DAY, dt.date(1, 1, 1)], ["2024-01-31", "0001-01-01"], []),
        (of("DATE"), into("JSON"), [DAY], ['"2024-01-31"'], []),
        (of("TIMESTAMPTZ"), into("DATE"), [MIDNIGHT, NOON], [DAY], [2]),
        (of("TIMESTAMPTZ"), into("TIMESTAMP"), [NOON], [NOON.replace(tzinfo=None)], []),
        (of("TIMESTAMPTZ"), into("TEXT"), [NOON], ["2024-01-31 12:00:00+00"], []),
        (of("TIMESTAMPTZ"), into("JSON"), [NOON], ['"2024-01-31T12:00:00+00:00"'], []),
        (of("TIMESTAMP"), into("TIMESTAMPTZ"), [AT], [AT.replace(tzinfo=UTC)], []),
        (of("TIMESTAMP"), into("TEXT"), [AT], ["2024-01-31 12:30:00.5"], []),
        (of("TIMESTAMP"), into("JSON"), [AT], ['"2024-01-31T12:30:00.5"'], []),
        (of("TIME"), into("TEXT"), [dt.time(10), dt.time(10, 0, 0, 10)], ["10:00:00", "10:00:00.00001"], []),
        (of("UUID"), into("TEXT"), [ID], [ID], []),
        (of("UUID"), into("JSON"), [ID], [f'"{ID}"'], []),
        (of("JSON"), into("TEXT"), ['{"a": 1.0}'], ['{"a": 1.0}'], []),
        (of("TEXT"), into("JSON"), ["a", 'a"b\\', "x\n\x00", ""], ['"a"', '"a\\"b\\\\"', '"x\\n\\u0000"', '""'], []),
        (of("TEXT"), into("INT"), ["7", "-7", "007", "+7", " 7", "-0", "7.0", "", "x"], [7, -7], [3, 4, 5, 6, 7, 8, 9]),
        (of("TEXT"), into("BOOL"), ["true", "false", "1", "TRUE"], [True, False], [3, 4]),
        (of("TEXT"), into("FLOAT"), ["0.1", "1.0", "1", "0.10000000000000000001"], [0.1, 1.0, 1.0], [4]),
        (of("TEXT"), into("DECIMAL", 5, 2), ["1.5", "1.50", "1.555", "01.5", "1e2"], [Decimal("1.5")] * 2, [3, 4, 5]),
        (of("TEXT"), into("DATE"), ["2024-01-31", "2024-1-31", "2024-02-31"], [DAY], [2, 3]),
        (of("TEXT"), into("TIME"), ["10:00:00", "10:00", "25:00:00"], [dt.time(10)], [2, 3]),
        (of("TEXT"), into("TIMESTAMP"), ["2024-01-31T12:30:00.500", "2024-01-31"], [AT], [2]),
        (
            of("TEXT"),
            into("TIMESTAMPTZ"),
            ["2024-01-31 12:00:00+00", "2024-01-31T12:00:00Z", "2024-01-31T14:00:00+02:00", "2024-01-31 12:00:00"],
            [NOON, NOON],
            [3, 4],
        ),
        (of("TEXT"), into("UUID"), [ID, ID.upper(), "x"], [ID], [2, 3]),
        (of("TEXT"), into("BINARY"), ["x"], ["x"], []),
        (of("TEXT"), into(None), ["x"], ["x"], []),
        (of("DECIMAL", 38, 30), into("DECIMAL"), [Decimal("0.5")], [Decimal("0.5")], []),
    ],
)
def test_values_come_out_unchanged_or_are_refused(have, want, values, expected, refused):
    assert cast(values, have, want) == (expected, refused)


def test_every_kind_goes_into_what_it_is_said_to_fit():
    assert {(have, want) for have, wants in FITS.items() for want in wants} <= CASTS.keys()


def test_rows_come_back_under_the_tables_names_without_what_has_no_target():
    stream = Stream("s", TableName("s"), (of("INT", name="a"), of("TEXT", name="b"), of("INT", name="c")))
    rows = pa.table({"a": [1, 2], "b": ["x", "y"], "c": [3, 4], LINE: [7, 9]})
    found, refused = cast_rows(rows, stream, {"c": into("TEXT", name="C"), "a": into("INT", name="a")})
    assert found.to_pydict() == {"a": [1, 2], "C": ["3", "4"], LINE: [7, 9]}
    assert refused == {}


def test_a_refusal_names_the_line_the_column_and_the_value():
    stream = Stream("s", TableName("s"), (of("TEXT", name="a"), of("FLOAT", name="b")))
    rows = pa.table({"a": ["1", "x" * 100, "3"], "b": [1.0, 1.5, 2.5], LINE: [10, 20, 30]})
    found, refused = cast_rows(rows, stream, {"a": into("INT"), "b": into("INT", name="b")})
    assert found.to_pydict() == {"a": [1], "b": [1], LINE: [10]}
    assert refused == {
        20: f"column 'a': {'x' * 79}… doesn't go into INT unchanged; column 'b': 1.5 doesn't go into INT unchanged",
        30: "column 'b': 2.5 doesn't go into INT unchanged",
    }


def test_values_are_cast_across_chunks_and_no_rows_are_cast_too():
    stream = Stream("s", TableName("s"), (of("TEXT"),))
    chunked = pa.chunked_array([["1", "x"], [], ["2", "y"]])
    found, refused = cast_rows(pa.table({"a": chunked, LINE: [1, 2, 3, 4]}), stream, {"a": into("INT")})
    assert (found["a"].to_pylist(), sorted(refused)) == ([1, 2], [2, 4])
    assert cast([], of("INT"), into("TEXT")) == ([], [])
    assert cast([None], of("TIMESTAMPTZ"), into("TEXT")) == ([None], [])


VALUES = {
    "BOOL": st.booleans(),
    "INT": st.integers(-(2**63), 2**63 - 1),
    "FLOAT": st.floats(allow_nan=False),
    "DECIMAL": st.decimals(-(10**20), 10**20, places=9),
    "DATE": st.dates(),
    "TIME": st.times(),
    "TIMESTAMP": st.datetimes(),
    "TIMESTAMPTZ": st.datetimes(timezones=st.just(UTC)),
    "UUID": st.uuids().map(str),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_text_reads_back_as_the_same_value(kind, data):
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=5))
    digits = (38, 9) if kind == "DECIMAL" else (0, 0)
    texts, refused = cast(values, of(kind, *digits), into("TEXT"))
    assert refused == []
    assert cast(texts, of("TEXT"), into(kind, *digits)) == (values, [])


@given(st.lists(st.none() | st.text(), max_size=5))
def test_text_as_json_reads_back_as_the_same_text(values):
    texts, refused = cast(values, of("TEXT"), into("JSON"))
    assert ([None if t is None else json.loads(t) for t in texts], refused) == (values, [])


@given(st.lists(VALUES["INT"], max_size=5), st.integers(1, 38), st.integers(0, 38))
def test_integers_in_a_decimal_are_the_same_or_refused(values, precision, scale):
    scale = min(scale, precision)
    found, refused = cast(values, of("INT"), into("DECIMAL", precision, scale))
    fits = [abs(v) < 10 ** (precision - scale) for v in values]
    assert found == [v for v, is_in in zip(values, fits, strict=True) if is_in]
    assert refused == [line for line, is_in in enumerate(fits, 1) if not is_in]


@given(st.lists(VALUES["DECIMAL"], max_size=5), st.integers(1, 38), st.integers(0, 38))
def test_decimals_in_other_digits_are_the_same_or_refused(values, precision, scale):
    scale = min(scale, precision)
    found, refused = cast(values, of("DECIMAL", 38, 9), into("DECIMAL", precision, scale))
    fits = [abs(v) < 10 ** (precision - scale) and (Fraction(v) * 10**scale).denominator == 1 for v in values]
    assert found == [v for v, is_in in zip(values, fits, strict=True) if is_in]
    assert refused == [line for line, is_in in enumerate(fits, 1) if not is_in]
