"""Delta tables that another writer has made, or has changed between runs."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, write_deltalake
from stopping import StoppedError, stop, when_entered

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError, SchemaError
from tailrace.testing.messages import INT, TEXT, record, records, schema, state
from tailrace.testing.parts import PIPELINE, batch, checkpoint, stream

ROW = {"id": {"type": "integer"}, "name": TEXT}
LOADED = records({"id": 1, "name": "new"}, {"id": 3, "name": "c"})
MERGED = {"upsert": [(1, "new"), (2, "b"), (3, "c")], "insert_ignore": [(1, "a"), (2, "b"), (3, "c")]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "things"


def rows_of(path):
    return pa.table(DeltaTable(path).to_pyarrow_table()).sort_by("id").to_pylist()


@pytest.mark.parametrize("method", MERGED)
def test_a_column_that_is_not_null_is_merged_into(tmp_path, path, method):
    fields = [pa.field("id", pa.int64(), nullable=False), pa.field("name", pa.string())]
    write_deltalake(path, pa.table([[1, 2], ["a", "b"]], schema=pa.schema(fields)))
    load([schema(ROW, ["id"]), *LOADED], to=f"delta:{tmp_path}", method=method)
    assert [(row["id"], row["name"]) for row in rows_of(path)] == MERGED[method]
    assert not DeltaTable(path).schema().fields[0].nullable


@pytest.mark.parametrize("method", ["append", *MERGED])
def test_a_column_that_is_not_null_and_not_the_streams_is_refused(tmp_path, path, method):
    fields = [pa.field("id", pa.int64()), pa.field("at", pa.string(), nullable=False)]
    write_deltalake(path, pa.table([[1], ["a"]], schema=pa.schema(fields)))
    with pytest.raises(SchemaError, match="'at', which is NOT NULL"):
        load([schema(ROW, ["id"]), *LOADED], to=f"delta:{tmp_path}", method=method)


@pytest.mark.parametrize("method", MERGED)
def test_not_null_within_a_struct_is_refused_where_rows_are_merged(tmp_path, path, method):
    struct = pa.struct([pa.field("a", pa.int64(), nullable=False)])
    write_deltalake(path, pa.table({"id": pa.array([1, 2]), "s": pa.array([{"a": 1}, None], struct)}))
    with pytest.raises(SchemaError, match=r"'s\.a', which is NOT NULL within a struct"):
        load([schema({"id": INT}, ["id"]), record({"id": 3})], to=f"delta:{tmp_path}", method=method)
    load([schema({"id": INT}), record({"id": 3})], to=f"delta:{tmp_path}", method="append")
    assert rows_of(path)[1:] == [{"id": 2, "s": None}, {"id": 3, "s": None}]


OTHERS = {
    "map": pa.array([[("x", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    "map of structs": pa.array([[("x", {"a": 1})], [], None], pa.map_(pa.string(), pa.struct([("a", pa.int64())]))),
    "list of maps": pa.array([[[("x", 1)], None], [], None], pa.list_(pa.map_(pa.string(), pa.int64()))),
    "list of structs": pa.array([[{"a": 1}, None], [], None], pa.list_(pa.struct([("a", pa.int64())]))),
    "list not null": pa.array([[1], [], None], pa.list_(pa.field("element", pa.int64(), nullable=False))),
    "struct": pa.array([{"a": 1}, {"a": None}, None], pa.struct([("a", pa.int64())])),
    "byte": pa.array([1, -128, None], pa.int8()),
    "short": pa.array([1, -(2**15), None], pa.int16()),
    "float": pa.array([1, 0.1, float("nan")], pa.float32()),
    "binary": pa.array([b"a", b"", None]),
    "text": pa.array(["a", "", "\0"]),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_columns_that_are_not_the_streams_stay_as_they_are_where_rows_are_written_anew(tmp_path, path, kind):
    write_deltalake(path, pa.table({"id": pa.array([1, 2, 3]), "name": ["a", "b", "c"], "other": OTHERS[kind]}))
    before = pa.table(DeltaTable(path).to_pyarrow_table())
    load([schema(ROW, ["id"]), *records({"id": 1, "name": "new"})], to=f"delta:{tmp_path}")
    after = pa.table(DeltaTable(path).to_pyarrow_table()).sort_by("id")
    assert after["name"].to_pylist() == ["new", "b", "c"]
    assert repr(after["other"].to_pylist()[1:]) == repr(before.sort_by("id")["other"].to_pylist()[1:])
    assert after.schema.field("other").type == before.schema.field("other").type


def test_a_file_with_old_times_and_without_a_column_is_written_anew_as_it_was(tmp_path, path):
    at = pa.array([1_700_000_000_123_456, -1], pa.timestamp("us", "UTC"))
    write_deltalake(path, pa.table({"id": pa.array([1, 2]), "at": at}))
    (file,) = path.glob("*.parquet")
    pq.write_table(pq.read_table(file), file, use_deprecated_int96_timestamps=True)
    log = path / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line.get("add", {})["size"] = file.stat().st_size
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    DeltaTable(path).alter.add_columns([Field("name", "string")])
    load([schema(ROW, ["id"]), *records({"id": 1, "name": "new"})], to=f"delta:{tmp_path}")
    found = pa.table(DeltaTable(path).to_pyarrow_table()).sort_by("id")
    assert found["name"].to_pylist() == ["new", None]
    assert found["at"].cast(pa.int64()).to_pylist()[1] == -1


@pytest.mark.parametrize("had", [None, [], ["id"], ["name"]])
def test_replace_makes_the_partitions_that_are_asked_for(tmp_path, path, had):
    if had is not None:
        write_deltalake(path, pa.table({"id": pa.array([1]), "name": ["a"], "gone": ["x"]}), partition_by=had)
    for n in (1, 2):
        messages = [schema(ROW, ["id"]), *records({"id": n, "name": "a b/"}, {"id": 9, "name": None}), state(n)]
        load(messages, to=f"delta:{tmp_path}", method="replace", partition_keys=["name"], pipeline="p")
        table = DeltaTable(path)
        assert table.metadata().partition_columns == ["name"]
        assert rows_of(path) == [{"id": n, "name": "a b/"}, {"id": 9, "name": None}]
        table.vacuum(0, dry_run=False, enforce_retention_duration=False)
        assert len(rows_of(path)) == 2


def test_replace_keeps_the_partitions_of_a_table_where_none_are_asked_for(tmp_path, path):
    write_deltalake(path, pa.table({"id": pa.array([1]), "name": ["a"]}), partition_by=["name"])
    load([schema(ROW, ["id"]), *LOADED], to=f"delta:{tmp_path}", method="replace")
    assert DeltaTable(path).metadata().partition_columns == ["name"]
    assert [row["id"] for row in rows_of(path)] == [1, 3]


@pytest.mark.parametrize("place", ["__HIVE_DEFAULT_PARTITION__", "x" * 400, "😀" * 80, "a/b=c%2F~"])
def test_replace_keeps_every_text_that_it_partitions_by(tmp_path, path, place):
    messages = [schema(ROW, ["id"]), *records({"id": 1, "name": place})]
    load(messages, to=f"delta:{tmp_path}", method="replace", partition_keys=["name"])
    assert rows_of(path) == [{"id": 1, "name": place}]


def test_a_text_that_stands_for_null_is_not_lost_where_replace_partitions_anew(tmp_path, path):
    write_deltalake(path, pa.table({"id": pa.array([1]), "name": ["a"]}))
    messages = [schema(ROW, ["id"]), *records({"id": 1, "name": "__HIVE_DEFAULT_PARTITION__"})]
    with pytest.raises(DestinationError, match="stands for null in partitions"):
        load(messages, to=f"delta:{tmp_path}", method="replace", partition_keys=["name"])
    assert rows_of(path) == [{"id": 1, "name": "a"}]


def test_a_partition_of_any_name_is_found_by_z_order(tmp_path, path):
    for n in (1, 2):
        rows = records({"id": n, "name": "a b/"}, {"id": n + 2, "name": "~"})
        load([schema(ROW, ["id"]), *rows], to=f"delta:{tmp_path}", partition_keys=["name"])
    DeltaTable(path).optimize.z_order(["id"])
    assert [row["id"] for row in rows_of(path)] == [1, 2, 3, 4]


def test_dates_that_python_does_not_have_stay_where_rows_are_written_anew(tmp_path, path):
    far = pa.array([3_000_000, 4_000_000], pa.int32()).cast(pa.date32())
    write_deltalake(path, pa.table({"id": pa.array([1, 2]), "name": ["a", "b"], "far": far}))
    load([schema(ROW, ["id"]), *records({"id": 1, "name": "new"})], to=f"delta:{tmp_path}")
    found = pa.table(DeltaTable(path).to_pyarrow_table()).sort_by("id")
    assert found["far"].cast(pa.int32()).to_pylist()[1] == 4_000_000


def test_a_shallow_clone_is_appended_to_and_not_merged_into(tmp_path, path):
    write_deltalake(tmp_path / "elsewhere", pa.table({"id": pa.array([1, 2]), "name": ["a", "b"]}))
    log = (tmp_path / "elsewhere/_delta_log" / f"{0:020}.json").read_text()
    (path / "_delta_log").mkdir(parents=True)
    (path / "_delta_log" / f"{0:020}.json").write_text(log.replace('"part-', f'"file://{tmp_path}/elsewhere/part-'))
    for method in ("upsert", "replace"):
        with pytest.raises(SchemaError, match="shallow clones"):
            load([schema(ROW, ["id"]), *LOADED], to=f"delta:{tmp_path}", method=method)
    load([schema(ROW, ["id"]), *LOADED], to=f"delta:{tmp_path}", method="append")
    assert DeltaTable(path).version() == 1


def test_a_table_that_was_made_anew_or_restored_between_runs_is_loaded_into_as_it_is(tmp_path, path):
    def run(n, *rows):
        load([schema(ROW, ["id"]), *records(*rows), state(n)], to=f"delta:{tmp_path}", pipeline="p")

    run(1, {"id": 1, "name": "a"})
    version = DeltaTable(path).version()
    run(2, {"id": 2, "name": "b"})
    DeltaTable(path).restore(version)
    run(3, {"id": 1, "name": "c"})
    assert [(row["id"], row["name"]) for row in rows_of(path)] == [(1, "c")]
    write_deltalake(
        path, pa.table({"name": ["z"], "id": pa.array([5], pa.int32())}), mode="overwrite", schema_mode="overwrite"
    )
    run(4, {"id": 5, "name": "y"}, {"id": 6, "name": "x"})
    assert [(row["id"], row["name"]) for row in rows_of(path)] == [(5, "y"), (6, "x")]
    shutil.rmtree(path)
    write_deltalake(path, pa.table({"id": [7], "name": ["w"]}))
    run(5, {"id": 7, "name": "v"})
    assert [(row["id"], row["name"]) for row in rows_of(path)] == [(7, "v")]


def test_files_that_wait_outlast_a_vacuum_and_a_log_that_is_cleaned_up(tmp_path, path):
    def messages():
        yield schema(ROW, ["id"])
        for n in range(3):
            yield record({"id": n, "name": str(n)})
            yield state(n)
            if DeltaTable.is_deltatable(str(path)):
                table = DeltaTable(path)
                table.vacuum(0, dry_run=False, enforce_retention_duration=False)
                table.create_checkpoint()
                table.cleanup_metadata()

    for method in ("upsert", "append"):
        load(messages(), to=f"delta:{tmp_path}", pipeline=method, checkpoint_rows=1, method=method)
    assert [row["id"] for row in rows_of(path)] == [0, 0, 1, 1, 2, 2]


def test_files_that_were_removed_before_a_later_run_could_add_them_are_missed(tmp_path, path):
    one = stream(key=())
    killed = open_destination(f"delta:{tmp_path}", {})
    killed.recover(PIPELINE)
    killed.prepare(one)
    when_entered(killed, stop)
    with pytest.raises(StoppedError):
        killed.commit(checkpoint(killed.stage(batch(one, (1, "a")))))
    DeltaTable(path).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    again = open_destination(f"delta:{tmp_path}", {})
    with pytest.raises(DestinationError, match="VACUUM or another program has removed them"):
        again.recover(PIPELINE)
    again.close()
    assert DeltaTable(path).to_pyarrow_table().num_rows == 0
