"""Files that rows are gathered into: sealed by size, told apart by partition, uploaded again after a failure."""

import errno
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tailrace.errors import ConfigError, DestinationError
from tailrace.lake import parts as module
from tailrace.lake.formats import ParquetFile
from tailrace.lake.parts import Parts
from tailrace.lake.tables import Layout
from tailrace.objects import Folder, StoreSettings

SCHEMA = pa.schema([("id", pa.int64()), ("day", pa.string())])


class Failing(Folder):
    """A folder whose first uploads fail."""

    def __init__(self, url, failures):
        super().__init__(StoreSettings(), url)
        self.failures = failures

    def put_file(self, name, file):
        if self.failures:
            self.failures -= 1
            raise DestinationError("the store is away")
        super().put_file(name, file)


@pytest.fixture
def folder(tmp_path):
    return Folder(StoreSettings(), f"file://{tmp_path}/lake")


def rows(*ids, day="a"):
    return pa.table({"id": list(ids), "day": [day] * len(ids)}, schema=SCHEMA)


def written(folder, parts):
    return [pq.read_table(folder.address(part.path), partitioning=None).to_pylist() for part in parts]


def test_rows_of_several_calls_are_one_file(folder):
    parts = Parts(Layout(folder, "t", SCHEMA), str)
    for n in range(3):
        parts.add(rows(n))
    (part,) = parts.seal()
    assert (part.path, part.rows) == ("t/1.parquet", 3)
    assert part.size == Path(folder.address(part.path)).stat().st_size
    assert part.statistics["minValues"] == {"id": 0, "day": "a"}
    assert written(folder, [part]) == [[{"id": n, "day": "a"} for n in range(3)]]


def test_without_rows_there_are_no_files(folder):
    assert Parts(Layout(folder, "t", SCHEMA), str).seal() == []
    assert list(folder.names()) == []


def test_a_file_that_is_large_is_sealed_and_the_next_begun(folder):
    parts = Parts(Layout(folder, "", SCHEMA, max_bytes=1), str)
    for n in range(3):
        parts.add(rows(n))
    assert [part.path for part in parts.seal()] == ["1.parquet", "2.parquet", "3.parquet"]


def test_each_partition_has_a_file_without_its_columns(folder):
    parts = Parts(Layout(folder, "", SCHEMA, partition_by=("day",)), str)
    for day in ("a", "b", "a"):
        parts.add(rows(1, day=day))
    sealed = parts.seal()
    assert {part.path: part.partition for part in sealed} == {
        "day=a/1.parquet": {"day": "a"},
        "day=b/2.parquet": {"day": "b"},
    }
    assert sorted(len(found) for found in written(folder, sealed)) == [1, 2]
    assert written(folder, sealed)[0][0] == {"id": 1}


def test_many_partitions_hold_no_more_than_is_allowed(folder, monkeypatch):
    monkeypatch.setattr(module, "_HELD_BYTES", 1_000)
    parts = Parts(Layout(folder, "", SCHEMA, partition_by=("day",)), str)
    for n in range(500):
        parts.add(rows(n, day=str(n % 20)))
        assert sum(one.waiting_bytes for one in parts._open.values()) < 1_000
    assert sum(part.rows for part in parts.seal()) == 500


def test_few_files_are_open_however_many_partitions_there_are(folder, monkeypatch):
    monkeypatch.setattr(module, "_MAX_FILES", 5)
    parts = Parts(Layout(folder, "", SCHEMA, partition_by=("id",), drops_partitions=False), str)
    monkeypatch.setattr(module, "_HELD_BYTES", 1)
    for n in range(60):
        parts.add(rows(n % 20))
        assert sum(one.file is not None for one in parts._open.values()) <= 5
    assert sum(part.rows for part in parts.seal()) == 60


def test_rows_of_a_partition_keep_their_order(folder):
    given = pa.table(
        {"id": list(range(1000)), "day": [None if n % 7 == 3 else f"{n % 5}" for n in range(1000)]}, schema=SCHEMA
    )
    parts = Parts(Layout(folder, "", SCHEMA, partition_by=("day",)), str)
    parts.add(given.slice(0, 500))
    parts.add(given.slice(500))
    for part in parts.seal():
        ids = [row["id"] for row in written(folder, [part])[0]]
        assert ids == [row["id"] for row in given.to_pylist() if row["day"] == part.partition["day"]]


def test_partitions_by_several_columns_are_their_values_together(folder):
    given = pa.table({"id": [1, 2, 1, 2, 1], "day": ["a", "a", None, "b", "a"]}, schema=SCHEMA)
    parts = Parts(Layout(folder, "", SCHEMA, partition_by=("day", "id"), drops_partitions=False), str)
    parts.add(given)
    assert sorted((part.partition["day"] or "", part.partition["id"], part.rows) for part in parts.seal()) == [
        ("", "1", 1),
        ("a", "1", 2),
        ("a", "2", 1),
        ("b", "2", 1),
    ]


def test_an_upload_that_fails_when_rows_come_is_done_at_the_end(tmp_path):
    folder = Failing(f"file://{tmp_path}/lake", failures=1)
    parts = Parts(Layout(folder, "", SCHEMA, max_bytes=1), str)
    parts.add(rows(1))
    assert list(folder.names()) == []
    parts.add(rows(2))
    assert [part.rows for part in parts.seal()] == [1, 1]
    assert sorted(row["id"] for found in written(folder, parts.seal()) for row in found) == [1, 2]


def test_sealing_can_be_repeated_after_a_failure(tmp_path):
    folder = Failing(f"file://{tmp_path}/lake", failures=2)
    parts = Parts(Layout(folder, "", SCHEMA), str)
    parts.add(rows(1))
    for _ in range(2):
        with pytest.raises(DestinationError, match="away"):
            parts.seal()
    assert written(folder, parts.seal()) == [[{"id": 1, "day": "a"}]]


def test_rows_that_come_while_their_file_is_closed_are_in_the_next_one(folder, monkeypatch):
    parts = Parts(Layout(folder, "t", SCHEMA), str)
    parts.add(rows(1))
    close = ParquetFile.close

    def closing(file):
        monkeypatch.setattr(ParquetFile, "close", close)
        with ThreadPoolExecutor(1) as other:
            other.submit(parts.add, rows(2)).result()  # it doesn't wait
        close(file)

    monkeypatch.setattr(ParquetFile, "close", closing)
    assert written(folder, parts.seal()) == [[{"id": 1, "day": "a"}]]
    assert written(folder, parts.seal()) == [[{"id": 1, "day": "a"}], [{"id": 2, "day": "a"}]]


def test_rows_of_several_threads_are_all_there_once_and_in_the_order_of_each(folder, monkeypatch):
    monkeypatch.setattr(module, "_GROUP_BYTES", 200)
    parts = Parts(Layout(folder, "t", SCHEMA, max_bytes=1500), str)

    def add(first):
        for n in range(first, first + 100):
            parts.add(rows(n))

    with ThreadPoolExecutor(4) as threads:
        [*threads.map(add, range(0, 400, 100))]
    ids = [row["id"] for part in written(folder, parts.seal()) for row in part]
    assert sorted(ids) == [*range(400)]
    for first in range(0, 400, 100):
        assert [n for n in ids if first <= n < first + 100] == [*range(first, first + 100)]


def test_what_is_discarded_is_gone_here_and_there(folder):
    parts = Parts(Layout(folder, "", SCHEMA, max_bytes=1), str)
    parts.add(rows(1))
    assert list(folder.names()) == ["1.parquet"]
    parts.discard()
    assert list(folder.names()) == []


def test_a_full_disk_is_an_error_that_names_the_folder(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "written_to", full)
    parts = Parts(Layout(folder, "", SCHEMA), str)
    parts.add(rows(1))
    with pytest.raises(DestinationError, match="No space left on device"):
        parts.seal()
    with pytest.raises(DestinationError, match="couldn't be written before"):
        parts.seal()
    parts.close()


@pytest.mark.parametrize("layout", [{}, {"format": "csv", "compression": "gzip"}], ids=str)
def test_files_that_are_given_up_half_written_are_gone_without_a_word(folder, monkeypatch, capfd, layout):
    monkeypatch.setattr(module, "_GROUP_BYTES", 1)
    parts = Parts(Layout(folder, "", SCHEMA, **layout), str)
    parts.add(rows(1))
    parts.close()
    del parts
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full here")
def test_a_disk_that_gets_full_is_told_once(folder, monkeypatch, capfd):
    monkeypatch.setattr(module, "_GROUP_BYTES", 1)
    monkeypatch.setattr(module.tempfile, "TemporaryFile", partial(Path("/dev/full").open, "w+b", buffering=0))
    parts = Parts(Layout(folder, "", SCHEMA), str)
    parts.add(rows(1))
    with pytest.raises(DestinationError, match="No space left on device"):
        parts.seal()
    parts.close()
    del parts
    assert capfd.readouterr().err == ""


def test_too_many_partitions_are_refused(folder, monkeypatch):
    monkeypatch.setattr("tailrace.lake.partitions._MAX_PARTITIONS", 10)
    parts = Parts(Layout(folder, "", SCHEMA, partition_by=("id",)), str)
    with pytest.raises(ConfigError, match="11 different values in id"):
        parts.add(rows(*range(11)))
