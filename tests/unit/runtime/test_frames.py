"""Frames of pandas and polars, and mappings: every type of column loads exactly, or is refused in a sentence."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import tailrace
from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import RecordError, SchemaError

UTC = dt.UTC
CODE = uuid.UUID("123e4567-e89b-12d3-a456-426614174000")


def loaded(source, **more):
    """The rows that a table has after loading."""
    place = uuid.uuid4().hex
    tailrace.load(source, f"memory://{place}", stream="things", **more)
    return MemoryDestination(place).tables().get("things", [])


def values(series, kind):
    return [row["v"] for row in loaded(kind({"v": series}))]


POLARS = {
    "categorical": (pl.Series(["a", None, "b"], dtype=pl.Categorical), ["a", None, "b"]),
    "enum": (pl.Series(["x", None], dtype=pl.Enum(["x", "y"])), ["x", None]),
    "unsigned": (pl.Series([2**64 - 1, None], dtype=pl.UInt64), [Decimal(2**64 - 1), None]),
    "int128": (pl.Series([10**37, None], dtype=pl.Int128), [Decimal(10**37), None]),
    "small": (pl.Series([1, None], dtype=pl.Int8), [1, None]),
    "float32": (pl.Series([1.5, None], dtype=pl.Float32), [1.5, None]),
    "decimal": (pl.Series([Decimal("1.50"), None]), [Decimal("1.50"), None]),
    "bool": (pl.Series([True, None]), [True, None]),
    "date": (pl.Series([dt.date(2024, 1, 31), None]), [dt.date(2024, 1, 31), None]),
    "time": (pl.Series([dt.time(1, 2, 3, 4), None]), [dt.time(1, 2, 3, 4), None]),
    "naive": (pl.Series([dt.datetime(2024, 1, 31)]), [dt.datetime(2024, 1, 31)]),
    "zone": (
        pl.Series([dt.datetime(2024, 1, 31, 12)]).dt.replace_time_zone("Europe/Paris"),
        [dt.datetime(2024, 1, 31, 11, tzinfo=UTC)],
    ),
    "bytes": (pl.Series([b"\x00a", None]), [b"\x00a", None]),
    "null": (pl.Series([None, None]), [None, None]),
    "list": (pl.Series([[1, None], None]), ["[1,null]", None]),
    "array": (pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)), ["[1,2]"]),
    "struct": (pl.Series([{"a": 1}, None]), ['{"a":1}', None]),
    "categories in lists": (pl.Series([["a"], None], dtype=pl.List(pl.Categorical)), ['["a"]', None]),
}

PANDAS = {
    "categorical": (pd.Categorical(["a", None, "b"]), ["a", None, "b"]),
    "categories of integers": (pd.Categorical([1, None, 2]), [1, None, 2]),
    "nullable": (pd.array([2**63 - 1, None], dtype="Int64"), [2**63 - 1, None]),
    "boolean": (pd.array([True, None], dtype="boolean"), [True, None]),
    "string": (pd.array(["a", None], dtype="string"), ["a", None]),
    "float": ([1.5, float("nan")], [1.5, None]),
    "objects of integers": (pd.Series([1, None], dtype=object), [1, None]),
    "large integers": (pd.Series([2**70, None], dtype=object), [Decimal(2**70), None]),
    "objects of several types": (pd.Series([1, "a", None, [1.5], {"b": True}], dtype=object), None),
    "dictionaries": (pd.Series([{"a": 1}, None], dtype=object), ['{"a":1}', None]),
    "decimals": (pd.Series([Decimal("1.50"), None]), [Decimal("1.50"), None]),
    "dates": (pd.Series([dt.date(2024, 1, 31), None]), [dt.date(2024, 1, 31), None]),
    "uuids": (pd.Series([CODE]), [str(CODE)]),
    "bytes": (pd.Series([b"\x00a", None]), [b"\x00a", None]),
    "zone": (
        pd.Series(pd.to_datetime(["2024-01-31T12:00:00"]).tz_localize("Europe/Paris")),
        [dt.datetime(2024, 1, 31, 11, tzinfo=UTC)],
    ),
    "sparse": (pd.Series(pd.arrays.SparseArray([0, 0, 5])), [0, 0, 5]),
    "arrow": (pd.Series([1, None], dtype=pd.ArrowDtype(pa.int8())), [1, None]),
    "missing dates": (pd.Series([pd.Timestamp("2024-01-31"), pd.NaT]), [dt.datetime(2024, 1, 31), None]),
}


@pytest.mark.parametrize("name", POLARS)
def test_a_column_of_polars_loads_exactly(name):
    series, expected = POLARS[name]
    assert values(series, pl.DataFrame) == expected


@pytest.mark.parametrize("name", PANDAS)
def test_a_column_of_pandas_loads_exactly(name):
    series, expected = PANDAS[name]
    found = values(series, pd.DataFrame)
    if expected is None:
        assert [None if text is None else json.loads(text) for text in found] == [1, "a", None, [1.5], {"b": True}]
    else:
        assert found == expected


REFUSED = {
    "polars' objects": pl.DataFrame({"v": pl.Series([object()], dtype=pl.Object)}),
    "polars' durations": pl.DataFrame({"v": [dt.timedelta(seconds=1)]}),
    "polars' wide integers": pl.DataFrame({"v": pl.Series([10**38], dtype=pl.Int128)}),
    "wide integers in lists": pl.DataFrame({"v": pl.Series([[1]], dtype=pl.List(pl.Int128))}),
    "pandas' durations": pd.DataFrame({"v": pd.to_timedelta(["1s"])}),
    "periods": pd.DataFrame({"v": pd.period_range("2024-01", periods=2, freq="M")}),
    "intervals": pd.DataFrame({"v": pd.interval_range(0, 2)}),
    "complex numbers": pd.DataFrame({"v": [1j]}),
    "objects": pd.DataFrame({"v": pd.Series([object(), 1], dtype=object)}),
    "NaN among objects": pd.DataFrame({"v": pd.Series(["a", [float("nan")]], dtype=object)}),
    "larger integers": pd.DataFrame({"v": pd.Series([10**39], dtype=object)}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_column_that_no_table_can_have_is_refused_in_a_sentence(name):
    with pytest.raises(SchemaError, match=r"'v'|\bv\b") as caught:
        loaded(REFUSED[name])
    assert "no column can hold" in str(caught.value)
    assert "Arrow" not in str(caught.value).replace("the Arrow type", "")


def test_a_value_that_microseconds_do_not_hold_is_refused_by_its_row():
    frame = pd.DataFrame({"v": pd.Series([pd.Timestamp("2024-01-31"), pd.Timestamp("2024-01-31T00:00:00.000000001")])})
    with pytest.raises(RecordError, match="line 2"):
        loaded(frame)


def test_an_index_that_is_the_key_is_a_column():
    frame = pd.DataFrame({"v": [1, 2]}, index=pd.Index(["a", "b"], name="id"))
    assert loaded(frame, key=["id"]) == [{"id": "a", "v": 1}, {"id": "b", "v": 2}]


def test_indexes_have_the_names_that_pandas_gives_them():
    several = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None])
    assert loaded(pd.DataFrame({"v": [1, 2]}, index=["x", "y"])) == [{"index": "x", "v": 1}, {"index": "y", "v": 2}]
    assert [*loaded(pd.DataFrame({"v": [1, 2]}, index=several))[0]] == ["k", "level_1", "v"]
    assert [*loaded(pd.DataFrame({"v": [1, 2]}))[0]] == ["v"]
    assert len(loaded(pd.DataFrame({"v": [1, 2, 3]})[1:])) == 2


@pytest.mark.parametrize("frame", [pd.DataFrame([[1, 2]]), pd.DataFrame({("a", "b"): [1]})])
def test_a_name_that_is_no_text_is_refused(frame):
    with pytest.raises(SchemaError, match="isn't text"):
        loaded(frame)


def test_a_name_that_two_columns_have_is_refused():
    with pytest.raises(SchemaError, match="more than one column of the name v"):
        loaded(pd.DataFrame([[1, 2]], columns=["v", "v"]))


def test_mappings_whose_values_mix_types_make_a_column_of_json():
    rows = [{"id": 1, "v": 1}, {"id": 2, "v": "a"}, {"id": 3}, {"id": 4, "v": [1, {"b": Decimal("1.50")}]}]
    assert [row["v"] for row in loaded(rows)] == ["1", '"a"', None, '[1,{"b":1.50}]']


def test_mappings_with_a_value_that_is_nothing_to_json_are_refused():
    with pytest.raises(SchemaError, match=r"aren't all JSON \(int, object\)"):
        loaded([{"v": 1}, {"v": object()}])


def test_numbers_of_numpy_are_numbers():
    assert loaded([{"v": np.int64(5)}, {"v": np.int64(6)}]) == [{"v": 5}, {"v": 6}]
