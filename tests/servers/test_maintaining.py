"""Delta and Iceberg tables are maintained: fewer files with the same rows, and nothing of a load is in the way."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from commands import run as command
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

import tailrace
from tailrace import load
from tailrace.destinations import open_destination
from tailrace.destinations.delta import DeltaView
from tailrace.destinations.iceberg import IcebergView
from tailrace.errors import ConfigError, FencedError
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, TIMESTAMPTZ, decimal, records, schema, state
from tailrace.testing.parts import PIPELINE, batch, checkpoint, stream

NOW, LATER = timedelta(0), timedelta(days=7)
LIST = {"type": ["null", "array"], "items": {"type": ["null", "object"], "properties": {"x": INT}}}
COLUMNS = {"id": INT, "name": TEXT, "at": TIMESTAMPTZ, "total": decimal(38, 9), "list": LIST}


class Killed(BaseException):
    """The end of a process, as far as a destination can tell."""


class Lake:
    """A folder of Delta tables, or a catalog of Iceberg tables, on this machine."""

    def __init__(self, kind, root):
        self.kind, self.root = kind, root
        root.mkdir()
        catalog = f"iceberg+sqlite:///{root}/catalog.db?warehouse=file://{root}"
        self.address = f"delta://{root}" if kind == "delta" else catalog

    def load(self, *rows, table="things", **settings):
        messages = [schema(COLUMNS, ["id"], table), *records(*rows, stream=table), state({})]
        load(messages, self.address, pipeline=PIPELINE, nested="native", **settings)

    def rows(self, table="things"):
        """All rows, read from files by themselves, since the libraries' readers change some."""
        read = [pa.parquet.read_table(path, partitioning=None) for path in self.files(table)]
        return pa.concat_tables(read, promote_options="permissive").sort_by("id").to_pylist() if read else []

    def files(self, table="things"):
        with closing(open_destination(self.address, {})) as destination:
            return [path.removeprefix("file://") for path in destination.files(TableName(table))]

    def all_files(self):
        return [*self.root.rglob("*.parquet")]

    def maintain(self, keep=LATER, tables=()):
        with closing(open_destination(self.address, {})) as destination:
            return [*destination.maintain([TableName(table) for table in tables], keep)]

    def catalog(self):
        return load_catalog("default", type="sql", uri=f"sqlite:///{self.root}/catalog.db")


@pytest.fixture(params=["delta", "iceberg"])
def lake(request, tmp_path):
    return Lake(request.param, tmp_path / "lake")


def row(number, **more):
    at = f"2024-01-02T00:00:00.{123456 + number:06}Z"
    return {"id": number, "name": f"n{number}", "at": at, "total": "0.123456789", "list": None} | more


def test_small_files_are_put_together_and_rows_stay_as_they_were(lake):
    for number in range(6):
        lake.load(row(number), row(100 + number, list=[{"x": number}, None], name=""), coerce="exact")
    before = lake.rows()
    told = lake.maintain()
    assert any("6 files were put together to 1" in sentence for sentence in told)
    assert lake.rows() == before
    assert len(lake.files()) == 1
    lake.load(row(3, name="new"), coerce="exact")
    assert [each["name"] for each in lake.rows() if each["id"] == 3] == ["new"]
    assert len(lake.rows()) == len(before)
    assert not any("put together" in sentence for sentence in lake.maintain())


def test_other_libraries_read_the_same_rows(lake):
    for number in range(4):
        lake.load({"id": number, "name": f"n{number}"})
    lake.maintain(NOW)
    if lake.kind == "delta":
        read = pa.table(DeltaTable(f"{lake.root}/things").to_pyarrow_table())
    else:
        read = lake.catalog().load_table("default.things").scan().to_arrow()
    assert sorted(read["name"].to_pylist()) == ["n0", "n1", "n2", "n3"]


def test_files_of_one_partition_alone_are_put_together(lake):
    for number in range(4):
        lake.load({"id": number, "name": "ab"[number % 2]}, partition_keys=["name"])
    lake.load({"id": 9, "name": "c"}, partition_keys=["name"])
    lake.maintain()
    assert len(lake.files()) == 3
    assert [each["id"] for each in lake.rows()] == [0, 1, 2, 3, 9]


def test_what_was_replaced_is_removed_after_its_time_and_not_before(lake):
    for number in range(5):
        lake.load({"id": number, "name": "x"})
    before = set(lake.all_files())
    lake.maintain(LATER)
    assert before <= set(lake.all_files())
    for _ in range(2):  # Iceberg's files are noted first, and removed by the next one
        lake.maintain(NOW)
    rows = [path for path in lake.all_files() if "things" in path.parts and "_delta_log" not in path.parts]
    assert len(rows) == 1
    assert len(lake.rows()) == 5
    lake.load({"id": 7, "name": "y"})
    assert len(lake.rows()) == 6


def test_an_iceberg_table_has_at_most_so_many_snapshots_and_the_files_of_others_stay_for_readers(tmp_path, monkeypatch):
    monkeypatch.setattr("tailrace.destinations.iceberg.maintaining._MOST_SNAPSHOTS", 3)
    lake = Lake("iceberg", tmp_path / "lake")
    for number in range(6):
        lake.load({"id": number, "name": "x"})
    before = set(lake.all_files())
    assert any("4 snapshots are expired" in sentence for sentence in lake.maintain())
    table = lake.catalog().load_table("default.things")
    assert len(table.snapshots()) == 3
    assert before <= set(lake.all_files())
    assert len(lake.rows()) == 6
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == [*range(6)]


def test_only_the_tables_that_are_named_are_maintained(lake):
    for number in range(3):
        lake.load({"id": number}, table="one")
        lake.load({"id": number}, table="two")
    told = lake.maintain(tables=["two", "else"])
    assert len(lake.files("one")) == 3
    assert len(lake.files("two")) == 1
    assert any(sentence.endswith("else: no pipeline loads into it.") for sentence in told)


def test_a_load_that_is_at_work_goes_on_beside_it(lake):
    for number in range(3):
        lake.load({"id": number, "name": "x"})
    one = stream()
    with closing(open_destination(lake.address, {})) as destination:
        number = destination.recover(PIPELINE).number + 1
        destination.prepare(one)
        receipt = destination.stage(batch(one, (1, "new"), (8, "new"), checkpoint=number))
        lake.maintain(NOW)
        destination.commit(checkpoint(receipt, number=number))
    assert [(each["id"], each["name"]) for each in lake.rows()] == [(0, "x"), (1, "new"), (2, "x"), (8, "new")]


def test_where_another_writer_is_quicker_the_files_stay_for_the_next_time(lake, monkeypatch):
    for number in range(3):
        lake.load({"id": number, "name": "x"})
    view = DeltaView if lake.kind == "delta" else IcebergView
    rearrange = view.rearrange

    def late(self, adds, removes):
        monkeypatch.undo()
        lake.load({"id": 1, "name": "quick"})
        rearrange(self, adds, removes)

    monkeypatch.setattr(view, "rearrange", late)
    assert not any("put together" in sentence for sentence in lake.maintain())
    assert [(each["id"], each["name"]) for each in lake.rows()] == [(0, "x"), (1, "quick"), (2, "x")]
    assert any("put together" in sentence for sentence in lake.maintain())


@pytest.mark.parametrize("is_done_first", [False, True], ids=["before", "behind"])
def test_a_maintenance_that_ends_at_its_commit_leaves_the_rows(lake, monkeypatch, is_done_first):
    for number in range(3):
        lake.load({"id": number, "name": "x"})
    view = DeltaView if lake.kind == "delta" else IcebergView
    rearrange = view.rearrange

    def ended(self, adds, removes):
        if is_done_first:
            rearrange(self, adds, removes)
        raise Killed

    monkeypatch.setattr(view, "rearrange", ended)
    with pytest.raises(Killed):
        lake.maintain()
    monkeypatch.undo()
    assert [each["id"] for each in lake.rows()] == [0, 1, 2]
    lake.maintain()
    assert len(lake.files()) == 1
    assert [each["id"] for each in lake.rows()] == [0, 1, 2]


def test_what_a_maintenance_has_left_that_was_killed_is_removed_later_and_nothing_else(lake, monkeypatch):
    for number in range(3):
        lake.load({"id": number, "name": "x"})
    before = set(lake.all_files())
    view = DeltaView if lake.kind == "delta" else IcebergView

    def ended(*_):
        raise Killed

    monkeypatch.setattr(view, "rearrange", ended)
    with pytest.raises(Killed):
        lake.maintain()
    monkeypatch.undo()
    (left,) = set(lake.all_files()) - before
    lake.maintain(NOW)
    assert left.exists()  # as far as can be told it may be at work yet
    start, second, rest = left.name.split("-", 2)
    old = left.rename(left.with_name(f"{start}-{int(second) - 90_000:010}-{rest}"))
    theirs = left.with_name("theirs.parquet")
    theirs.write_bytes(b"")
    kept = set(lake.files())
    lake.maintain(NOW)
    assert not old.exists()
    assert theirs.exists()
    assert set(lake.files()) == kept
    assert [each["id"] for each in lake.rows()] == [0, 1, 2]


def test_a_file_of_an_older_version_stays_as_long_as_that_does(lake):
    for number in range(3):
        lake.load({"id": number, "name": "x"})
    lake.maintain()
    (merged,) = map(Path, lake.files())
    lake.load({"id": 0, "name": "y"})
    assert str(merged) not in lake.files()
    lake.maintain(LATER)
    assert merged.exists()


def test_an_iceberg_table_that_shares_its_files_keeps_them(tmp_path):
    lake = Lake("iceberg", tmp_path / "lake")
    for number in range(3):
        lake.load({"id": number, "name": "x"})
    with lake.catalog().load_table("default.things").transaction() as change:
        change.set_properties({"gc.enabled": "false"})
    before = set(lake.all_files())
    assert not any("expired" in sentence for sentence in lake.maintain(NOW))
    assert before <= set(lake.all_files())


def test_a_delta_stream_of_changes_has_nothing_of_it(tmp_path):
    lake = Lake("delta", tmp_path / "lake")
    for number in range(3):
        lake.load({"id": number})
    lake.maintain()
    log = sorted((lake.root / "things" / "_delta_log").glob("*.json"))
    assert log[-1].read_text().count('"dataChange":false') == 4


def test_a_delta_table_that_others_have_made_more_of_is_left_as_it_is(tmp_path):
    lake = Lake("delta", tmp_path / "lake")
    for number in range(3):
        lake.load({"id": number})
    DeltaTable(f"{lake.root}/things").alter.add_constraint({"positive": "id >= 0"})
    assert any("left as it is, since it has the CHECK constraint" in sentence for sentence in lake.maintain())
    assert len(lake.files()) == 3


def test_a_run_that_stood_still_while_its_journal_was_shortened_is_fenced(tmp_path):
    lake = Lake("delta", tmp_path / "lake")
    one = stream()
    with closing(open_destination(lake.address, {})) as older:
        older.recover(PIPELINE)
        older.prepare(one)
        receipt = older.stage(batch(one, (66, "old")))
        for number in range(3):
            lake.load({"id": number, "name": "x"})
        assert any("old entries are removed" in sentence for sentence in lake.maintain())
        with pytest.raises(FencedError):
            older.commit(checkpoint(receipt))
    lake.load({"id": 3, "name": "x"})
    assert [each["id"] for each in lake.rows()] == [0, 1, 2, 3]
    assert len([*(lake.root / "_tailrace" / PIPELINE).glob("*.json")]) == 3


def test_it_is_a_command(lake, tmp_path):
    for number in range(3):
        lake.load({"id": number})

    def run(*words):
        done = command("maintain", *words)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    code, out, err = run("--to", lake.address, "--keep", "12h")
    assert (code, err) == (0, "")
    assert "things: 3 files were put together to 1." in out
    for keep in ("30m", "7 days", "0h"):
        assert run("--to", lake.address, "--keep", keep)[0] == 2
    code, _, err = run("--to", f"duckdb:///{tmp_path}/x.duckdb")
    assert code == 2
    assert "looks after its tables itself" in err
    assert tailrace.maintain(lake.address, ["things"]) == []
    with pytest.raises(ConfigError, match="an hour at least"):
        tailrace.maintain(lake.address, keep=timedelta(minutes=1))
