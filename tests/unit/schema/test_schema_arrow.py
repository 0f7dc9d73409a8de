"""Rows given as Arrow: their columns, and their values in the types of batches."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import RecordError, SchemaError
from tailrace.model import Column, Kind
from tailrace.schema.arrow import columns_of_arrow, conformed

ID = uuid.UUID("123e4567-e89b-12d3-a456-426614174000")


def through(values, of=None):
    """The column of some values, and the values as they are held."""
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, of)
    table = pa.table({"a": array})
    (column,) = columns_of_arrow(table.schema, "s")
    found = conformed(table, [column], "s")
    assert found.schema.field("a").type == column.arrow
    return column.spelling, found["a"].to_pylist()


AT = dt.datetime(2024, 1, 31, 12, 0, 0, 5)
DAY = dt.date(2024, 1, 31)


@pytest.mark.parametrize(
    ("values", "of", "expected"),
    [
        ([1, None], pa.int8(), ("INT", [1, None])),
        ([2**63 - 1], pa.int64(), ("INT", [2**63 - 1])),
        ([2**32 - 1], pa.uint32(), ("INT", [2**32 - 1])),
        ([2**64 - 1], pa.uint64(), ("DECIMAL(20,0)", [Decimal(2**64 - 1)])),
        ([0.5], pa.float16(), ("FLOAT", [0.5])),
        ([0.5], pa.float32(), ("FLOAT", [0.5])),
        ([True], pa.bool_(), ("BOOL", [True])),
        ([Decimal("1.50")], pa.decimal32(5, 2), ("DECIMAL(5,2)", [Decimal("1.50")])),
        ([Decimal("1.50")], pa.decimal128(38, 2), ("DECIMAL(38,2)", [Decimal("1.50")])),
        ([Decimal(1200)], pa.decimal128(5, -2), ("DECIMAL(7,0)", [Decimal(1200)])),
        ([Decimal("1.5")], pa.decimal256(38, 1), ("DECIMAL(38,1)", [Decimal("1.5")])),
        (["é", None], pa.string(), ("TEXT", ["é", None])),
        (["é"], pa.large_string(), ("TEXT", ["é"])),
        (["é"], pa.string_view(), ("TEXT", ["é"])),
        ([None], pa.null(), ("TEXT", [None])),
        ([b"\0"], pa.binary(), ("BINARY", [b"\0"])),
        ([b"\0"], pa.large_binary(), ("BINARY", [b"\0"])),
        ([b"\0"], pa.binary_view(), ("BINARY", [b"\0"])),
        ([b"ab"], pa.binary(2), ("BINARY", [b"ab"])),
        ([DAY], pa.date32(), ("DATE", [DAY])),
        ([DAY], pa.date64(), ("DATE", [DAY])),
        ([dt.time(10)], pa.time32("s"), ("TIME", [dt.time(10)])),
        ([dt.time(10)], pa.time64("ns"), ("TIME", [dt.time(10)])),
        ([AT.replace(microsecond=0)], pa.timestamp("s"), ("TIMESTAMP", [AT.replace(microsecond=0)])),
        ([AT], pa.timestamp("ns"), ("TIMESTAMP", [AT])),
        ([AT], pa.timestamp("us", "UTC"), ("TIMESTAMPTZ", [AT.replace(tzinfo=dt.UTC)])),
        ([AT.replace(tzinfo=dt.UTC)], pa.timestamp("ns", "+02:00"), ("TIMESTAMPTZ", [AT.replace(tzinfo=dt.UTC)])),
        ([{"b": 1, "c": [None]}, None], None, ("JSON", ['{"b":1,"c":[null]}', None])),
        ([[("k", Decimal("1.50"))]], pa.map_(pa.string(), pa.decimal128(5, 2)), ("JSON", ['{"k":1.50}'])),
        ([[AT, None]], pa.list_(pa.timestamp("us")), ("JSON", ['["2024-01-31T12:00:00.000005",null]'])),
        ([[b"\xff"]], pa.list_(pa.binary()), ("JSON", ['["/w=="]'])),
    ],
)
def test_every_arrow_type_has_a_kind(values, of, expected):
    assert through(values, of) == expected


def test_dictionaries_runs_and_extensions_are_the_values_they_hold():
    words = pa.array(["a", "b", "a", None])
    assert through(words.dictionary_encode()) == ("TEXT", ["a", "b", "a", None])
    assert through(pa.compute.run_end_encode(words)) == ("TEXT", ["a", "b", "a", None])
    assert through(pa.ExtensionArray.from_storage(pa.uuid(), pa.array([ID.bytes, None], pa.binary(16)))) == (
        "UUID",
        [str(ID), None],
    )
    json_texts = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}']))
    assert through(json_texts) == ("JSON", ['{"a":1}'])
    assert through(pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))) == ("BOOL", [True, False])


def test_fields_that_are_not_nullable_are_required():
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("note", pa.string())])
    assert columns_of_arrow(schema, "s") == (
        Column("id", ("id",), Kind.INT, nullable=False, required=True),
        Column("note", ("note",), Kind.TEXT),
    )


@pytest.mark.parametrize("of", [pa.decimal256(39, 0), pa.duration("s"), pa.month_day_nano_interval()])
def test_a_type_that_no_column_holds_is_refused(of):
    with pytest.raises(SchemaError, match="stream 's', column 'a': no column can hold the Arrow type"):
        columns_of_arrow(pa.schema([("a", of)]), "s")


def test_a_name_twice_is_refused():
    with pytest.raises(SchemaError, match="more than one column of the name a"):
        columns_of_arrow(pa.schema([("a", pa.int8()), ("a", pa.int8())]), "s")


@pytest.mark.parametrize(
    ("values", "of"),
    [
        ([0, 1], pa.timestamp("ns")),
        ([0, 1], pa.timestamp("ns", "UTC")),
        ([0, 1], pa.time64("ns")),
        ([[0.5], [float("nan")]], pa.list_(pa.float64())),
        ([{"a": 1.0}, {"a": float("inf")}], pa.struct({"a": pa.float64()})),
        ([[("k", 1)], [("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int8())),
    ],
)
def test_a_value_that_would_change_is_refused_with_its_row(values, of):
    with pytest.raises(RecordError) as caught:
        through(values, of)
    assert caught.value.line == 2
    assert caught.value.violations[0].path == "$.a"


def test_rows_take_the_columns_names_order_and_kinds():
    table = pa.table({"ID": [1, 2], "Amount": [0.5, None]})
    columns = [
        Column("amount", ("Amount",), Kind.DECIMAL, 10, 2),
        Column("id", ("ID",), Kind.TEXT),
        Column("new", ("New",), Kind.DATE),
        Column("_sdc_sequence", (), Kind.INT),
    ]
    assert conformed(table, columns, "s").to_pydict() == {
        "amount": [Decimal("0.50"), None],
        "id": ["1", "2"],
        "new": [None, None],
    }


def test_a_kind_that_values_do_not_go_into_is_refused():
    with pytest.raises(RecordError, match=r"line 1: \$\.a: expected BINARY, got 1"):
        conformed(pa.table({"a": [1]}), [Column("a", ("a",), Kind.BINARY)], "s")


def test_no_rows_keep_their_types():
    empty = pa.table({"a": pa.array([], pa.struct({"b": pa.int8()})), "c": pa.array([], pa.uint64())})
    found = conformed(empty, columns_of_arrow(empty.schema), "s")
    assert found.schema == pa.schema([("a", pa.string()), ("c", pa.decimal128(20, 0))])


def test_frames_of_pandas_and_polars_conform():
    rows = {"n": [1, 2], "s": ["x", None], "t": [AT, AT]}
    for table in (pa.table(pd.DataFrame(rows)), pl.DataFrame(rows).to_arrow()):
        found = conformed(table, columns_of_arrow(table.schema), "s")
        assert found.to_pydict() == rows


@given(st.lists(st.none() | st.lists(st.none() | st.text() | st.just("\0"), max_size=3), max_size=5))
def test_lists_read_back_from_their_json(values):
    _, texts = through(values, pa.list_(pa.string()))
    assert [None if text is None else json.loads(text) for text in texts] == values


@given(st.lists(st.none() | st.integers(0, 2**64 - 1), max_size=5))
def test_unsigned_integers_keep_their_value(values):
    assert through(values, pa.uint64())[1] == values
