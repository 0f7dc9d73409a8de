"""MySQL's numbers in JSON, and how many rows go into a statement: both worked out before anything is sent."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.destinations.mysql.numbers import changed_number, refuse_changed_numbers
from tailrace.destinations.mysql.packets import longer, parts, row_bytes
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("1", ""),
        ("18446744073709551615", ""),
        ("18446744073709551616", "$"),  # a double of that value, which MySQL writes as the next one
        ("18446744073709552000", ""),
        ("18446744073709551617", "$"),
        ("-9223372036854775808", ""),
        ("-9223372036854775809", "$"),
        ("0.1", ""),
        ("0.30000000000000004", ""),
        ("0.1000000000000000055511151231257827", "$"),
        ("0.1000000000000000055511151231257827021181583404541015625", ""),
        ("123456789012345678.12", "$"),
        ("1e400", "$"),
        ("1e-400", "$"),
        ("1e99999999999999999999", "$"),
        ('{"a": [1, {"b c": 123456789012345678.12}], "d": 1e400}', "$.a[1].b c"),
        ('"123456789012345678.12"', ""),
        ('["123456789012345678.12e", 1]', ""),
        ("[" * 100_000 + "123456789012345678.12" + "]" * 100_000, ""),
    ],
)
def test_the_path_of_the_first_number_that_would_be_changed(text, path):
    assert changed_number(text) == path


def json_number(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str).filter(json_number),
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@given(NUMBERS)
def test_no_number_that_is_changed_is_passed_over(text):
    rows = pa.table({"j": [f'{{"a": {text}}}'], LINE: [1]})
    try:
        refuse_changed_numbers(rows, ["j"])
    except RowsRefusedError:
        return
    if "." not in text and "e" not in text.lower() and -(2**63) <= int(text) < 2**64:
        return  # it is kept as it is
    value, kept = Decimal(text), float(text)
    assert value in {Decimal(repr(kept)), Decimal(f"{kept:.17g}"), Decimal(kept)}


def test_rows_with_a_number_that_would_be_changed_are_refused_by_their_lines():
    rows = pa.table({"j": ["1", "[123456789012345678.12]", None], "k": ["1e400", "1e400", "2"], LINE: [4, 5, 6]})
    refuse_changed_numbers(rows, [])
    with pytest.raises(RowsRefusedError, match="would change numbers in 2 rows") as failed:
        refuse_changed_numbers(rows, ["j", "k"])
    assert [text.partition(" is none")[0] for text in failed.value.reasons.values()] == [
        "column 'j': the number at $[0]",
        "column 'k': the number at $",
    ]


def test_what_a_row_takes_is_the_length_of_its_texts_and_room_for_each_value():
    rows = pa.table({"n": [1, None], "t": ["é", None], "b": [b"12345", b""]})
    assert row_bytes(rows) == [3 * 64 + 2 + 5, 3 * 64]


def test_rows_that_are_longer_than_a_statement_are_named_by_their_lines():
    assert longer([5, 6, 7], pa.chunked_array([[10, 20], [30]]), 6) == {30: 7}


@given(st.lists(st.integers(1, 10)), st.integers(10, 30), st.integers(1, 5))
def test_statements_have_all_rows_in_their_order_and_no_more_than_fits(sizes, room, most):
    found = [*parts(sizes, room, most)]
    assert [at for start, count in found for at in range(start, start + count)] == [*range(len(sizes))]
    for start, count in found:
        assert 1 <= count <= most
        assert sum(sizes[start : start + count]) <= room
        end = start + count
        assert end == len(sizes) or count == most or sum(sizes[start : end + 1]) > room
