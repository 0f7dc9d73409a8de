"""Kinds as text, and the digits of decimals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ConfigError
from tailrace.model import Kind
from tailrace.schema.kinds import decimal_digits, kind_by_sql_type, kind_for_digits, parsed_kind


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


@pytest.mark.parametrize(
    ("sql_type", "kind", "expected"),
    [
        ("DECIMAL(38,2)", Kind.FLOAT, (Kind.DECIMAL, 38, 2)),
        (" numeric ( 10 , 2 ) ", Kind.FLOAT, (Kind.DECIMAL, 10, 2)),
        ("NUMBER(38)", Kind.FLOAT, (Kind.DECIMAL, 38, 0)),
        ("NUMERIC", Kind.FLOAT, (Kind.DECIMAL, 38, 9)),
        ("BIGNUMERIC", Kind.FLOAT, (Kind.DECIMAL, 38, 9)),
        ("NUMERIC(76,38)", Kind.FLOAT, (Kind.DECIMAL, 38, 19)),
        ("decimal(20,0)", Kind.INT, (Kind.DECIMAL, 20, 0)),
        ("NUMERIC", Kind.INT, (Kind.DECIMAL, 38, 0)),
        ("DECIMAL(10,4)", Kind.DECIMAL, (Kind.DECIMAL, 10, 4)),
        ("bigint", Kind.FLOAT, (Kind.INT, 0, 0)),
        ("VARCHAR(50)", Kind.FLOAT, (Kind.TEXT, 0, 0)),
        ("character  varying(50)", Kind.FLOAT, (Kind.TEXT, 0, 0)),
        ("NUMERIC", Kind.DECIMAL, None),
        ("BIGINT", Kind.INT, None),
        ("TEXT", Kind.INT, None),
        ("DOUBLE PRECISION", Kind.FLOAT, None),
        ("DECIMAL(10,2)", Kind.TEXT, None),
        ("DECIMAL(2,5)", Kind.FLOAT, None),
        ("DECIMAL(0)", Kind.FLOAT, None),
        ("NUMERIC(5,-2)", Kind.FLOAT, None),
        ("DECIMAL(1); DROP TABLE x", Kind.FLOAT, None),
        ("", Kind.FLOAT, None),
    ],
)
def test_a_sql_type_gives_numbers_the_kind_that_keeps_their_digits(sql_type, kind, expected):
    assert kind_by_sql_type(sql_type, kind) == expected


@pytest.mark.parametrize(
    ("before", "behind", "expected"),
    [(18, 2, "DECIMAL(20,2)"), (0, 0, "DECIMAL(1,0)"), (0, 38, "DECIMAL(38,38)"), (19, 20, "TEXT")],
)
def test_digits_make_the_kind_that_holds_them(before, behind, expected):
    assert kind_for_digits(before, behind) == expected
