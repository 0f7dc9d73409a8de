"""Partitions: which rows stand together, how values are written as text, and which would be lost by that."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ConfigError
from tailrace.lake import partitions as module
from tailrace.lake.partitions import folder_of_partition, lost_rows, partition_names, partitioned
from tailrace.model import LINE, Kind
from tailrace.schema.evolve import TableColumn

VALUES = st.one_of(st.none(), st.sampled_from(["", "a", "A", "null", "é", "a/b"]))


def test_rows_without_partitions_stand_together_as_they_are():
    rows = pa.table({"a": [1, 2]})
    assert [(key, part is rows) for key, part in partitioned(rows, ())] == [((), True)]


@given(st.lists(st.tuples(VALUES, st.one_of(st.none(), st.integers(-2, 2)))))
def test_each_row_is_in_its_partition_in_the_order_that_it_came(pairs):
    columns = {"text": [text for text, _ in pairs], "number": [number for _, number in pairs]}
    rows = pa.table({**columns, LINE: range(len(pairs))}, schema=SCHEMA)
    expected = {}
    for line, (text, number) in enumerate(pairs):
        expected.setdefault((text, None if number is None else str(number)), []).append(line)
    found = {
        tuple(value for _, value in key): part[LINE].to_pylist() for key, part in partitioned(rows, ("text", "number"))
    }
    assert found == expected
    assert all([name for name, _ in key] == ["text", "number"] for key, _ in partitioned(rows, ("text", "number")))


SCHEMA = pa.schema([("text", pa.string()), ("number", pa.int64()), (LINE, pa.int64())])


@pytest.mark.parametrize(
    ("value", "arrow", "text"),
    [
        (date(2024, 1, 31), pa.date32(), "2024-01-31"),
        (datetime(2024, 1, 31, 12, tzinfo=UTC), pa.timestamp("us", "UTC"), "2024-01-31 12:00:00.000000"),
        (datetime(2024, 1, 31, 12), pa.timestamp("us"), "2024-01-31 12:00:00.000000"),
        (True, pa.bool_(), "true"),
        (-5, pa.int64(), "-5"),
        (Decimal("1.50"), pa.decimal128(5, 2), "1.50"),
        (None, pa.int64(), None),
    ],
)
def test_a_value_is_written_as_deltas_protocol_does(value, arrow, text):
    ((key, _),) = partitioned(pa.table({"a": pa.array([value], arrow)}), ("a",))
    assert key == (("a", text),)


def test_more_partitions_than_files_can_be_had_of_are_refused(monkeypatch):
    monkeypatch.setattr(module, "_MAX_PARTITIONS", 2)
    assert len([*partitioned(pa.table({"a": [1, 2, 2]}), ("a",))]) == 2
    with pytest.raises(ConfigError, match="a batch has 3 different values in a"):
        list(partitioned(pa.table({"a": [1, 2, 3]}), ("a",)))


A, B = TableColumn("a", Kind.INT), TableColumn("b", Kind.DATE)
NESTED = TableColumn("n", Kind.JSON, nested='{"n":"STRUCT"}')


def test_a_table_is_partitioned_by_the_columns_that_it_has_in_the_order_that_they_were_asked_for():
    assert partition_names(("b", "x", "a"), (A, B, TableColumn("c", Kind.INT))) == ("b", "a")
    assert partition_names(("x",), (A,)) == ()


def test_a_table_is_not_partitioned_by_all_of_its_columns():
    with pytest.raises(ConfigError, match="the columns 'b', 'a' are all that a table has"):
        partition_names(("b", "a"), (A, B))


def test_a_row_is_lost_whose_text_would_come_back_as_null():
    rows = pa.table({"t": ["", "x", None, ""], "b": [b"", b"y", b"", None], "n": [0, 1, 2, 3], LINE: [4, 5, 6, 7]})
    assert lost_rows(rows, {"t": ""}) == {
        4: "column 't': '' would be read from its partition as null",
        7: "column 't': '' would be read from its partition as null",
    }
    assert [*lost_rows(rows, {"b": "", "n": ""})] == [4, 6]
    assert lost_rows(rows, {"n": "0"}) == {}


def test_the_folders_of_a_partition_stand_one_in_the_other():
    assert folder_of_partition((("a b", "x/y"), ("c", None), ("d", ""))) == (
        "a~20b=x~2fy/c=__HIVE_DEFAULT_PARTITION__/d="
    )
    assert folder_of_partition(()) == ""


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_two_partitions_never_share_a_folder(one, other):
    folders = [folder_of_partition(tuple(zip("ab", values, strict=True))) for values in (one, other)]
    assert (folders[0] == folders[1]) == (one == other)
    assert folders[0].count("/") == 1
