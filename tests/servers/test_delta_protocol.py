"""What a Delta table of others asks that tailrace doesn't do is refused before anything is decided."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from services.processes import wait_until

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.errors import SchemaError
from tailrace.testing.messages import INT, TEXT, record, records, schema, state

TAILRACE = str(Path(sys.executable).with_name("tailrace"))
ROW = {"id": INT, "name": TEXT}
MESSAGES = [schema(ROW, ["id"]), *records({"id": 1, "name": "b"}, {"id": 2, "name": "c"}), state(1)]
LEGACY = {"minReaderVersion": 1, "minWriterVersion": 2}
REMOVING = ["upsert", "replace"]


def table_of(path, protocol, *, properties=None, metadata=None, name_type="string"):
    """A table with one row, of that protocol, whose column `name` has that metadata."""
    (path / "_delta_log").mkdir(parents=True)
    pq.write_table(pa.table({"id": pa.array([1], pa.int64()), "name": ["a"]}), path / "a.parquet")
    fields = [
        {"name": "id", "type": "long", "nullable": True, "metadata": {}},
        {"name": "name", "type": name_type, "nullable": True, "metadata": metadata or {}},
    ]
    described = {
        "id": "x",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": properties or {},
        "createdTime": 1,
    }
    size = (path / "a.parquet").stat().st_size
    add = {"path": "a.parquet", "partitionValues": {}, "size": size, "modificationTime": 1, "dataChange": True}
    lines = [{"protocol": protocol}, {"metaData": described}, {"add": add}]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (path / "_delta_log" / f"{0:020}.json").write_text(text)


def features(*names, reads=()):
    """A protocol of table features."""
    writes = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [*names, *reads]}
    return writes | ({"minReaderVersion": 3, "readerFeatures": [*reads]} if reads else {})


@pytest.fixture
def root(tmp_path):
    return tmp_path / "lake"


def refused(root, says, messages=MESSAGES, **settings):
    """Load, which is refused with nothing of the table changed, while another stream of the pipeline goes on."""
    log = {path.name for path in (root / "things/_delta_log").iterdir()}
    for again in range(2):
        with pytest.raises(SchemaError, match=says) as error:
            load(messages, to=f"delta://{root}", pipeline="p", **settings)
        assert "`select: false`" in str(error.value)
        assert {path.name for path in (root / "things/_delta_log").iterdir()} == log
        others = [schema(ROW, stream="others"), record({"id": again}, stream="others"), state(2)]
        load(others, to=f"delta://{root}", pipeline="p")
    found = DeltaTable(str(root / "others")).to_pyarrow_table()
    assert {*found["id"].to_pylist()} == {0, 1}
    return error.value


@pytest.mark.parametrize("method", ["append", "upsert", "insert_ignore", "replace"])
@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        (features("identityColumns"), "identityColumns"),
        (features("rowTracking", "domainMetadata"), "domainMetadata, rowTracking"),
        (features("clustering", "domainMetadata"), "clustering"),
        (features("icebergCompatV2"), "icebergCompatV2"),
        (features("inCommitTimestamp"), "inCommitTimestamp"),
        (features("allowColumnDefaults"), "allowColumnDefaults"),
        (features("appendOnly", "somethingNew"), "somethingNew"),
        (features(reads=["typeWidening"]), "typeWidening"),
        (features(reads=["vacuumProtocolCheck"]), "vacuumProtocolCheck"),
        (features(reads=["deletionVectors"]), "deletionVectors"),
        (features(reads=["columnMapping"]), "columnMapping"),
        (features(reads=["v2Checkpoint"]), "v2Checkpoint"),
        (features(reads=["variantType"]), "variantType"),
        (features(reads=["somethingNew"]), "somethingNew"),
        ({"minReaderVersion": 1, "minWriterVersion": 6}, "minWriterVersion 6"),
        ({"minReaderVersion": 1, "minWriterVersion": 9}, "minWriterVersion 9"),
    ],
    ids=str,
)
def test_a_table_with_a_feature_that_tailrace_does_not_write_is_refused(root, protocol, says, method):
    table_of(root / "things", protocol)
    refused(root, says, method=method)


@pytest.mark.parametrize("method", ["append", "upsert", "insert_ignore", "replace"])
@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"delta.invariants": json.dumps({"expression": {"expression": "length(name) < 2"}})}, "invariant.*length"),
        ({"delta.generationExpression": "upper('a')"}, "generated.*upper"),
        ({"delta.identity.start": 1, "delta.identity.step": 1}, "identity"),
    ],
    ids=["invariant", "generated", "identity"],
)
def test_a_table_whose_column_is_held_to_something_is_refused_by_its_name(root, metadata, says, method):
    table_of(root / "things", {"minReaderVersion": 1, "minWriterVersion": 4}, metadata=metadata)
    assert refused(root, says, method=method).column == "name"


def test_what_a_field_within_a_struct_is_held_to_is_found(root):
    inner = {"name": "a", "type": "long", "nullable": True, "metadata": {"delta.invariants": "{}"}}
    items = {"type": "array", "elementType": {"type": "struct", "fields": [inner]}, "containsNull": True}
    table_of(root / "things", LEGACY, name_type=items)
    assert refused(root, "invariant", [schema({"id": INT}), record({"id": 2})]).column == "name.a"


@pytest.mark.parametrize("method", ["append", "upsert", "insert_ignore", "replace"])
def test_a_check_constraint_is_not_passed_over(root, method):
    write_deltalake(root / "things", pa.table({"id": pa.array([1], pa.int64()), "name": ["a"]}))
    DeltaTable(root / "things").alter.add_constraint({"positive": "id > 0"})
    refused(root, r"'positive' \(id > 0\).*drop_constraint\('positive'\)", method=method)


@pytest.mark.parametrize("says", ["delta.appendOnly", "delta.enableChangeDataFeed"])
def test_a_table_whose_rows_stay_is_appended_to_and_not_rewritten(root, says):
    rows = pa.table({"id": pa.array([1], pa.int64()), "name": ["a"]})
    write_deltalake(root / "things", rows, configuration={says: "true"})
    for method in REMOVING:
        refused(root, f"{says} = true.*method: append.*TBLPROPERTIES", method=method)
    for method in ("append", "insert_ignore"):
        load(MESSAGES, to=f"delta://{root}", pipeline="p", method=method)
    table = DeltaTable(root / "things")
    found = sorted((row["id"], row["name"]) for row in table.to_pyarrow_table().to_pylist())
    assert found == [(1, "a"), (1, "b"), (2, "c")]
    if says == "delta.enableChangeDataFeed":
        changes = pa.table(table.load_cdf(starting_version=0).read_all())
        assert sorted(zip(changes["id"].to_pylist(), changes["_change_type"].to_pylist(), strict=True)) == [
            (1, "insert"),
            (1, "insert"),
            (2, "insert"),
        ]


def test_versions_that_may_be_activated_are_not_appended_where_rows_stay(root):
    rows = pa.table({"id": pa.array([1], pa.int64())})
    write_deltalake(root / "things", rows, configuration={"delta.appendOnly": "true"})
    messages = [schema({"id": INT}), record({"id": 2}, version=1), state(1)]
    refused(root, "delta.appendOnly", messages, method="append", metadata="singer")


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("method", ["append", "upsert", "replace"])
def test_an_old_protocol_stands_for_nothing_that_a_table_does_not_use(root, version, method):
    table_of(root / "things", {"minReaderVersion": 1, "minWriterVersion": version}, properties={"delta.appendOnly": ""})
    load(MESSAGES, to=f"delta://{root}", method=method)
    found = sorted((row["id"], row["name"]) for row in DeltaTable(root / "things").to_pyarrow_table().to_pylist())
    assert found == ([(1, "a")] if method == "append" else []) + [(1, "b"), (2, "c")]


def test_features_that_a_table_does_not_use_keep_no_row_out(root):
    named = ("appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns")
    table_of(root / "things", features(*named, reads=["timestampNtz"]))
    load(MESSAGES, to=f"delta://{root}")
    found = sorted((row["id"], row["name"]) for row in DeltaTable(root / "things").to_pyarrow_table().to_pylist())
    assert found == [(1, "b"), (2, "c")]


def test_a_table_that_comes_to_be_so_while_a_run_goes_on_is_refused_before_the_next_checkpoint(root):
    def names():
        return DeltaTable(root / "things").to_pyarrow_table()["name"].to_pylist()

    def messages():
        yield schema(ROW, ["id"])
        yield record({"id": 1, "name": "a"})
        yield state(1)
        yield record({"id": 1, "name": "b"})
        wait_until(lambda: "a" in names(), lambda: f"the first checkpoint isn't in the table, which has {names()}")
        DeltaTable(root / "things").alter.set_table_properties({"delta.appendOnly": "true"})
        yield state(2)

    write_deltalake(root / "things", pa.table({"id": pa.array([1], pa.int64()), "name": ["z"]}))
    with pytest.raises(SchemaError, match="appendOnly"):
        load(messages(), to=f"delta://{root}", pipeline="p", checkpoint_rows=1)
    others = [schema(ROW, stream="others"), record({"id": 1}, stream="others"), state(2)]
    load(others, to=f"delta://{root}", pipeline="p")


@pytest.mark.parametrize("spoilt", ["delta.appendOnly", "delta.constraints.positive", "delta.enableChangeDataFeed"])
def test_a_refused_stream_is_left_out_by_a_setting_and_the_one_beside_it_is_loaded(root, spoilt):
    value = "id > 0" if "constraints" in spoilt else "true"
    table_of(root / "things", {"minReaderVersion": 1, "minWriterVersion": 4}, properties={spoilt: value})
    others = [schema(ROW, ["id"], stream="others"), record({"id": 1, "name": "x"}, stream="others")]
    both = [*others, *MESSAGES]
    for _ in range(2):
        with pytest.raises(SchemaError, match=spoilt.removeprefix("delta.constraints.")):
            load(both, to=f"delta://{root}", pipeline="p")
    report = load(both, to=f"delta://{root}", pipeline="p", streams={"things": {"select": False}})
    assert report.total.loaded == 1
    assert DeltaTable(root / "others").to_pyarrow_table().to_pylist() == [{"id": 1, "name": "x"}]
    assert DeltaTable(root / "things").version() == 0


def test_a_table_that_can_not_be_opened_any_more_does_not_keep_the_pipeline_from_going_on(root):
    load(MESSAGES, to=f"delta://{root}", pipeline="p", method="append")
    open_destination(f"delta://{root}", {}).recover("p")  # a run that was killed at once
    log = root / "things/_delta_log"
    protocol = {"protocol": features(reads=["somethingNew"])}
    (log / f"{len([*log.glob('*.json')]):020}.json").write_text(json.dumps(protocol))
    refused(root, "somethingNew")


def test_plan_refuses_the_table_as_a_run_does(root):
    table_of(root / "things", features(reads=["deletionVectors"]))
    lines = "".join(f"{json.dumps(message)}\n" for message in MESSAGES)
    for command in ("plan", "load"):
        words = [TAILRACE, command, "--to", f"delta://{root}", "--pipeline", "p"]
        done = subprocess.run(words, input=lines, capture_output=True, text=True, check=False)
        assert done.returncode == 5, done.stderr
        assert "deletionVectors" in done.stderr
    words = [TAILRACE, "load", "--to", f"delta://{root}", "--pipeline", "p", "--set", "streams.things.select=false"]
    done = subprocess.run(words, input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_who_appends_already_is_not_told_to_append(root):
    rows = pa.table({"id": pa.array([1], pa.int64()), "name": ["a"]})
    write_deltalake(root / "things", rows, configuration={"delta.appendOnly": "true"})
    versioned = [*MESSAGES, {"type": "ACTIVATE_VERSION", "stream": "things", "version": 2}]
    with pytest.raises(SchemaError) as told:
        load(versioned, to=f"delta://{root}", pipeline="p", method="append")
    assert "turn it off" in str(told.value)
    assert "method: append" not in str(told.value)


def test_a_not_null_column_is_refused_with_what_lets_it_be_null(root):
    fields = pa.schema([pa.field("id", pa.int64()), pa.field("name", pa.string(), nullable=False)])
    write_deltalake(root / "things", pa.table({"id": [1], "name": ["a"]}, schema=fields))
    refused(root, r"ALTER COLUMN name DROP NOT NULL.*select: false")
