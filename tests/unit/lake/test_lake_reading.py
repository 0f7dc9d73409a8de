"""Parquet files are read a few MiB at a time, in their order, however large they and their row groups are."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tailrace.lake import engine as engines
from tailrace.lake.engine import engine
from tailrace.lake.reading import batches_of
from tailrace.model import TableName
from tailrace.sql.room import needed_bytes

THINGS = TableName("things")


def file_of(*groups):
    """A file of these row groups."""
    file = io.BytesIO()
    with pq.ParquetWriter(file, groups[0].schema, use_dictionary=False, compression="none") as writer:
        for group in groups:
            writer.write_table(group)
    return pq.ParquetFile(file)


def texts(first, count, size):
    return pa.table({"n": range(first, first + count), "t": [f"{n:0{size}}" for n in range(first, first + count)]})


def test_wide_rows_come_in_smaller_batches_and_in_their_order():
    wide = texts(0, 40, 2**20)
    batches = [*batches_of(file_of(wide))]
    assert max(batch.nbytes for batch in batches) <= 17 * 2**20
    assert pa.Table.from_batches(batches) == wide


def test_no_batch_has_rows_of_two_row_groups():
    batches = [*batches_of(file_of(texts(0, 10, 5), texts(10, 60_000, 5)), ["n"])]
    assert [batch.num_rows for batch in batches] == [10, 50_000, 10_000]
    assert pa.Table.from_batches(batches) == texts(0, 60_010, 5).select(["n"])


@pytest.mark.parametrize(
    "rows",
    [
        pa.table({"id": [1], "t": ["x" * 30_000_000]}),
        pa.table({"id": [1]} | {f"c{n}": [n] for n in range(300)}),
    ],
    ids=["a value", "columns"],
)
def test_a_merge_gets_the_memory_that_its_rows_need(rows, monkeypatch):
    monkeypatch.setattr(engines, "_LEAST_BYTES", 30 * 10**6)
    with engine() as memory:
        memory.create(THINGS, rows.schema)
        memory.load(THINGS, rows.column_names, rows)
        [(limit,)] = memory.query("SELECT current_setting('memory_limit')")
        assert [*memory.read("SELECT * FROM things")] == rows.to_batches()
    assert limit == f"{needed_bytes(rows) / 2**20:.1f} MiB"
