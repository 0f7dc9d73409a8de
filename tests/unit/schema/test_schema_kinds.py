"""Kinds as text, and the digits of decimals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ConfigError
from tailrace.model import Kind
from tailrace.schema.kinds import decimal_digits, parsed_kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INT", (Kind.INT, 0, 0)),
        (" timestamptz ", (Kind.TIMESTAMPTZ, 0, 0)),
        ("DECIMAL", (Kind.DECIMAL, 38, 9)),
        ("DECIMAL(10)", (Kind.DECIMAL, 10, 0)),
        ("decimal(38,38)", (Kind.DECIMAL, 38, 38)),
    ],
)
def test_kinds_are_read_from_text(text, expected):
    assert parsed_kind(text, "columns.a.kind") == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("VARCHAR", "did you mean TEXT"),
        ("bigint", "did you mean INT"),
        ("TIMESTAMPZ", "did you mean TIMESTAMP"),
        ("§§", "kinds are BOOL, INT, FLOAT"),
        ("TEXT(20)", "write TEXT"),
        ("DECIMAL(39,0)", "1 <= p <= 38 and s <= p"),
        ("DECIMAL(5,6)", "1 <= p <= 38 and s <= p"),
        ("DECIMAL(0)", "1 <= p <= 38 and s <= p"),
        ("DECIMAL(1,2,3)", "did you mean DECIMAL|kinds are"),
    ],
)
def test_what_is_no_kind_is_refused_with_a_hint(text, hint):
    with pytest.raises(ConfigError, match=hint):
        parsed_kind(text, "columns.a.kind")


@given(st.integers(0, 200), st.integers(0, 200))
def test_digits_are_as_asked_where_they_fit_and_keep_an_int64s_where_they_do_not(before, after):
    precision, scale = decimal_digits(before, after)
    assert 1 <= precision <= 38
    assert 0 <= scale <= min(after, precision)
    if before + after <= 38:
        assert (precision - scale, scale) == (before, after) or (before, after) == (0, 0)
    else:
        assert precision - scale >= min(before, 19)
