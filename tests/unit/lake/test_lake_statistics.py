"""Statistics: what a Parquet file's footer is taken at its word for, and what not."""

import io
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tailrace.lake.statistics import statistics


def of(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=2, **options)
    return statistics(pq.read_metadata(sink))


@pytest.mark.parametrize(
    ("values", "arrow", "least", "greatest", "nulls"),
    [
        ([3, None, 1, 2, None], pa.int64(), 1, 3, 2),
        ([date(2024, 1, 2), date(1, 1, 1), None], pa.date32(), "0001-01-01", "2024-01-02", 1),
        (["b", "a", "c", None], pa.string(), "a", "c", 1),
        (["", "a" * 64], pa.string(), "", "a" * 64, 0),
        ([None, None, 5, 4], pa.int64(), 4, 5, 2),
    ],
)
def test_integers_dates_and_short_texts_have_bounds_over_all_row_groups(values, arrow, least, greatest, nulls):
    assert of(pa.table({"x": pa.array(values, arrow)})) == {
        "numRecords": len(values),
        "minValues": {"x": least},
        "maxValues": {"x": greatest},
        "nullCount": {"x": nulls},
    }


@pytest.mark.parametrize(
    ("values", "arrow"),
    [
        (["a", "b" * 65], pa.string()),
        (["a", "é"], pa.string()),
        ([1.5, 2.5], pa.float64()),
        ([True, False], pa.bool_()),
        ([b"a", b"b"], pa.binary()),
        ([None, None], pa.int64()),
        ([-800_000, 1], pa.date32()),  # before the year 1, which Python has no date for
        ([1, 2], pa.timestamp("us")),
    ],
)
def test_other_columns_have_none_but_their_nulls_are_counted(values, arrow):
    found = of(pa.table({"x": pa.array(values, arrow)}))
    assert (found["minValues"], found["maxValues"]) == ({}, {})
    assert found["nullCount"] == {"x": values.count(None)}


def test_nested_columns_and_those_without_statistics_have_nothing():
    table = pa.table({"x": [1], "s": [{"x": 1}], "l": [[1]], "without": [1]})
    found = of(table, write_statistics=["x", "s.x"])
    assert (found["nullCount"], found["minValues"]) == ({"x": 0}, {"x": 1})
    assert of(pa.table({"x": pa.array([], pa.int64())}))["minValues"] == {}
