"""Limits: which values the types of a table would change or refuse, by the lines of their rows."""

import math
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.destinations import mysql, postgres, redshift, sqlite
from tailrace.destinations.redshift.limits import refuse_long_lines
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE, Column, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.fitting import fitting_rows, refuse_beyond_limits, refuse_null
from tailrace.testing.parts import batch, stream

POSTGRES, MYSQL, REDSHIFT = postgres.DIALECT, mysql.DIALECT, redshift.DIALECT
TEXT, MICROS = pa.string(), pa.timestamp("us", "UTC")
LONG = "x" * 65_535


def of_type(sql_type, kind=Kind.TEXT, **more):
    return TableColumn("c", kind, sql_type=sql_type, **more)


def refused(dialect, sql_type, values, arrow):
    """The values that a column of that type doesn't take; they stand in lines 10, 11..."""
    rows = pa.table({"c": pa.array(values, arrow), LINE: range(10, 10 + len(values))})
    try:
        refuse_beyond_limits(dialect, rows, {"c": of_type(sql_type)})
    except RowsRefusedError as error:
        return [values[line - 10] for line in sorted(error.reasons)]
    return []


def at(microsecond, year=2024):
    return datetime(year, 5, 6, 7, 8, 9, microsecond, UTC)


@pytest.mark.parametrize(
    ("dialect", "sql_type", "arrow", "taken", "beyond"),
    [
        (POSTGRES, "real", pa.float64(), [0.5, -0.0, 16777216.0, float("inf"), float("nan")], [0.1, 16777217.0, 1e39]),
        (REDSHIFT, "real", pa.float64(), [0.5], [0.1]),
        (MYSQL, "float", pa.float64(), [0.5], [0.1, -1e-46]),
        (MYSQL, "float unsigned", pa.float64(), [0.5], [0.1]),
        (MYSQL, "double", pa.float64(), [0.1], []),
        (POSTGRES, "double precision", pa.float64(), [0.1], []),
        (POSTGRES, "real", pa.int64(), [16777217], []),
        (POSTGRES, "timestamp(3) with time zone", MICROS, [at(0), at(123000), at(999000, 1969)], [at(1), at(123456)]),
        (POSTGRES, "timestamp(0) without time zone", MICROS, [at(0)], [at(1), at(999999, 1900)]),
        (POSTGRES, "timestamp with time zone", MICROS, [at(1)], []),
        (POSTGRES, "time(2) without time zone", pa.time64("us"), [time(1, 2, 3, 10000)], [time(1, 2, 3, 1000)]),
        (POSTGRES, "timestamp(3) with time zone", pa.date32(), [date(2024, 1, 1)], []),
        (POSTGRES, "timestamp(3) with time zone", TEXT, ["2024"], []),
        (MYSQL, "datetime", MICROS, [at(0)], [at(1), at(999999)]),
        (MYSQL, "datetime(6)", MICROS, [at(1)], []),
        (MYSQL, "datetime(3) COMMENT 'when'", MICROS, [at(1000)], [at(1)]),
        (MYSQL, "timestamp", MICROS, [at(0)], [at(1)]),
        (MYSQL, "time", pa.time64("us"), [time(1, 2, 3)], [time(1, 2, 3, 1)]),
        (POSTGRES, "character varying(3)", TEXT, ["", "abc", "日本語", "e\u0301x"], ["abcd", "abc ", "日本語だ"]),
        (POSTGRES, "character(3)", TEXT, ["ab", "abc"], ["a ", "abcd", " "]),
        (POSTGRES, "character varying", TEXT, ["x" * 1000, " "], []),
        (REDSHIFT, "character(3)", TEXT, ["ab", "abc"], ["a ", "é", "abcd"]),
        (MYSQL, "char(3) CHARACTER SET utf8mb4", TEXT, ["ab", "é"], ["a ", " "]),
        (MYSQL, "varchar(3)", TEXT, ["abcd "], []),  # which strict MySQL refuses by itself
        (REDSHIFT, "character varying(3)", TEXT, ["abc", "é"], ["éé", "abcd"]),
        (REDSHIFT, "varchar(3)", TEXT, ["abc"], ["abcd"]),
        (REDSHIFT, "binary varying(3)", pa.binary(), [b"\xff\xff\xff"], [b"1234"]),
        (REDSHIFT, "varchar(3)", pa.int64(), [12345], []),
        (REDSHIFT, "smallint", pa.int64(), [-32768, 32767], [-32769, 32768]),
        (REDSHIFT, "integer", pa.int64(), [-(2**31), 2**31 - 1], [-(2**31) - 1, 2**31]),
        (REDSHIFT, "bigint", pa.int64(), [2**63 - 1], []),
        (POSTGRES, "smallint", pa.int64(), [2**40], []),  # which PostgreSQL refuses by itself, line by line
        (POSTGRES, "money", pa.float64(), [], [1.5]),
        (POSTGRES, "name", TEXT, [], ["x"]),
        (POSTGRES, '"char"', TEXT, [], ["x"]),
        (POSTGRES, "numeric(5,-2)", pa.int64(), [], [100]),
        (POSTGRES, "numeric(5,2)", pa.int64(), [100], []),
        (MYSQL, "enum('a','it''s','x,y)')", TEXT, ["a", "it's", "x,y)"], ["A", "a ", "", "it''s", "a','it"]),
        (MYSQL, "ENUM('a') CHARACTER SET utf8mb4", TEXT, ["a"], ["b"]),
        (MYSQL, "enum('1')", pa.int64(), [], [1]),
        (REDSHIFT, "super", TEXT, [f'"{LONG}"', f'["{LONG}", 1]', "1"], [f'"{LONG}x"', f'{{"a": [1, "{LONG}é"]}}']),
        (REDSHIFT, "super", TEXT, [str([1] * 40_000)], [f'{{"{LONG}x": 1}}']),
        (REDSHIFT, "super", TEXT, ['{"a": ["x"]}', "null"], []),
        (sqlite.DIALECT, "character varying(3)", TEXT, ["abcd"], []),
        (sqlite.DIALECT, "real", pa.float64(), [0.1], []),
    ],
)
def test_a_type_takes_what_it_holds_unchanged(dialect, sql_type, arrow, taken, beyond):
    assert refused(dialect, sql_type, [None, *taken, None, *beyond, None], arrow) == beyond
    assert refused(dialect, sql_type.upper() if "'" not in sql_type else sql_type, [*beyond], arrow) == beyond


@given(st.lists(st.one_of(st.none(), st.floats())))
def test_a_real_takes_what_is_the_same_in_32_bits(values):
    def is_changed(value):
        try:
            back = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            return True
        return back != value and not math.isnan(value)

    expected = [value for value in values if value is not None and is_changed(value)]
    assert refused(POSTGRES, "real", values, pa.float64()) == expected


@given(st.lists(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), min_size=1), st.integers(0, 6))
def test_a_timestamp_takes_the_digits_that_it_has_before_the_epoch_and_behind_it(values, digits):
    expected = [value for value in values if value.microsecond % 10 ** (6 - digits)]
    assert refused(MYSQL, f"datetime({digits})", values, pa.timestamp("us")) == expected


def test_every_column_is_looked_at_and_a_row_that_is_refused_twice_is_named_once():
    rows = pa.table({"a": ["abcd", "x", "abcd"], "b": [0.5, 0.1, 0.1], LINE: [3, 4, 5]})
    columns = {"a": of_type("character varying(3)"), "b": of_type("real", Kind.FLOAT)}
    with pytest.raises(RowsRefusedError, match="doesn't hold 3 rows unchanged") as failed:
        refuse_beyond_limits(POSTGRES, rows, columns)
    assert failed.value.reasons == {
        3: "column 'a': character varying(3) doesn't hold it unchanged",
        4: "column 'b': real doesn't hold it unchanged",
        5: "column 'b': real doesn't hold it unchanged",
    }


NUMBER = Column("n", ("n",), Kind.FLOAT)


def test_rows_come_as_their_table_takes_them():
    of = stream(NUMBER, key=())
    into = TableColumn("N", Kind.INT, sql_type="integer")
    rows = fitting_rows(REDSHIFT, batch(of, (1.0,), (None,), (3.0,)), TableName("things"), {"n": into})
    assert rows.to_pydict() == {"N": [1, None, 3], LINE: [1, 2, 3]}


@pytest.mark.parametrize(
    ("values", "text", "lines"),
    [
        ((1.0, 2.5), "stream 'things': the table t doesn't take 1 rows unchanged", [2]),
        ((1.0, 2.0**40), "the table doesn't hold 1 rows unchanged", [2]),
        # What can't be cast is named first; the others are found when the rest is tried.
        ((2.0**40, 2.5), "stream 'things': the table t doesn't take 1 rows unchanged", [2]),
    ],
)
def test_rows_that_their_table_does_not_take_unchanged_are_refused(values, text, lines):
    of = stream(NUMBER, key=())
    into = TableColumn("n", Kind.INT, sql_type="integer")
    with pytest.raises(RowsRefusedError) as failed:
        fitting_rows(REDSHIFT, batch(of, *((value,) for value in values)), TableName("t"), {"n": into})
    assert (str(failed.value), [*failed.value.reasons]) == (text, lines)


def test_decimals_that_a_table_would_round_are_refused():
    of = stream(Column("n", ("n",), Kind.DECIMAL, 10, 4), key=())
    into = TableColumn("n", Kind.DECIMAL, 10, 2, sql_type="numeric(10,2)")
    given_rows = batch(of, (Decimal("1.2300"),), (Decimal("1.2345"),))
    with pytest.raises(RowsRefusedError) as failed:
        fitting_rows(POSTGRES, given_rows, TableName("t"), {"n": into})
    assert [*failed.value.reasons] == [2]


def test_nulls_are_refused_where_there_can_be_none():
    rows = pa.table({"a": [1, None, None], "b": ["x", None, "y"], "c": [None, None, 1], LINE: [7, 8, 9]})
    columns = {"a": of_type("int", nullable=False), "b": of_type("text"), "c": of_type("int")}
    with pytest.raises(RowsRefusedError, match="2 rows have a null") as failed:
        refuse_null(rows, columns)
    assert failed.value.reasons == {8: "column 'a' can't be null", 9: "column 'a' can't be null"}
    refuse_null(rows.slice(0, 1), columns)


def test_lines_that_are_longer_than_a_file_may_have_are_refused():
    lines = pa.chunked_array([["é", "abc"], ["abcd", ""]])
    numbers = pa.chunked_array([[1, 2], [3, 4]])
    refuse_long_lines(lines, numbers, 4)
    with pytest.raises(RowsRefusedError, match="1 rows are too long") as failed:
        refuse_long_lines(lines, numbers, 3)
    assert failed.value.reasons == {3: "it has more than 3 bytes as a line of a file"}
