"""Rows of Iceberg files that are only copied into other files: nothing in them changes, whoever has written them."""

import json
import math
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
)

import tailrace
from tailrace.destinations.iceberg import IcebergTables, Settings, build, from_url
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, record, records, schema

THINGS = TableName("things", "main")


class Lake:
    """A catalog in a file whose tables another program makes."""

    def __init__(self, folder):
        self.folder = folder
        self.catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/lake")
        self.catalog.create_namespace_if_not_exists("main")
        url = f"iceberg+sqlite:///{folder}/c.db?warehouse={folder}/lake&namespace=main"
        self.settings = Settings.model_validate(from_url(url))

    def load(self, *messages, **settings):
        return tailrace.load((json.dumps(m).encode() for m in messages), build(self.settings), **settings)

    def table(self):
        return self.catalog.load_table("main.things")

    def make(self, *fields, **more):
        return self.catalog.create_table("main.things", Schema(*fields), **more)

    def stored(self):
        """All rows as files have them."""
        rows = [row for task in self.table().scan().plan_files() for row in read(task).to_pylist()]
        return {row["id"]: row for row in rows}

    def rows(self):
        with closing(IcebergTables(self.settings)) as tables:
            view = tables.table(THINGS)
            batches = [batch for file in view.files() for batch in view.read(file)]
            return sorted(pa.Table.from_batches(batches).to_pylist(), key=lambda row: row["id"])


def read(task):
    """A file's rows, read by nothing but Parquet."""
    return pa.parquet.ParquetFile(task.file.file_path.removeprefix("file://")).read()


@pytest.fixture
def lake(tmp_path):
    with closing(Lake(tmp_path).catalog):
        yield Lake(tmp_path)


def decimal(number):
    """The number's billionth, of whatever digits."""
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -9))


INSTANTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
LEAVES = {
    BooleanType(): st.booleans(),
    IntegerType(): st.integers(-(2**31), 2**31 - 1),
    LongType(): st.integers(-(2**63), 2**63 - 1),
    FloatType(): st.floats(width=32),
    DoubleType(): st.floats() | st.just(-0.0),
    DecimalType(9, 2): st.decimals("-9999999.99", "9999999.99", places=2),
    DecimalType(38, 9): st.integers(-(10**38) + 1, 10**38 - 1).map(decimal),
    DateType(): st.dates(),
    TimeType(): st.times(),
    TimestampType(): INSTANTS,
    TimestamptzType(): INSTANTS.map(lambda at: at.replace(tzinfo=UTC)),
    StringType(): st.text() | st.just("") | st.text("ü漢\0 ", min_size=60, max_size=90),
    BinaryType(): st.binary(),
}


def types(depth):
    """A type, counted anew by whoever makes a table of it, and its values."""
    leaves = st.sampled_from([*LEAVES])
    if not depth:
        return leaves
    inner = types(depth - 1)
    lists = inner.map(lambda kind: ListType(0, kind, element_required=False))
    structs = st.lists(inner, min_size=1, max_size=3).map(
        lambda kinds: StructType(*(NestedField(0, f"f{n}", kind, required=False) for n, kind in enumerate(kinds)))
    )
    return leaves | lists | structs


def values(kind):
    if isinstance(kind, ListType):
        made = st.lists(values(kind.element_type), max_size=3)
    elif isinstance(kind, StructType):
        made = st.fixed_dictionaries({field.name: values(field.field_type) for field in kind.fields})
    else:
        made = LEAVES[kind]
    return st.none() | made


@st.composite
def tables(draw):
    kinds = draw(st.lists(types(2), min_size=1, max_size=3))
    row = st.fixed_dictionaries({f"c{n}": values(kind) for n, kind in enumerate(kinds)})
    return kinds, draw(st.lists(row, min_size=2, max_size=6)), draw(st.lists(row, min_size=2, max_size=6))


@settings(max_examples=12, deadline=None, suppress_health_check=[*HealthCheck])
@given(tables())
def test_an_upsert_of_one_row_of_each_file_leaves_all_others_as_they_were(tmp_path_factory, drawn):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    kinds, *files = drawn
    fields = [NestedField(0, f"c{n}", kind, required=False) for n, kind in enumerate(kinds)]
    with closing(lake.catalog):
        table = lake.make(NestedField(0, "id", LongType(), required=False), *fields)
        arrow = schema_to_pyarrow(table.schema())
        for number, rows in enumerate(files):
            numbered = [{"id": number * 100 + n, **row} for n, row in enumerate(rows)]
            # pyiceberg's own writer makes empty lists of null ones.
            add(table, pa.Table.from_pylist(numbered, arrow), lake.folder / f"{number}.parquet")
        before = lake.stored()
        lake.load(schema({"id": INT, "mark": TEXT}, ["id"]), *records(*({"id": n, "mark": "x"} for n in (0, 100))))
        after = lake.stored()
    changed = {0, 100}
    marks = {number: row.pop("mark") for number, row in after.items()}
    assert marks == {number: "x" if number in changed else None for number in before}
    assert after.keys() == before.keys()
    # repr tells -0.0 from 0.0, and NaN is NaN there.
    assert {n: repr(after[n]) for n in after.keys() - changed} == {n: repr(before[n]) for n in before.keys() - changed}


def struct(first, **kinds):
    return StructType(*(NestedField(first + n, name, kinds[name], required=False) for n, name in enumerate(kinds)))


def add(table, rows, path, partition=(), lower=None, upper=None):
    """A file of another writer; one that knows no ids is told by the names of columns, as Spark's add_files does it."""
    is_old = not rows.schema.field(0).metadata
    pa.parquet.write_table(rows, path, use_deprecated_int96_timestamps=is_old, use_compliant_nested_type=not is_old)
    file = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"file://{path}",
        file_format=FileFormat.PARQUET,
        partition=Record(*partition),
        record_count=rows.num_rows,
        file_size_in_bytes=path.stat().st_size,
        column_sizes={},
        value_counts={},
        null_value_counts={},
        nan_value_counts={},
        lower_bounds=lower or {},
        upper_bounds=upper or {},
        split_offsets=[],
    )
    with table.transaction() as transaction:
        if is_old:
            names = table.schema().name_mapping.model_dump_json()
            transaction.set_properties(**{"schema.name-mapping.default": names})
        with transaction.update_snapshot().fast_append() as append:
            append.append_data_file(file)


def test_null_lists_stay_null_and_empty_ones_empty(lake):
    structs = {"type": ["null", "array"], "items": {"type": ["null", "object"], "properties": {"k": TEXT}}}
    rows = [{"id": 1, "ls": [{"k": "a"}]}, {"id": 2, "ls": None}, {"id": 3, "ls": []}, {"id": 4, "ls": [None, {}]}]
    things = schema({"id": INT, "ls": structs}, ["id"])
    lake.load(things, *records(*rows), nested="native")
    lake.load(things, record({"id": 1, "ls": [{"k": "b"}]}), nested="native")
    expected = {1: [{"k": "b"}], 2: None, 3: [], 4: [None, {"k": None}]}
    assert {number: row["ls"] for number, row in lake.stored().items()} == expected


def test_columns_are_found_by_their_ids_however_they_were_changed(lake):
    inner = struct(10, a=IntegerType(), b=StringType())
    table = lake.make(
        NestedField(1, "id", IntegerType(), required=False),
        NestedField(2, "gone", StringType(), required=False),
        NestedField(3, "renamed", FloatType(), required=False),
        NestedField(4, "amount", DecimalType(9, 2), required=False),
        NestedField(5, "within", inner, required=False),
        NestedField(
            6, "many", ListType(12, struct(13, a=IntegerType(), b=StringType()), element_required=False), required=False
        ),
    )
    one = {"a": 1, "b": "x"}
    rows = [
        {"id": 1, "gone": "x", "renamed": 0.5, "amount": Decimal("1.50"), "within": one, "many": [one, None]},
        {"id": 2, "gone": None, "renamed": None, "amount": None, "within": None, "many": None},
        {"id": 3, "gone": "", "renamed": -0.0, "amount": Decimal(0), "within": {"a": None, "b": None}, "many": []},
        {"id": 4, "gone": "", "renamed": -0.0, "amount": Decimal(0), "within": None, "many": [{"a": 2, "b": None}]},
    ]
    add(table, pa.Table.from_pylist(rows, schema_to_pyarrow(table.schema())), lake.folder / "one.parquet")
    with table.update_schema() as update:
        update.delete_column("gone").rename_column("renamed", "rate").move_first("many")
        update.update_column("renamed", DoubleType()).update_column("id", LongType())
        update.update_column("amount", DecimalType(18, 2)).update_column(("within", "a"), LongType())
        update.rename_column(("within", "b"), "c")
        update.delete_column(("many", "element", "a")).add_column(("many", "element", "d"), DoubleType())
    with table.update_schema() as update:
        update.add_column("gone", LongType()).add_column(("within", "b"), StringType())
    lake.load(schema({"id": INT}, ["id"]), record({"id": 1}))
    assert [json.loads(json.dumps(row, default=str)) for row in lake.rows()[1:]] == [
        {"many": None, "id": 2, "rate": None, "amount": None, "within": None, "gone": None},
        {"many": [], "id": 3, "rate": 0.0, "amount": "0.00", "within": {"a": None, "c": None, "b": None}, "gone": None},
        {"many": [{"b": None, "d": None}], "id": 4, "rate": 0.0, "amount": "0.00", "within": None, "gone": None},
    ]
    assert math.copysign(1, lake.rows()[2]["rate"]) == -1
    lake.load(schema({"id": INT}, ["id"]), record({"id": 2**62}), record({"id": 3}))  # bounds of 4 bytes, and of 8
    lake.load(schema({"id": INT}, ["id"]), record({"id": 2**62}), record({"id": -(2**63)}))
    assert [row["id"] for row in lake.rows()] == [-(2**63), 1, 2, 3, 4, 2**62]


def test_files_of_other_writers_without_ids_are_read_by_the_name_mapping(lake):
    fields = [
        NestedField(1, "id", LongType(), required=False),
        NestedField(2, "day", DateType(), required=False),
        NestedField(3, "at", TimestampType(), required=False),
        NestedField(4, "text", StringType(), required=False),
        NestedField(5, "many", ListType(6, struct(7, k=StringType()), element_required=False), required=False),
    ]
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "day"))
    table = lake.make(*fields, partition_spec=spec)
    at = datetime(1969, 12, 31, 23, 59, 59, 999999)
    rows = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int32()),
            "at": pa.array([at, None, datetime(2300, 1, 1)], pa.timestamp("us")),
            "text": pa.array(["a", None, "a"]).dictionary_encode(),
            "many": pa.array([[{"k": "x"}], None, []], pa.large_list(pa.struct([("k", pa.large_string())]))),
        }
    )
    add(table, rows, lake.folder / "foreign.parquet", [(date(2024, 2, 29) - date(1970, 1, 1)).days])
    lake.load(schema({"id": INT}, ["id"]), record({"id": 9}), record({"id": 1}))
    day = date(2024, 2, 29)
    assert [row for row in lake.rows() if row["id"] in (2, 3)] == [
        {"id": 2, "day": day, "at": None, "text": None, "many": None},
        {"id": 3, "day": day, "at": datetime(2300, 1, 1), "text": "a", "many": []},
    ]


def test_rows_that_another_engine_has_deleted_by_position_are_left_out(lake):
    table = lake.make(NestedField(1, "id", LongType(), required=False))
    table.append(pa.table({"id": pa.array(range(100_000), pa.int64())}))
    with closing(IcebergTables(lake.settings)) as tables:
        view = tables.table(THINGS)
        [live] = view.files()
        paths = []
        for number, gone in enumerate(([0, 65_536], [99_999])):
            path = lake.folder / f"deletes-{number}.parquet"
            of = [live.handle.file.file_path] * len(gone)
            pa.parquet.write_table(pa.table({"file_path": of, "pos": pa.array(gone, pa.int64())}), path)
            paths.append(path)
        deletes = {
            DataFile.from_args(
                content=DataFileContent.POSITION_DELETES,
                file_path=f"file://{path}",
                file_format=FileFormat.PARQUET,
                partition=Record(),
                record_count=2,
                file_size_in_bytes=path.stat().st_size,
            )
            for path in paths
        }
        task = FileScanTask(live.handle.file, delete_files=deletes)
        found = pa.Table.from_batches(view.read(type(live)(task, live.rows)))
    assert found["id"].to_pylist() == [n for n in range(100_000) if n not in {0, 65_536, 99_999}]


EXTREMES = {
    "bool": ({"type": "boolean"}, BooleanType(), [True, False]),
    "int": (INT, LongType(), [-(2**63), 2**63 - 1, 0]),
    "float": ({"type": "number"}, DoubleType(), [5e-324, -1.7976931348623157e308, 2.0**53]),
    "text": ({"type": "string"}, StringType(), ["", "ü漢" * 40 + "a", "ü漢" * 40 + "b", "\U0010ffff" * 20, " "]),
    "date": ({"type": "string", "format": "date"}, DateType(), ["0001-01-01", "9999-12-31", "1969-12-31"]),
    "at": (
        {"type": "string", "format": "date-time"},
        TimestamptzType(),
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
    ),
    "bytes": ({"type": "string", "contentEncoding": "base64"}, BinaryType(), ["", "/////w==", "AAAA"]),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_keys_at_their_extremes_come_once(lake, name):
    kind, _, sent = EXTREMES[name]
    things = schema({"k": kind, "n": INT}, ["k"])
    lake.load(things, *records(*({"k": value, "n": 1} for value in sent)))
    for value in sent[:2]:
        lake.load(things, record({"k": value, "n": 2}))
    found = lake.table().scan().to_arrow().to_pylist()
    assert len(found) == len({repr(row["k"]) for row in found}) == len(sent)
    assert sorted(row["n"] for row in found) == [1] * (len(sent) - 2) + [2, 2]


def test_dates_that_python_has_not_hide_no_row(lake):
    table = lake.make(NestedField(1, "id", DateType(), required=False), NestedField(2, "n", LongType(), required=False))
    day = date(2024, 1, 1)
    days = [(day - date(1970, 1, 1)).days, 3_000_000]
    rows = pa.table({"id": pa.array(days, pa.int32()).cast(pa.date32()), "n": pa.array([1, 1], pa.int64())})
    lower, upper = ({1: number.to_bytes(4, "little")} for number in days)
    add(table, rows, lake.folder / "foreign.parquet", lower=lower, upper=upper)
    key = {"type": "string", "format": "date"}
    lake.load(schema({"id": key, "n": INT}, ["id"]), record({"id": "2024-01-01", "n": 2}))
    found = pa.concat_tables(map(read, lake.table().scan().plan_files()))
    assert sorted(zip(found["id"].cast(pa.int32()).to_pylist(), found["n"].to_pylist(), strict=True)) == [
        (days[0], 2),
        (days[1], 1),
    ]
