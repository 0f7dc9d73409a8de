"""Numbers are exact: what a column holds is what the text says, or it is refused, or it is counted."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decode.numbers import InexactFloat, decimal_of, digits_of, float_of, int64_of, is_number
from tailrace.decode.refusal import UnfitError


def outcome(read, text):
    """What is read, or the code that it is refused with."""
    try:
        return read(text.encode())
    except UnfitError as unfit:
        return unfit.code


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True).filter(
    str.isascii
)


@given(NUMBERS)
def test_digits_make_the_number_again(text):
    is_negative, digits, power = digits_of(text.encode(), "a number")
    with localcontext(prec=1200):
        assert Decimal(digits.decode() or "0").scaleb(power) * (-1 if is_negative else 1) == Decimal(text)
    assert digits == digits.strip(b"0")


@given(NUMBERS)
def test_an_int64_is_the_number_or_is_refused(text):
    exact = Decimal(text)
    expected = int(exact) if -(2**63) <= exact < 2**63 else "range"
    if exact != exact.to_integral_value():
        expected = "type"
    assert outcome(lambda raw: int64_of(raw, is_written_plainly=False), text) == expected


@given(NUMBERS, st.integers(1, 38), st.integers(0, 38))
def test_a_decimal_is_the_number_or_has_digits_too_many(text, precision, scale):
    scale = min(scale, precision)
    with localcontext(prec=1200):
        exact = Decimal(text)
        fits = exact == 0 or (abs(exact) < Decimal(10) ** (precision - scale) and exact.scaleb(scale) % 1 == 0)
    assert outcome(lambda raw: decimal_of(raw, precision, scale), text) == (exact if fits else "range")


@given(NUMBERS)
def test_a_float_is_the_nearest_and_says_when_it_lost_digits(text):
    nearest = float(text)
    found = outcome(float_of, text)
    assert found == ("range" if nearest in (float("inf"), float("-inf")) else nearest)
    if found != "range":
        own = (Decimal(f"{nearest:.17g}"), Decimal(repr(nearest)), Decimal(nearest))
        assert (Decimal(text) in own) is (type(found) is float)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_from_all_its_digits(value):
    assert type(float_of(str(Decimal(value)).replace("E", "e").encode())) is float


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("123456789012345678.12", (18, 2)),
        ("9007199254740993", (16, 0)),
        ("0.1000000000000000055512", (0, 22)),
        ("123456789012345678901e5", (26, 0)),
        ("1e-400", (0, 400)),
        ("-12345678901234567890.50", (20, 1)),
    ],
)
def test_a_number_that_a_float_changes_says_how_many_digits_it_has(text, places):
    found = float_of(text.encode())
    assert isinstance(found, InexactFloat)
    assert found.places == places


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_from_its_shortest_text(value):
    found = float_of(repr(value).encode())
    assert type(found) is float
    assert repr(found) == repr(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_from_17_digits(value):
    assert type(float_of(f"{value:.17g}".encode())) is float


@pytest.mark.parametrize(
    "text", [b"", b"-", b"01", b"1.", b".5", b"1e", b"+1", b"0x1", b"1_0", "１".encode(), b" 1", b"NaN", b"1\n"]
)
def test_what_json_doesnt_call_a_number_is_none(text):
    assert not is_number(text)
    with pytest.raises(UnfitError):
        digits_of(text, "a number")


def test_an_integer_of_a_million_digits_is_refused_at_once():
    with pytest.raises(UnfitError) as refused:
        int64_of(b"7" * 1_000_000, is_written_plainly=False)
    assert refused.value.code == "range"


@pytest.mark.parametrize("power", [b"999999999", b"9" * 5000])
def test_a_huge_exponent_costs_nothing(power):
    for read in (lambda raw: int64_of(raw, is_written_plainly=False), lambda raw: decimal_of(raw, 38, 9), float_of):
        with pytest.raises(UnfitError) as refused:
            read(b"1e" + power)
        assert refused.value.code == "range"
    assert type(float_of(b"1e-" + power)) is InexactFloat
    assert float_of(b"0e" + power) == 0
    assert decimal_of(b"0e-" + power, 38, 9) == 0
