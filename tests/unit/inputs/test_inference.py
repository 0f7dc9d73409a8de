"""What the texts of a column are: the narrowest type that holds each of them exactly, over all blocks."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.inference import ColumnInference

TEXT = pa.string()
ZONED = pa.timestamp("us", tz="UTC")


def found(*blocks):
    """The type of a column that comes in these blocks, and all its values, read in the end."""
    column = ColumnInference()
    arrays = [pa.array(block, TEXT) for block in blocks]
    for array in arrays:
        column.take(array)
    return column.type, [value for array in arrays for value in column.read(array).to_pylist()]


@pytest.mark.parametrize(
    ("texts", "type_", "values"),
    [
        (["1", "-2", None], pa.int64(), [1, -2, None]),
        (["9223372036854775807"], pa.int64(), [2**63 - 1]),
        (["9223372036854775808"], pa.decimal128(38, 0), [Decimal(2**63)]),
        (["1" * 38], pa.decimal128(38, 0), [Decimal("1" * 38)]),
        (["1" * 39], TEXT, ["1" * 39]),
        (["1.50", "2"], pa.float64(), [1.5, 2.0]),
        (["-0.0"], pa.float64(), [-0.0]),
        (["0.1234567890123456789"], pa.decimal128(20, 19), [Decimal("0.1234567890123456789")]),
        (["1e5", "2.5E-3"], pa.float64(), [1e5, 0.0025]),
        (["true", "False"], pa.bool_(), [True, False]),
        (["2024-02-29"], pa.date32(), [date(2024, 2, 29)]),
        (["07:15:00.25"], pa.time64("us"), [time(7, 15, 0, 250000)]),
        (["2024-01-31 07:15:00"], pa.timestamp("us"), [datetime(2024, 1, 31, 7, 15)]),
        (["2024-01-31T07:15:00+02:00"], ZONED, [datetime(2024, 1, 31, 5, 15, tzinfo=UTC)]),
        ([None, None], pa.null(), [None, None]),
    ],
)
def test_texts_of_one_form_become_values(texts, type_, values):
    assert found(texts) == (type_, values)


@pytest.mark.parametrize(
    "text",
    [
        *["007", "+7", "-0", "-05", "0x1A", "1_000", "1,5", ".5", "5.", "1e400", "NaN", "inf", "yes", "TRUe", "", " 1"],
        *["2024-02-30", "0000-01-01", "2024-1-1", "24:00:00", "07:15", "2024-01-31T07:15:00.1234567", "1 "],
    ],
)
def test_what_isnt_written_as_a_value_always_is_stays_text(text):
    assert found([text]) == (TEXT, [text])


@pytest.mark.parametrize(
    ("blocks", "type_"),
    [
        ((["1"], ["x"]), TEXT),
        ((["1"], ["2.5"]), pa.float64()),
        ((["2.5"], ["1"]), pa.float64()),
        ((["1234567890123456"], ["0.5"]), pa.decimal128(17, 1)),
        (([None], ["1"]), pa.int64()),
        ((["2024-01-31"], ["2024-01-31 07:15:00"]), TEXT),
        ((["true"], ["1"]), TEXT),
        ((["1e5"], ["1234567890123456"]), TEXT),
        ((["9223372036854775807"], ["9223372036854775808"]), pa.decimal128(38, 0)),
    ],
)
def test_a_later_block_counts_as_much_as_the_first(blocks, type_):
    assert found(*blocks)[0] == type_


@given(st.lists(st.lists(st.one_of(st.none(), st.integers(-(2**70), 2**70).map(str)), max_size=4), max_size=4))
def test_integers_are_what_they_were(blocks):
    type_, values = found(*blocks)
    assert [None if value is None else str(value) for value in values] == [text for block in blocks for text in block]
    assert pa.types.is_null(type_) or pa.types.is_integer(type_) or pa.types.is_decimal(type_)


@given(st.lists(st.decimals(-(10**6), 10**6, places=3), min_size=1, max_size=8))
def test_fractions_of_few_digits_are_what_they_were(numbers):
    type_, values = found([str(number) for number in numbers])
    assert type_ == pa.float64()
    assert [Decimal(str(value)) for value in values] == [number.normalize() for number in numbers]


@given(st.lists(st.text(max_size=6), max_size=6), st.lists(st.text(max_size=6), max_size=6))
def test_no_text_is_lost(first, second):
    type_, values = found(first, second)
    if pa.types.is_string(type_):
        assert values == [*first, *second]
    assert len(values) == len(first) + len(second)
