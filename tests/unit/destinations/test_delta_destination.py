"""What Delta Lake does beyond what every destination does: commits, partitions, tables of other writers."""

import shutil

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tailrace import load
from tailrace.errors import DestinationError, RecordError, SchemaError
from tailrace.testing.messages import FLOAT, INT, TEXT, record, records, schema, state

ROW = {"id": INT, "name": TEXT}
PLACES = ["列 é/ü", "a=b", "50%", "x y"]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "lake"


def test_an_upsert_moves_rows_between_partitions_of_any_name(root):
    address = f"delta://{root}"
    given = {"partition_keys": {"th*": ["name"]}}
    for _ in range(2):
        load(
            [schema(ROW, ["id"]), *records(*({"id": n, "name": p} for n, p in enumerate(PLACES)))],
            to=address,
            **given,
        )
    load(
        [schema(ROW, ["id"]), *records({"id": 0, "name": "x y"}, {"id": 3, "name": "列 é/ü"})],
        to=address,
        **given,
    )
    found = DeltaTable(str(root / "things")).to_pyarrow_table().to_pylist()
    assert sorted((row["id"], row["name"]) for row in found) == [(0, "x y"), (1, "a=b"), (2, "50%"), (3, "列 é/ü")]


def test_a_table_keeps_the_partitions_that_it_was_made_with(root):
    address = f"delta://{root}"
    load([schema(ROW), record({"id": 1, "name": "a"})], to=address, partition_keys=["name"])
    load([schema({"id": INT}), record({"id": 2})], to=address)
    table = DeltaTable(str(root / "things"))
    assert table.metadata().partition_columns == ["name"]
    assert sorted((row["id"], row["name"]) for row in table.to_pyarrow_table().to_pylist()) == [(1, "a"), (2, None)]


def test_a_commit_carries_the_pipeline_and_the_checkpoint(root):
    for n in (1, 2):
        load([schema(ROW), record({"id": n}), state(n)], to=f"delta://{root}", pipeline="p")
    table = DeltaTable(str(root / "things"))
    assert table.history()[0]["tailrace.pipeline"] == "p"
    assert table.history()[0]["tailrace.checkpoint"] == "2"
    assert table.transaction_version("tailrace:p") == 4


def test_a_table_of_another_writer_is_loaded_into(root):
    path = str(root / "things")
    write_deltalake(path, pa.table({"id": pa.array([1], pa.int32()), "name": ["a"], "tags": [["x"]]}))
    load([schema(ROW, ["id"]), *records({"id": 1, "name": "b"}, {"id": 2, "name": "c"})], to=f"delta://{root}")
    found = DeltaTable(path).to_pyarrow_table().to_pylist()
    assert sorted((row["id"], row["name"], row["tags"]) for row in found) == [(1, "b", ["x"]), (2, "c", None)]


def test_a_value_beyond_a_narrow_column_of_another_writer_is_refused(root):
    path = str(root / "things")
    write_deltalake(path, pa.table({"id": pa.array([1], pa.int32()), "name": ["a"]}))
    with pytest.raises(Exception, match="line 3"):
        load([schema(ROW), *records({"id": 2}, {"id": 2**40})], to=f"delta://{root}")
    assert DeltaTable(path).to_pyarrow_table().num_rows == 1


def test_a_table_that_tailrace_does_not_write_is_refused(root):
    path = str(root / "things")
    write_deltalake(path, pa.table({"id": [1]}), configuration={"delta.enableDeletionVectors": "true"})
    with pytest.raises(SchemaError, match="deletionVectors"):
        load([schema(ROW), record({"id": 2})], to=f"delta://{root}")


def test_statistics_let_readers_skip_files(root):
    load([schema(ROW), *records({"id": 3, "name": "a"}, {"id": 9, "name": None})], to=f"delta://{root}")
    (action,) = pa.table(DeltaTable(str(root / "things")).get_add_actions()).to_pylist()
    assert (action["num_records"], action["min"]["id"], action["max"]["id"]) == (2, 3, 9)
    assert action["null_count"] == {"id": 0, "name": 1}


def test_a_number_with_more_digits_than_a_column_of_another_writer_is_refused(root):
    path = str(root / "things")
    write_deltalake(path, pa.table({"n": pa.array([1.5], pa.float32())}))
    load([schema({"n": FLOAT}), record({"n": 0.25})], to=f"delta://{root}")
    with pytest.raises(RecordError, match="line 3"):
        load([schema({"n": FLOAT}), record({"n": 0.5}), record({"n": 0.1})], to=f"delta://{root}")
    assert sorted(DeltaTable(path).to_pyarrow_table()["n"].to_pylist()) == [0.25, 1.5]


@pytest.mark.parametrize("method", ["append", "upsert", "replace"])
def test_a_journal_that_was_removed_is_missed_before_anything_is_skipped(root, method):
    address = f"delta://{root}"
    for n in (1, 2):
        load([schema(ROW, ["id"]), record({"id": n})], to=address, pipeline="p", method=method)
    shutil.rmtree(root / "_tailrace")
    with pytest.raises(DestinationError, match="give the pipeline another name"):
        load([schema(ROW, ["id"]), record({"id": 3})], to=address, pipeline="p", method=method)
    load([schema(ROW, ["id"]), record({"id": 3})], to=address, pipeline="q", method=method)
    assert 3 in [row["id"] for row in DeltaTable(str(root / "things")).to_pyarrow_table().to_pylist()]
