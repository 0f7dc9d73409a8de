"""Iceberg beyond what every destination does: races, what snapshots say, columns' ids, partitions, a REST catalog."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import DateType, FixedType, LongType, NestedField, StringType, TimestamptzType, UUIDType
from stopping import StoppedError, stop, when_applied, when_entered

import tailrace
from tailrace.destinations.iceberg import IcebergTables, Settings, build, from_url
from tailrace.errors import ConfigError, DestinationError, FencedError, SchemaError
from tailrace.lake.entries import Entry
from tailrace.lake.tables import ConflictError
from tailrace.model import TableName
from tailrace.testing.messages import (
    BINARY,
    DATE,
    DECIMAL,
    INT,
    TEXT,
    TIMESTAMPTZ,
    UUID,
    record,
    records,
    schema,
)
from tailrace.testing.parts import batch, checkpoint, commit_rows, stream

THINGS = TableName("things")


class Lake:
    """A catalog in a file, with its tables in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder}/catalog.db"
        self.url = f"iceberg+{self.uri}?warehouse={folder}/lake&namespace=main"
        self.catalog = SqlCatalog("default", uri=self.uri, warehouse=f"file://{folder}/lake")

    def settings(self, **more):
        return Settings.model_validate(from_url(self.url) | more)

    def open(self, **more):
        return build(self.settings(**more))

    def load(self, *messages, to=None, **settings):
        return tailrace.load((json.dumps(m).encode() for m in messages), to or self.open(), **settings)

    def table(self, name="things"):
        return self.catalog.load_table(("main", name))

    def rows(self, name="things"):
        return sorted(self.table(name).scan().to_arrow().to_pylist(), key=lambda row: str(row["id"]))

    def files(self, pattern):
        return sorted(path.name for path in self.folder.glob(f"lake/main/{pattern}") if path.is_file())


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    yield lake
    lake.catalog.close()


def entry(sequence, fence="a"):
    return Entry("p", sequence, 1, fence)


def test_of_two_journals_that_race_for_an_entry_one_is_refused(lake):
    tables = [IcebergTables(lake.settings()) for _ in range(2)]
    first, second = (each.journal("p") for each in tables)
    assert first.last() is second.last() is None
    assert [first.add(entry(1)), second.add(entry(1, "b"))] == [True, False]
    assert second.last() == entry(1)
    assert [second.add(entry(2, "b")), first.add(entry(2))] == [True, False]
    assert [first.add(entry(2, "b")), first.add(entry(4, "b"))] == [True, False]
    assert first.last() == second.last() == entry(2, "b")


def test_entries_of_many_journals_at_once_are_each_put_once(lake):
    IcebergTables(lake.settings()).journal("p").add(entry(1))

    def race(fence):
        tables = IcebergTables(lake.settings())
        journal = tables.journal("p")
        won = 0
        while (last := journal.last()).sequence < 20:
            won += journal.add(entry(last.sequence + 1, fence))
        tables.close()
        return won

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(race, "abcd")) == 19


def test_a_table_that_is_noted_in_between_does_not_refuse_an_entry(lake):
    writing, noting = (IcebergTables(lake.settings()).journal("p") for _ in range(2))
    writing.add(entry(1))
    noting.note(THINGS)
    noting.note(TableName("others", "else"))
    assert writing.add(entry(2))
    assert set(noting.tables()) == {THINGS, TableName("others", "else")}


def test_a_journal_keeps_the_last_entry_alone_however_many_there_were(lake):
    journal = IcebergTables(lake.settings()).journal("p")
    for sequence in range(1, 13):
        assert journal.add(entry(sequence))
    name = journal.identifier[-1]
    assert [row["sequence"] for row in lake.table(name).scan().to_arrow().to_pylist()] == [12]
    assert len(lake.table(name).snapshots()) == 2
    assert len(lake.files(f"{name}/data/*")) == 2
    assert len(lake.files(f"{name}/metadata/*")) == 8  # of each of two snapshots two files, and four descriptions
    journal.forget()
    assert journal.last() is None
    assert not lake.folder.joinpath("lake", "main", name).exists()


def test_a_journal_with_the_entries_of_another_pipeline_is_refused(lake, monkeypatch):
    monkeypatch.setattr("tailrace.destinations.iceberg.journal.digest", lambda _: "same")
    tables = IcebergTables(lake.settings())
    tables.journal("p").add(entry(1))
    with pytest.raises(DestinationError, match=r"is that of the pipeline 'p'; give 'q' another name"):
        tables.journal("q").last()


def test_the_second_of_two_commits_to_one_state_of_a_table_is_refused(lake):
    lake.load(schema({"id": INT}), record({"id": 1}))
    tables = IcebergTables(lake.settings())
    tables.journal("p").add(entry(1))
    first, second = tables.table(THINGS), tables.table(THINGS)
    first.commit(Entry("p", 1, 1, "a"), (), first.files())
    with pytest.raises(ConflictError):
        second.commit(Entry("q", 1, 1, "a"), (), second.files())
    assert (tables.table(THINGS).applied("p"), tables.table(THINGS).applied("q")) == (1, 0)
    assert lake.rows() == []


def test_pipelines_that_merge_into_one_table_at_once_lose_nothing(lake):
    lake.load(schema({"id": INT, "name": TEXT}, ["id"]))

    def run(number):
        rows = [{"id": number * 100 + n, "name": str(number)} for n in range(5)]
        return lake.load(schema({"id": INT, "name": TEXT}, ["id"]), *records(*rows), pipeline=f"p{number}")

    with ThreadPoolExecutor(4) as threads:
        assert sum(report.total.loaded for report in threads.map(run, range(4))) == 20
    assert len(lake.rows()) == len({row["id"] for row in lake.rows()}) == 20


def test_a_snapshot_says_which_checkpoint_it_is_of(lake):
    with closing(lake.open()) as destination:
        commit_rows(destination, stream(), (1, "a"))
    summary = lake.table().current_snapshot().summary
    names = ("tailrace.pipeline", "tailrace.checkpoint", "tailrace.sequence")
    assert [summary[name] for name in names] == ["pipeline", "1", "2"]
    marks = {name: value for name, value in lake.table().properties.items() if name.startswith("tailrace.applied.")}
    assert [*marks.values()] == ["2"]


def test_runs_without_pipeline_leave_nothing_but_their_snapshots(lake):
    for number in range(2):
        lake.load(schema({"id": INT}), record({"id": number}))
    assert not [name for name in lake.table().properties if name.startswith("tailrace.applied.")]
    assert [name for _, name in lake.catalog.list_tables("main")] == ["things"]
    assert len(lake.table().snapshots()) == 2


def test_a_key_and_kinds_that_iceberg_has_not_are_found_again(lake):
    lake.load(schema({"id": INT, "u": UUID, "j": {}}, ["id"]), record({"id": 1}))
    found = IcebergTables(lake.settings()).existing(THINGS)
    assert found.key == ("id",)
    assert {column.name: column.kind for column in found.columns} == {"id": "INT", "u": "UUID", "j": "JSON"}
    assert [field.doc for field in lake.table().schema().fields] == [None, "UUID", "JSON"]


def test_columns_keep_their_ids_through_every_change(lake):
    lake.load(schema({"id": INT, "name": TEXT}, ["id"]), *records({"id": 1, "name": "a"}, {"id": 2, "name": "b"}))
    with lake.table().update_schema() as update:
        update.rename_column("name", "title")
    lake.load(schema({"id": INT, "title": TEXT, "size": INT}, ["id"]), record({"id": 2, "title": "c", "size": 5}))
    assert [(f.field_id, f.name) for f in lake.table().schema().fields] == [(1, "id"), (2, "title"), (3, "size")]
    assert [(row["title"], row["size"]) for row in lake.rows()] == [("a", None), ("c", 5)]


def test_structs_and_lists_gain_fields_and_keep_ids(lake):
    def objects(**fields):
        return schema({"id": INT, "at": {"type": "array", "items": {"type": "object", "properties": fields}}}, ["id"])

    lake.load(objects(a=INT), *records({"id": 1, "at": [{"a": 1}, None]}, {"id": 2}), nested="native")
    lake.load(objects(a=INT, b=TEXT), record({"id": 2, "at": [{"a": 2, "b": "x"}]}), nested="native")
    assert [row["at"] for row in lake.rows()] == [[{"a": 1, "b": None}, None], [{"a": 2, "b": "x"}]]
    assert str(lake.table().schema().find_type("at")) == "list<struct<4: a: optional long, 5: b: optional string>>"


def test_files_have_the_ids_of_columns_and_statistics(lake):
    lake.load(schema({"id": INT, "name": TEXT}), *records({"id": 7, "name": "a"}, {"id": 9, "name": None}))
    [file] = [task.file for task in lake.table().scan().plan_files()]
    path = file.file_path.removeprefix("file://")
    ids = duckdb.sql(f"SELECT name, field_id FROM parquet_schema('{path}') WHERE field_id IS NOT NULL").fetchall()
    assert ids == [("id", 1), ("name", 2)]
    assert (file.record_count, file.file_size_in_bytes) == (2, Path(path).stat().st_size)
    assert (file.value_counts, file.null_value_counts) == ({1: 2, 2: 2}, {1: 0, 2: 1})
    assert (int.from_bytes(file.lower_bounds[1], "little"), file.upper_bounds[2]) == (7, b"a")


def test_the_files_of_a_table_are_read_by_duckdb(lake):
    lake.load(schema({"id": INT, "at": TIMESTAMPTZ}), record({"id": 1, "at": "2024-01-31T12:00:00.000001+01:00"}))
    with closing(lake.open()) as destination:
        [address] = destination.files(THINGS)
    with duckdb.connect() as memory:
        memory.execute("SET TimeZone = 'UTC'")
        assert memory.execute("SELECT * FROM read_parquet(?)", [address]).fetchall() == [
            (1, datetime(2024, 1, 31, 11, 0, 0, 1, UTC))
        ]


def test_a_replaced_table_is_one_snapshot_with_new_columns_of_new_ids(lake):
    lake.load(schema({"id": INT, "n": INT, "gone": TEXT}), record({"id": 1, "n": 7, "gone": "x"}))
    lake.load(schema({"id": INT, "n": TEXT, "new": INT}), record({"id": 2, "n": "b", "new": 5}), method="replace")
    assert lake.rows() == [{"id": 2, "n": "b", "new": 5}]
    assert [(f.field_id, f.name) for f in lake.table().schema().fields] == [(1, "id"), (4, "n"), (5, "new")]
    before, after = lake.table().snapshots()
    assert (after.parent_snapshot_id, after.summary.operation.value) == (before.snapshot_id, "overwrite")
    assert after.summary["deleted-records"] == after.summary["added-records"] == "1"
    old = lake.table().scan(snapshot_id=before.snapshot_id).to_arrow().to_pylist()
    assert old == [{"id": 1, "n": 7, "gone": "x"}]


PARTITIONED = {
    "day": (DATE, ["2024-01-31", None], [(date(2024, 1, 31) - date(1970, 1, 1)).days, None]),
    "at": (TIMESTAMPTZ, ["2024-01-31T12:00:00.000001+01:00"], [1706698800000001]),
    "text": (TEXT, ["a/b ü", "", "null"], ["a/b ü", "", "null"]),
    "amount": (DECIMAL, [1.5], [Decimal("1.500000000")]),
    "flag": ({"type": ["null", "boolean"]}, [True, False], [True, False]),
    "number": (INT, [-(2**63)], [-(2**63)]),
    "time": ({"type": ["null", "string"], "format": "time"}, ["12:00:00.000001"], [43200000001]),
}


@pytest.mark.parametrize("name", PARTITIONED)
def test_a_partitioned_tables_files_have_the_values_of_their_rows(lake, name):
    kind, sent, expected = PARTITIONED[name]
    rows = [{"id": n, name: value} for n, value in enumerate(sent)]
    properties = schema({"id": INT, name: kind}, ["id"])
    for _ in range(2):  # the second time the files are written anew
        lake.load(properties, *records(*rows), to=lake.open(partition_keys={"thi*": (name, "no_such_column")}))
    [field] = lake.table().spec().fields
    assert (field.name, str(field.transform)) == (name, "identity")
    files = [task.file for task in lake.table().scan().plan_files()]
    assert {file.partition[0] for file in files} == {*expected}
    assert len(files) == len(expected)
    assert [row["id"] for row in lake.rows()] == [*range(len(sent))]
    one = lake.table().scan(row_filter=f"id = {len(sent) - 1}").to_arrow()
    assert one.num_rows == 1


def test_a_column_that_a_replaced_table_is_partitioned_by_stays(lake):
    lake.load(schema({"id": INT, "day": TEXT}), record({"id": 1, "day": "x"}), to=lake.open(partition_keys=("day",)))
    lake.load(schema({"id": INT}), record({"id": 2}), method="replace")
    assert lake.rows() == [{"id": 2, "day": None}]
    with pytest.raises(SchemaError, match=r"'day' as string, by which .* become long; drop the"):
        lake.load(schema({"id": INT, "day": INT}), record({"id": 3, "day": 5}), method="replace", pipeline="p")
    lake.catalog.drop_table(("main", "things"))
    columns, keys = {"id": INT, "day": INT, "rate": {"type": "number"}}, ("day", "rate")
    row = {"id": 4, "day": 6, "rate": 0.5}
    lake.load(schema(columns), record(row), to=lake.open(partition_keys=keys), method="replace", pipeline="p")
    assert lake.rows() == [row]
    assert [field.name for field in lake.table().spec().fields] == ["day"]


def test_floats_do_not_partition_a_table(lake):
    with pytest.raises(ConfigError, match="'rate'"):
        lake.load(schema({"rate": {"type": "number"}}), to=lake.open(partition_keys=("rate",)))


def test_a_table_partitioned_by_days_is_refused_before_anything_is_loaded(lake):
    lake.catalog.create_namespace("main")
    columns = Schema(NestedField(1, "at", TimestamptzType(), required=False))
    lake.catalog.create_table(
        ("main", "things"), columns, partition_spec=PartitionSpec(PartitionField(1, 1000, DayTransform(), "day"))
    )
    with pytest.raises(SchemaError, match=r"partitions by day of 'at', a timestamptz, .* DROP PARTITION FIELD day"):
        lake.load(schema({"at": TIMESTAMPTZ}), record({"at": "2024-01-31T12:00:00Z"}))


@pytest.mark.parametrize(("kind", "sent"), [(UUIDType(), UUID), (FixedType(16), BINARY)])
def test_a_column_that_is_not_written_is_refused_and_otherwise_left_alone(lake, kind, sent):
    lake.catalog.create_namespace("main")
    columns = [NestedField(1, "id", LongType(), required=False), NestedField(2, "x", kind, required=False)]
    lake.catalog.create_table(("main", "things"), Schema(*columns))
    for properties, key in (({"id": INT, "x": sent}, ()), ({"id": INT}, ["id"])):
        with pytest.raises(SchemaError, match=rf"has 'x' as {re.escape(str(kind))}, (which|and) tailrace"):
            lake.load(schema(properties, key), record({"id": 1}))
    lake.load(schema({"id": INT}), record({"id": 1}))
    assert lake.rows() == [{"id": 1, "x": None}]


def test_columns_that_must_not_be_null_are_let_be_null(lake):
    lake.catalog.create_namespace("main")
    columns = Schema(
        NestedField(1, "id", StringType(), required=True), NestedField(2, "day", DateType(), required=True)
    )
    lake.catalog.create_table(("main", "things"), columns)
    lake.load(schema({"id": TEXT}, ["id"]), record({"id": "a"}))
    lake.load(schema({"id": TEXT}, ["id"]), *records({"id": "a"}, {"id": "b"}))
    assert lake.rows() == [{"id": "a", "day": None}, {"id": "b", "day": None}]
    assert [field.required for field in lake.table().schema().fields] == [True, False]


def test_a_crash_between_the_tables_of_a_checkpoint_loses_nothing(lake):
    appended, merged = stream(key=(), name="appended"), stream(name="merged")
    destination = lake.open()
    destination.recover("p")
    receipts = []
    for one in (appended, merged):
        destination.prepare(one)
        receipts.append(destination.stage(batch(one, (1, "a"))))
    when_applied(destination, stop)
    with pytest.raises(StoppedError):
        destination.commit(checkpoint(*receipts, pipeline="p"))
    assert lake.rows("merged") == []
    with closing(lake.open()) as other:
        assert other.recover("p").number == 1
    assert lake.rows("appended") == lake.rows("merged") == [{"id": 1, "name": "a"}]


BEFORE_THE_ENTRY = partial(when_entered, before=True)


@pytest.mark.parametrize("when", [BEFORE_THE_ENTRY, when_entered, when_applied], ids=["before", "entered", "applied"])
def test_what_a_crash_has_left_is_removed_by_the_next_run_and_nothing_else(lake, when):
    with closing(lake.open()) as destination:
        commit_rows(destination, stream(key=(), name="things"), (1, "a"), pipeline="p")
    destination = lake.open()
    last = destination.recover("p")
    one = stream(key=(), name="things")
    destination.prepare(one)
    receipt = destination.stage(batch(one, (2, "b"), checkpoint=2))
    when(destination, stop)
    with pytest.raises(StoppedError):
        destination.commit(checkpoint(receipt, number=last.number + 1, pipeline="p"))
    with closing(lake.open()) as other:
        other.recover("p")
    assert [row["id"] for row in lake.rows()] == ([1] if when is BEFORE_THE_ENTRY else [1, 2])
    assert len(lake.files("things/data/**/*")) == len(lake.rows())
    assert lake.files("_tailrace_journal_*/staging/*") == []


def test_an_older_run_cannot_bring_a_table_back(lake):
    with closing(lake.open()) as older, closing(lake.open()) as newer:
        commit_rows(older, stream(), (1, "a"), pipeline="p")
        commit_rows(newer, stream(), (2, "b"), pipeline="p")
        with pytest.raises(FencedError):
            older.commit(checkpoint(number=2, pipeline="p"))
    assert [row["id"] for row in lake.rows()] == [1, 2]


def test_secrets_are_in_no_text(lake):
    settings = lake.settings(properties={"token": "hush"}, secret_access_key="hush", uri="postgresql://u:hush@h/d")
    assert "hush" not in repr(settings) + str(settings) + repr(vars(IcebergTables(settings)))
    for uri in ("no-such://u:hush@h/d", "u:hush@h/d"):
        with pytest.raises((DestinationError, ConfigError)) as caught:
            lake.open(uri=uri, catalog="sql").recover("p")
        assert "hush" not in str(caught.value)


def test_a_connection_is_tried_out_and_nothing_is_left(lake):
    with closing(lake.open()) as destination:
        [told] = destination.check()
    assert told.endswith("/lake/main: tables may be created and written there, in main.")
    assert lake.catalog.list_tables("main") == []
    assert lake.files("**/*") == []
