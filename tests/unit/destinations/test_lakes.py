"""What files and Delta Lake do beyond what every destination does: partitions, names, manifests, recovery."""

import csv
import json
import random
import re
import shutil
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import run
from deltalake import DeltaTable
from stopping import StoppedError, stop, when_applied, when_entered

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.destinations.delta import DeltaTables, DeltaView
from tailrace.destinations.iceberg import IcebergTables, IcebergView
from tailrace.errors import ConfigError, DestinationError
from tailrace.lake.filesystem import ArrowStore
from tailrace.objects import Folder
from tailrace.testing.messages import DATE, INT, TEXT, record, records, schema, state
from tailrace.testing.parts import PIPELINE, batch, checkpoint, stream

ROW = {"id": INT, "name": TEXT}
DELTA, ICEBERG = ("delta", DeltaTables, DeltaView), ("iceberg", IcebergTables, IcebergView)
PLACES = ["列 é/ü", "a=b", "50%", "x y", ""]


class Killed(BaseException):
    """The end of a process, as far as a destination can tell."""


def killed(*_, **__):
    raise Killed


@pytest.fixture(params=["files", "delta"])
def lake(request, tmp_path):
    """The address of an empty lake."""
    return f"{request.param}://{tmp_path}/lake"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "lake"


def merging_lake(scheme, root):
    """The address of a lake whose tables are merged into."""
    return f"delta://{root}" if scheme == "delta" else f"iceberg+sqlite:///{root}.db?warehouse={root}"


def files_of(address, table="things"):
    destination = open_destination(address, {})
    try:
        return [path.removeprefix("file://") for path in destination.files(stream(name=table).table)]
    finally:
        destination.close()


def rows_of(address, table="things"):
    return sorted(
        pa.concat_tables([pq.read_table(path, partitioning=None) for path in files_of(address, table)]).to_pylist(),
        key=str,
    )


def parquet_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))


def load_killed(when, address, one, *rows):
    """A checkpoint of a run that ends once rows are staged, before or after its entry is written, or at the end."""
    destination = open_destination(address, {})
    last = destination.recover(PIPELINE)
    number = last.number + 1 if last else 1
    destination.prepare(one)
    receipt = destination.stage(batch(one, *rows, checkpoint=number))
    if when != "staged":
        if when == "behind the table":
            when_applied(destination, stop)
        else:
            when_entered(destination, stop, before=when == "before")
        with pytest.raises(StoppedError):
            destination.commit(checkpoint(receipt, number=number))
    for parts in destination._parts.values():
        parts.close()  # as the end of a process does


@pytest.mark.parametrize("when", ["staged", "before"])
def test_files_of_a_checkpoint_that_was_not_decided_are_removed_by_the_next_run(lake, root, when):
    one = stream(key=())
    load_killed(when, lake, one, (1, "a"))
    again = open_destination(lake, {})
    assert again.recover(PIPELINE) is None
    assert parquet_in(root) == []
    again.close()
    assert lake.startswith("files") or files_of(lake) == []  # which have tables only once a checkpoint is decided


@pytest.mark.parametrize("key", [(), ("id",)], ids=["appended", "upserted"])
def test_a_checkpoint_that_was_decided_is_brought_to_its_tables_by_the_next_run(lake, root, key):
    one = stream(key=key)
    load_killed("after", lake, one, (1, "a"), (2, "b"))
    again = open_destination(lake, {})
    assert again.recover(PIPELINE).number == 1
    again.close()
    assert [row["id"] for row in rows_of(lake)] == [1, 2]
    assert parquet_in(root) == sorted(str(Path(path).relative_to(root)) for path in files_of(lake))


@pytest.mark.parametrize("key", [(), ("id",)], ids=["appended", "upserted"])
def test_a_table_that_has_the_checkpoint_keeps_it_while_others_are_brought_to_it(lake, key):
    streams = [stream(key=key, name=name) for name in ("a", "b", "c")]
    destination = open_destination(lake, {})
    destination.recover(PIPELINE)
    receipts = []
    for place, one in enumerate(streams):
        destination.prepare(one)
        receipts.append(destination.stage(batch(one, (1, "x"), first_line=place + 1)))
    when_applied(destination, stop, tables=2)
    with pytest.raises(StoppedError):
        destination.commit(checkpoint(*receipts))
    for _ in range(2):
        again = open_destination(lake, {})
        assert again.recover(PIPELINE).number == 1
        again.close()
        assert [len(rows_of(lake, name)) for name in ("a", "b", "c")] == [1, 1, 1]


def test_files_are_removed_though_the_run_that_was_to_remove_them_did_not(lake, root, monkeypatch):
    one = stream(key=())
    load([schema(ROW), record({"id": 1})], to=lake, pipeline=PIPELINE)
    load_killed("before", lake, one, (2, "b"))
    for _ in range(3):
        with monkeypatch.context() as patched:
            again = open_destination(lake, {})
            patched.setattr(again._tables, "clean", killed)
            with pytest.raises(Killed):
                again.recover(PIPELINE)
    assert len(parquet_in(root)) == 2
    again = open_destination(lake, {})
    again.recover(PIPELINE)
    again.close()
    assert len(parquet_in(root)) == 1


@pytest.mark.parametrize("deaths", [0, 1])
@pytest.mark.parametrize(("scheme", "tables", "view"), [DELTA, ICEBERG], ids=["delta", "iceberg"])
def test_files_of_a_merge_that_was_cut_short_are_removed_though_the_next_run_dies_too(
    root, monkeypatch, scheme, tables, view, deaths
):
    address = merging_lake(scheme, root)
    with monkeypatch.context() as patched:
        patched.setattr(view, "commit", killed)
        with pytest.raises(Killed):
            load([schema(ROW, ["id"]), record({"id": 1}), state(1)], to=address, pipeline="p")
    with monkeypatch.context() as patched:
        patched.setattr(tables, "clean", killed)
        for _ in range(deaths):
            with pytest.raises(Killed):
                open_destination(address, {}).recover("p")
    written = {*root.glob("**/things/**/*.parquet")}
    again = open_destination(address, {})
    assert again.recover("p").number == 1
    again.close()
    left = {*root.glob("**/things/**/*.parquet")}
    assert [str(path) for path in left] == files_of(address)
    assert len(written) == 1 + deaths
    assert left <= written or not deaths


@pytest.mark.parametrize(("scheme", "store"), [("delta", Folder), ("iceberg", ArrowStore)])
def test_what_another_run_brings_and_removes_meanwhile_is_not_missed(root, monkeypatch, scheme, store):
    address = merging_lake(scheme, root)
    load_killed("after", address, stream(), (1, "a"), (2, "b"))
    opened, others = store.open, [open_destination(address, {})]

    def open_late(folder, name):
        while others:
            other = others.pop()
            assert other.recover(PIPELINE).number == 1
            other.close()
        return opened(folder, name)

    monkeypatch.setattr(store, "open", open_late)
    again = open_destination(address, {})
    assert again.recover(PIPELINE).number == 1
    again.close()
    assert others == []
    assert [row["id"] for row in rows_of(address)] == [1, 2]


def test_a_checkpoint_is_brought_to_its_tables_once(lake):
    one = stream(key=())
    load_killed("behind the table", lake, one, (1, "a"))
    for _ in range(3):
        again = open_destination(lake, {})
        assert again.recover(PIPELINE).number == 1
        again.close()
    assert [row["id"] for row in rows_of(lake)] == [1]


@pytest.mark.parametrize("is_killed", [False, True], ids=["after a run", "after a crash"])
def test_a_table_that_was_removed_does_not_hold_its_pipeline_up(lake, root, is_killed):
    one = stream(key=())
    if is_killed:
        load_killed("after", lake, one, (1, "a"))
    else:
        load([schema(ROW), record({"id": 1})], to=lake, pipeline=PIPELINE)
    shutil.rmtree(root / "things", ignore_errors=True)
    again = open_destination(lake, {})
    assert again.recover(PIPELINE).number == 1
    again.prepare(one)
    again.commit(checkpoint(again.stage(batch(one, (2, "b"), checkpoint=2)), number=2))
    again.close()
    if lake.startswith("delta"):
        assert [row["id"] for row in rows_of(lake)] == [2]


def test_a_run_that_ends_well_leaves_nothing_to_do_anew(root):
    load([schema(ROW), record({"id": 1})], to=f"delta://{root}", pipeline="p")
    log = root / "things" / "_delta_log"
    shutil.move(log, root / "moved")
    again = open_destination(f"delta://{root}", {})
    assert again.recover("p").number == 1
    again.close()


def test_rows_stand_in_folders_of_their_partitions(lake, root):
    # Delta's protocol has no empty text in a partition.
    places = [place for place in PLACES if place or not lake.startswith("delta")]
    sent = [record({"id": n, "name": place}) for n, place in enumerate([*places, None])]
    load([schema(ROW), *sent], to=lake, partition_keys=["name"])
    assert len(files_of(lake)) == len(places) + 1
    # Z-ORDER of deltalake doesn't find paths with a tilde.
    sign = "$" if lake.startswith("delta") else "~"
    assert {path.name for path in (root / "things").glob("name=*")} - {"name="} == {
        f"name=列{sign}20é{sign}2fü",
        "name=a=b",
        f"name=50{sign}25",
        f"name=x{sign}20y",
        "name=__HIVE_DEFAULT_PARTITION__",
    }
    if lake.startswith("delta"):
        found = DeltaTable(str(root / "things")).to_pyarrow_table().to_pylist()
        assert {(row["id"], row["name"]) for row in found} == {*enumerate([*places, None])}


def test_files_are_as_large_as_they_are_set_to_be(lake):
    chance, one = random.Random(1), stream(key=())
    with closing(open_destination(lake, {"file_bytes": 200_000})) as destination:
        destination.recover(PIPELINE)
        destination.prepare(one)
        rows = [[(n, chance.randbytes(500).hex()) for n in range(100)] for _ in range(20)]
        receipts = [destination.stage(batch(one, *some, first_line=100 * n + 1)) for n, some in enumerate(rows)]
        destination.commit(checkpoint(*receipts))
    sizes = sorted(Path(path).stat().st_size for path in files_of(lake))
    assert len(sizes) > 2
    assert all(200_000 <= size < 400_000 for size in sizes[1:])


def test_batches_of_a_checkpoint_are_one_file(lake):
    sent = [record({"id": n, "name": "a"}) for n in range(100)]
    load([schema(ROW), *sent], to=lake, batch_rows=10)
    assert len(files_of(lake)) == 1


def test_a_template_names_folders_and_dates(root, tmp_path):
    given = {"file_template": "raw/{schema}/{table}/{date:%Y}", "date_partition_format": "%m"}
    load(
        [schema(ROW, (), "a-b"), record({"id": 1}, "a-b")],
        to=f"files://{root}",
        schema="s",
        table="{table}",
        **given,
    )
    (found,) = parquet_in(root)
    assert found.split("/")[:3] == ["raw", "s", "b"]
    year, month = found.split("/")[3:5]
    assert (len(year), len(month)) == (4, 2)


def test_a_template_with_an_unknown_word_is_refused(root):
    with pytest.raises(ConfigError, match="file_template"):
        load([schema(ROW), record({"id": 1})], to=f"files://{root}", file_template="{nope}")


def test_names_from_the_tap_lead_to_no_folder_outside(root):
    for name in ("../../up", "/etc", ".."):
        load([schema({"id": INT}, (), name), record({"id": 1}, name)], to=f"files://{root}", naming="preserve")
    assert len(parquet_in(root)) == 3
    assert [path for path in root.parent.rglob("*.parquet") if not path.is_relative_to(root)] == []


def test_replaced_files_are_there_until_the_next_run(root):
    address = f"files://{root}"
    for n in (1, 2):
        load([schema(ROW), record({"id": n})], to=address, method="replace", pipeline="p")
    assert [row["id"] for row in rows_of(address)] == [2]
    assert len(parquet_in(root)) == 2
    load([schema(ROW), record({"id": 3})], to=address, pipeline="p")
    assert [row["id"] for row in rows_of(address)] == [2, 3]
    assert len(parquet_in(root)) == 2


def test_a_csv_header_is_written_as_it_is_set_to_be(root):
    given = {"format": "csv", "column_header_format": "upper"}
    load(
        [schema(ROW), *records({"id": 1, "name": 'a "b"'}, {"id": 2, "name": ""}, {"id": 3})],
        to=f"files://{root}",
        **given,
    )
    (path,) = root.rglob("*.csv")
    assert path.read_text().splitlines() == ['"ID","NAME"', '1,"a ""b"""', '2,""', "3,"]


def test_json_lines_have_every_column(root):
    load(
        [schema(ROW | {"day": DATE}), *records({"id": 1, "name": "é\n", "day": "2024-01-31"}, {"id": 2})],
        to=f"files://{root}",
        format="jsonl",
    )
    (path,) = root.rglob("*.jsonl")
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"id": 1, "name": "é\n", "day": "2024-01-31"},
        {"id": 2, "name": None, "day": None},
    ]


@pytest.mark.parametrize(("form", "compression"), [("csv", "snappy"), ("jsonl", "lz4")])
def test_a_compression_that_a_format_lacks_is_refused(root, form, compression):
    with pytest.raises(ConfigError, match="compression"):
        open_destination(f"files://{root}", {"format": form, "compression": compression})


def test_upsert_on_plain_files_is_refused_and_says_so(root):
    with pytest.raises(ConfigError, match="files can't load with upsert"):
        load([schema(ROW, ["id"]), record({"id": 1})], to=f"files://{root}", method="upsert")


def test_the_command_prints_the_files_of_a_table(lake):
    load([schema(ROW), record({"id": 1})], to=lake)
    printed = run("files", "things", "--to", lake).stdout.decode().splitlines()
    assert printed == list(files_of(lake))
    assert duckdb.execute("SELECT id FROM read_parquet(?)", [printed]).fetchall() == [(1,)]


def test_the_command_refuses_a_destination_whose_tables_are_no_files():
    ended = run("files", "things", "--to", "duckdb:///:memory:")
    assert ended.returncode == 2
    assert b"its tables aren't files" in ended.stderr


def test_the_header_of_csv_can_be_read_by_pythons_own_reader(root):
    load([schema(ROW), record({"id": 1, "name": "a,b\nc"})], to=f"files://{root}", format="csv")
    (path,) = root.rglob("*.csv")
    with path.open(newline="") as lines:
        assert list(csv.DictReader(lines)) == [{"id": "1", "name": "a,b\nc"}]


def test_the_documented_query_of_duckdb_reads_what_manifests_list(root):
    address = f"files://{root}"
    for n in (1, 2):
        load([schema(ROW, (), "orders"), record({"id": n}, "orders")], to=address, method="replace")
    load([schema(ROW, (), "orders"), record({"id": 3}, "orders")], to=address)
    page = (Path(__file__).parents[3] / "docs" / "destinations" / "files.md").read_text(encoding="utf-8")
    (sql,) = re.findall(r"^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    with duckdb.connect() as connection:
        rows = connection.execute(sql.replace("s3://my-bucket/shop", str(root))).fetchall()
    assert sorted(row[0] for row in rows) == [2, 3]


@pytest.mark.parametrize("method", ["append", "upsert", "replace"])
def test_a_manifest_whose_answer_is_lost_is_found_to_be_there(lake, monkeypatch, method):
    if lake.startswith("files") and method == "upsert":
        pytest.skip("plain files have no upsert")
    put_new, lost = Folder.put_new, []

    def put_and_lose(self, name, content):
        done = put_new(self, name, content)
        if b'"tables"' in content and not lost:
            lost.append(name)
            raise DestinationError("the connection is lost")
        return done

    monkeypatch.setattr(Folder, "put_new", put_and_lose)
    report = load([schema(ROW, ["id"]), record({"id": 1}), state(1)], to=lake, pipeline="p", method=method)
    assert lost
    assert (report.total.loaded, report.state) == (1, "1")
    load([schema(ROW, ["id"]), record({"id": 2}), state(2)], to=lake, pipeline="p", method="append")
    assert [row["id"] for row in rows_of(lake)] == [1, 2]
