"""Delimited text: what is written reads back as it was, whatever is in it."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.destinations.mysql import STATEMENTS
from tailrace.model import TableName
from tailrace.sql.delimited import contents, delimited, delimited_lines


def text_of(*columns, null="NULL"):
    lines = delimited_lines([pa.chunked_array([column]) for column in columns], null)
    return b"".join(map(bytes, contents(lines))).decode()


def read(text, null="NULL"):
    """Rows of fields, as LOAD DATA and COPY read them: None for a bare null; the quoted, without their quotes."""
    rows, row, at = [], [], 0
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end : end + 1] != '"' or text[end : end + 2] == '""':
                end += 2 if text[end] == '"' else 1
            row.append(text[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            end = min(place for place in (text.find(",", at), text.find("\n", at)) if place >= 0)
            row.append(None if text[at:end] == null else text[at:end])
            at = end
        if text[at] == "\n":
            rows.append(row)
            row = []
        at += 1
    assert not row
    return rows


@given(
    st.lists(st.tuples(*[st.one_of(st.none(), st.text('ab",\\\n\r\t\0NUL日é'))] * 2), min_size=1),
    st.sampled_from(["NULL", "@N"]),
)
def test_texts_read_back_as_they_were(rows, null):
    columns = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
    assert read(text_of(*columns, null=null), null) == [list(row) for row in rows]


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary(), st.decimals(-9, 9, places=6)
        ),
        min_size=1,
    )
)
def test_numbers_and_bytes_read_back_as_they_were(rows):
    types = (pa.int64(), pa.float64(), pa.binary(), pa.decimal128(12, 6))
    columns = [pa.array(values, of) for values, of in zip(zip(*rows, strict=True), types, strict=True)]
    found = [(int(i), float(f), bytes.fromhex(b), Decimal(d)) for i, f, b, d in read(text_of(*columns))]
    assert found == rows


@pytest.mark.parametrize(
    ("values", "arrow", "text"),
    [
        (
            ["", "NULL", None, 'a"b', "a,b", "a\nb", "a\\"],
            pa.string(),
            '""\n"NULL"\nNULL\n"a""b"\n"a,b"\n"a\nb"\n"a\\"\n',
        ),
        ([True, False, None], pa.bool_(), "1\n0\nNULL\n"),
        ([b"", b"\x00\xff", None], pa.binary(), "\n00ff\nNULL\n"),
        ([Decimal("0.000000100"), Decimal("-1.5")], pa.decimal128(20, 9), "0.000000100\n-1.500000000\n"),
        ([0.1, 1e300, -0.0, None], pa.float64(), "0.1\n1e+300\n-0\nNULL\n"),
        ([date(1, 2, 3), None], pa.date32(), "0001-02-03\nNULL\n"),
        ([time(1, 2, 3, 4)], pa.time64("us"), "01:02:03.000004\n"),
        ([datetime(2024, 5, 6, 7, 8, 9, 10, UTC)], pa.timestamp("us", "UTC"), "2024-05-06 07:08:09.000010\n"),
        ([datetime(2024, 5, 6, 7, 8, 9)], pa.timestamp("us"), "2024-05-06 07:08:09.000000\n"),
    ],
)
def test_each_type_is_written_in_its_way(values, arrow, text):
    assert text_of(pa.array(values, arrow)) == text


def test_fields_stand_between_commas_with_nulls_of_any_name():
    assert text_of(pa.array([1, None]), pa.array([None, "x"]), pa.array([None, None], pa.int64()), null="") == (
        '1,,\n,"x",\n'
    )


@given(
    st.lists(
        st.tuples(
            *(
                st.none() | values
                for values in (
                    st.integers(-(2**63), 2**63 - 1),
                    st.floats(),
                    st.booleans(),
                    st.text('ab",\\\n\r\t\0NUL日é'),
                    st.binary(),
                    st.decimals(-9, 9, places=6),
                    st.dates(),
                    st.times(),
                    st.datetimes(),
                    st.datetimes(timezones=st.just(UTC)),
                )
            )
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_tailrace_native_writes_reads_back_alike(rows):
    types = (
        *(pa.int64(), pa.float64(), pa.bool_(), pa.string(), pa.binary(), pa.decimal128(12, 6)),
        *(pa.date32(), pa.time64("us"), pa.timestamp("us"), pa.timestamp("us", "UTC")),
    )
    columns = [pa.array(values, of) for values, of in zip(zip(*rows, strict=True), types, strict=True)]
    table = pa.table(columns, names=[*map(str, range(len(types)))])
    written = read(b"".join(delimited(table)).decode())
    assert [*map(meant, written)] == [*map(meant, read(text_of(*columns)))]


def meant(row):
    """The fields, with floats as numbers, and times without the zeros behind their seconds."""
    whole = [field and field.removesuffix(".000000") for field in row]
    return [*whole[:1], whole[1] and repr(float(whole[1])), *whole[2:]]


def test_rows_that_are_slices_of_others_are_written_alone():
    chunk = pa.array(["no", "a", "b", "c", "no"])
    rows = pa.table({"name": pa.chunked_array([chunk.slice(1, 2), chunk.slice(3, 1)])})
    assert b"".join(delimited(rows)) == b'"a"\n"b"\n"c"\n'


def test_lines_that_are_a_slice_of_others_are_written_alone():
    lines = delimited_lines([pa.chunked_array([["a", "b", "c"]])]).slice(1, 1)
    assert [bytes(piece) for piece in contents(lines)] == [b'"b"\n']


def test_load_data_turns_the_digits_of_bytes_back():
    columns = pa.schema([("id", pa.int64()), ("the `data`", pa.binary()), ("name", pa.string())])
    assert STATEMENTS.load_data(TableName("t", "s"), columns) == (
        "LOAD DATA LOCAL INFILE 'rows' INTO TABLE `s`.`t` CHARACTER SET utf8mb4 "
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' "
        "(`id`, @v1, `name`) SET `the ``data``` = UNHEX(@v1)"
    )
    assert STATEMENTS.load_data(TableName("t"), pa.schema([("id", pa.int64())])).endswith("'\\n' (`id`)")
