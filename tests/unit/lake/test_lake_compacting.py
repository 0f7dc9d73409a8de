"""Small files put together: which are, what becomes of them when another writer is quicker, and what is left over."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tailrace.errors import CommitUnknownError, DestinationError
from tailrace.lake.compacting import compacted, interrupted
from tailrace.lake.entries import MAINTENANCE, part_name, sequence_of
from tailrace.lake.tables import ConflictError, Layout, LiveFile
from tailrace.objects import Folder, StoreSettings

NOW_S = 1_700_000_000.75
SCHEMA = pa.schema([("id", pa.int64())])
DAY_S = 86_400


class Table:
    """A LakeTable of files with one row each; what is rearranged is noted, unless it fails."""

    def __init__(self, root, *files, fails=None):
        self.root = root
        self.rearranged = []
        self._files = files
        self._fails = fails

    def files(self):
        return self._files

    def layout(self):
        return Layout(self.root, "t", SCHEMA, max_bytes=1000)

    def read(self, file):
        yield pa.record_batch([pa.array([file.handle])], schema=SCHEMA)

    def rearrange(self, adds, removes):
        if self._fails:
            raise self._fails
        rows = [row["id"] for add in adds for row in pq.read_table(self.root.address(add.path)).to_pylist()]
        self.rearranged.append((rows, [file.handle for file in removes]))


def file(number, size=10, partition=None):
    return LiveFile(number, 1, size=size, partition=partition)


@pytest.fixture
def root(tmp_path):
    return Folder(StoreSettings(), f"file://{tmp_path}/lake")


def test_small_files_are_put_together_to_one_of_the_same_rows(root):
    table = Table(root, file(1), file(2), file(3))
    assert compacted(lambda: table, NOW_S) == (3, 1)
    assert table.rearranged == [([1, 2, 3], [1, 2, 3])]


def test_a_file_of_more_than_half_the_size_stays(root):
    table = Table(root, file(1, size=501), file(2, size=500), file(3, size=500))
    assert compacted(lambda: table, NOW_S) == (2, 1)
    assert table.rearranged == [([2, 3], [2, 3])]


@pytest.mark.parametrize("files", [[], [file(1)], [file(1, size=501), file(2)], [file(1, partition="a"), file(2)]])
def test_fewer_than_two_small_files_of_a_partition_stay(root, files):
    table = Table(root, *files)
    assert compacted(lambda: table, NOW_S) == (0, 0)
    assert (table.rearranged, [*root.names()]) == ([], [])


def test_files_of_several_partitions_are_put_together_each(root):
    table = Table(root, *(file(number, partition=number % 2) for number in range(5)))
    assert compacted(lambda: table, NOW_S)[0] == 5
    assert table.rearranged[0][1] == [0, 2, 4, 1, 3]


def test_new_files_are_named_by_the_second_at_which_they_were_begun(root):
    table = Table(root, file(1), file(2))
    compacted(lambda: table, NOW_S)
    assert [sequence_of(name, MAINTENANCE) for name in root.names()] == [1_700_000_000]


def test_where_another_writer_is_quicker_nothing_is_left_and_the_next_time_comes(root):
    table = Table(root, file(1), file(2), fails=ConflictError("changed"))
    assert compacted(lambda: table, NOW_S) == (0, 0)
    assert [*root.names()] == []


@pytest.mark.parametrize("error", [DestinationError("down"), CommitUnknownError("lost")])
def test_what_may_have_been_committed_stays(root, error):
    table = Table(root, file(1), file(2), fails=error)
    with pytest.raises(type(error)):
        compacted(lambda: table, NOW_S)
    assert len([*root.names()]) == 1


def name_of(age_s, pipeline=MAINTENANCE):
    return f"t/{part_name(pipeline, int(NOW_S - age_s), 'x')}.parquet"


@pytest.mark.parametrize(
    ("keep", "age_s", "is_left_over"),
    [
        (timedelta(hours=1), DAY_S - 10, False),
        (timedelta(hours=1), DAY_S + 10, True),
        (timedelta(days=3), 3 * DAY_S - 10, False),
        (timedelta(days=3), 3 * DAY_S + 10, True),
    ],
)
def test_files_of_a_maintenance_that_ended_early_are_left_over_after_a_day_or_longer(keep, age_s, is_left_over):
    name = name_of(age_s)
    assert interrupted([name], (), keep, NOW_S) == ([name] if is_left_over else [])


def test_files_that_a_table_has_and_those_of_loads_are_not_left_over():
    names = [name_of(9 * DAY_S), name_of(9 * DAY_S, "p"), "t/part-0.parquet", name_of(8 * DAY_S)]
    assert interrupted(names, {names[0]}, timedelta(days=1), NOW_S) == [names[3]]


def test_a_table_is_read_as_it_was_looked_at_once(root):
    looks = []
    table = Table(root, file(1), file(2))
    compacted(lambda: looks.append(1) or table, NOW_S)
    assert looks == [1]
