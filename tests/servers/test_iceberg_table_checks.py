"""Iceberg tables that can't take what a stream does to them are refused before anything is decided."""

import json
import threading
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import (
    FixedType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    UUIDType,
)
from stopping import when_staged

import tailrace
from tailrace.destinations.iceberg import Settings, build, from_url
from tailrace.errors import SchemaError
from tailrace.testing.messages import INT, TEXT, record, schema, state

ID = NestedField(1, "id", LongType(), required=False)
NAME = NestedField(2, "name", StringType(), required=False)


class Lake:
    """A catalog in a file whose tables another program makes."""

    def __init__(self, folder):
        self.folder = folder
        self.catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/lake")
        self.catalog.create_namespace_if_not_exists("main")

    def open(self, **more):
        url = f"iceberg+sqlite:///{self.folder}/c.db?warehouse={self.folder}/lake&namespace=main"
        return build(Settings.model_validate(from_url(url) | more))

    def load(self, *messages, to=None, **settings):
        return tailrace.load((json.dumps(m).encode() for m in messages), to or self.open(), **settings)

    def make(self, *fields, name="things", **more):
        return self.catalog.create_table(f"main.{name}", Schema(*fields), **more)

    def table(self, name="things"):
        return self.catalog.load_table(f"main.{name}")

    def rows(self, name):
        return sorted(self.table(name).scan().to_arrow().to_pylist(), key=lambda row: row["id"])


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    with closing(lake.catalog):
        yield lake


def edited(table, **changes):
    """Change the description of the table, as a writer of what pyiceberg doesn't write would."""
    path = Path(table.metadata_location.removeprefix("file://"))
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def version_3(lake):
    edited(lake.make(ID, NAME), **{"format-version": 3, "next-row-id": 0})


def bucketed(lake):
    lake.make(ID, NAME, partition_spec=PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "id_bucket")))


def encrypted(lake):
    lake.make(ID, NAME, properties={"encryption.key-id": "k"})


def identified(lake):
    name = NestedField(2, "name", StringType(), required=True)
    lake.catalog.create_table("main.things", Schema(ID, name, identifier_field_ids=[2]))


def with_column(kind):
    return lambda lake: lake.make(ID, NAME, NestedField(3, "x", kind, required=False))


def equality_deletes(lake):
    lake.make(ID, NAME).append(pa.table({"id": pa.array([1], pa.int64()), "name": ["a"]}))
    [snapshot] = lake.table().snapshots()
    described = json.loads(snapshot.model_dump_json())
    described["summary"]["total-equality-deletes"] = "1"
    edited(lake.table(), snapshots=[described])


def of_avro(lake):
    lake.make(ID, NAME, properties={"write.format.default": "avro"})


OBSTACLES = {
    version_3: "version 3 of the format, which pyiceberg doesn't write; load into a table of version 2",
    bucketed: r"partitions by bucket\[4\] of 'id', .*`ALTER TABLE main.things DROP PARTITION FIELD id_bucket`",
    encrypted: "encryption.key-id, and tailrace doesn't encrypt files; load into another table",
    identified: r"identifier fields \(name\), and the stream the key \(id\); .* SET IDENTIFIER FIELDS id`",
    equality_deletes: "equality deletes, which pyiceberg doesn't read; set `method: append`",
    of_avro: "write.format.default = avro, .* set that property to parquet",
    with_column(MapType(4, StringType(), 5, LongType(), value_required=False)): (
        r"'x' as map<string, long>, and tailrace can't rewrite files with that"
    ),
    with_column(UUIDType()): "'x' as uuid",
    with_column(ListType(4, FixedType(3), element_required=False)): r"'x' as list<fixed\[3\]>",
    with_column(StructType(NestedField(4, "u", UUIDType(), required=False))): r"'x' as struct<4: u: optional uuid>",
}
OTHERS = (schema({"id": INT}, ["id"], stream="others"), record({"id": 1}, stream="others"))
THINGS = (schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 1, "name": "b"}))


@pytest.mark.parametrize("make", OBSTACLES, ids=[*map(str, range(len(OBSTACLES)))])
def test_a_table_that_cannot_be_merged_into_is_refused_beside_others_and_skipped_later(lake, make):
    make(lake)
    with pytest.raises(SchemaError, match=OBSTACLES[make]) as caught:
        lake.load(*OTHERS, state({"n": 1}), *THINGS, state({"n": 2}), pipeline="p")
    assert caught.value.exit_code == 5
    assert "or leave the stream out with `select: false` under `streams:`" in str(caught.value)
    assert caught.value.stream == "things"
    assert lake.rows("others") == [{"id": 1}]  # up to the state before the stream
    others = record({"id": 2}, stream="others")
    report = lake.load(*OTHERS, others, *THINGS, state({"n": 3}), pipeline="p", streams={"things": {"select": False}})
    assert json.loads(report.state) == {"n": 3}
    assert lake.rows("others") == [{"id": 1}, {"id": 2}]


APPENDABLE = [make for make in OBSTACLES if make not in (version_3, bucketed, encrypted)]


@pytest.mark.parametrize("make", APPENDABLE, ids=[*map(str, range(len(APPENDABLE)))])
def test_what_hinders_merging_alone_hinders_no_appending(lake, make):
    make(lake)
    things = schema({"id": INT, "name": {"type": "string"}}, ["id"])
    things["schema"]["required"] = ["id", "name"]  # as an identifier field must be
    lake.load(things, record({"id": 7, "name": "b"}), method="append")
    if make is not equality_deletes:  # which pyiceberg doesn't read
        assert [row["id"] for row in lake.table().scan().to_arrow().to_pylist()] == [7]


def test_what_comes_in_the_way_while_a_stream_is_loaded_is_refused_before_a_checkpoint_is_decided(lake):
    lake.load(*THINGS, state({"n": 1}), pipeline="p")
    destination = lake.open()

    one = threading.Lock()  # streams are staged by several threads, of which one hinders

    def hinder():
        if one.acquire(blocking=False):
            with lake.table().transaction() as transaction:
                transaction.set_properties(**{"encryption.key-id": "k"})

    when_staged(destination, hinder)
    with pytest.raises(SchemaError, match="encryption"):
        lake.load(*OTHERS, *THINGS, state({"n": 2}), to=destination, pipeline="p")
    report = lake.load(*OTHERS, state({"n": 3}), pipeline="p")
    assert (json.loads(report.state), lake.rows("others")) == ({"n": 3}, [{"id": 1}])


def test_a_view_of_that_name_is_refused(lake, monkeypatch):
    """A SQL catalog has no views; that of REST answers by the same call."""
    monkeypatch.setattr(SqlCatalog, "view_exists", lambda _, name: name[-1] == "things")
    for method in ("upsert", "replace"):
        with pytest.raises(SchemaError, match=r"has a view main\.things, .*`DROP VIEW main\.things`"):
            lake.load(*THINGS, method=method)


@pytest.mark.parametrize(
    "spec",
    [
        PartitionSpec(),
        PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "id_bucket")),
        PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "name")),
    ],
)
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_replaced_table_is_partitioned_as_asked(lake, spec, version):
    lake.make(ID, NAME, partition_spec=spec, properties={"format-version": version})
    things = schema({"id": INT, "day": TEXT}, ["id"])
    for day in "ab":
        messages = things, record({"id": 1, "day": day}), record({"id": 2, "day": "c"})
        lake.load(*messages, to=lake.open(partition_keys=("day", "no_such")), method="replace", pipeline="p")
        tasks = [*lake.table().scan().plan_files()]
        values = [[value for value in dict(enumerate(task.file.partition)).values() if value] for task in tasks]
        assert sorted(values) == [[day], ["c"]]
        assert [row["day"] for row in lake.rows("things")] == [day, "c"]
    assert [f.name for f in lake.table().spec().fields if str(f.transform) == "identity"] == ["day"]
    lake.load(things, record({"id": 1, "day": "z"}), pipeline="p")  # and merged into later
    assert [row["day"] for row in lake.rows("things")] == ["z", "c"]


def test_a_replaced_table_keeps_its_partitions_where_none_are_asked(lake):
    lake.make(ID, NAME, partition_spec=PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "name")))
    lake.load(*THINGS, method="replace")
    assert [field.name for field in lake.table().spec().fields] == ["name"]
    lake.make(ID, NAME, name="days", partition_spec=PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "b")))
    with pytest.raises(SchemaError, match="partitions by bucket"):
        lake.load(schema({"id": INT}, ["id"], stream="days"), method="replace")


def test_properties_branches_and_sort_orders_of_others_hinder_nothing(lake):
    lake.make(
        ID,
        NAME,
        properties={
            "write.upsert.enabled": "true",
            "write.object-storage.enabled": "true",
            "write.delete.mode": "merge-on-read",
        },
    )
    lake.load(*THINGS, pipeline="p")
    table = lake.table()
    with table.manage_snapshots() as snapshots:
        snapshots.create_branch(table.current_snapshot().snapshot_id, "audit")
        snapshots.create_tag(table.current_snapshot().snapshot_id, "v1")
    lake.load(THINGS[0], record({"id": 1, "name": "c"}), pipeline="p")
    assert lake.rows("things") == [{"id": 1, "name": "c"}]
    tagged = lake.table().snapshot_by_name("v1").snapshot_id
    assert lake.table().scan(snapshot_id=tagged).to_arrow().to_pylist() == [{"id": 1, "name": "b"}]
