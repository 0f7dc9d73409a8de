"""A text that a partition would give back as null is refused by its line; every other one comes back as it was."""

import json

import duckdb
import pytest
from deltalake import DeltaTable

import tailrace
from tailrace.errors import RecordError

PROPERTIES = {"id": {"type": "integer"}, "c": {"type": ["null", "string"]}, "b": {"type": ["null", "string"]}}
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


def messages(values, key=(), **binary):
    properties = PROPERTIES | ({"c": PROPERTIES["c"] | binary} if binary else {})
    yield json.dumps({"type": "SCHEMA", "stream": "s", "schema": {"properties": properties}, "key_properties": key})
    for number, value in enumerate(values):
        yield json.dumps({"type": "RECORD", "stream": "s", "record": {"id": number, "c": value}})


def load(url, values, key=(), binary=None, **settings):
    sent = (message.encode() for message in messages(values, list(key), **(binary or {})))
    return tailrace.load(sent, url, **settings)


@pytest.mark.parametrize("method", ["append", "upsert", "replace"])
def test_an_empty_text_in_a_partition_of_delta_is_refused(tmp_path, method):
    key = ["id"] if method == "upsert" else []
    url = f"delta:{tmp_path}/lake"
    settings = {"method": method, "partition_keys": ["c"]}
    with pytest.raises(RecordError, match=r"line 4.*column 'c': '' would be read from its partition as null"):
        load(url, ["x", None, ""], key, **settings)
    aside = str(tmp_path / "aside.jsonl")
    report = load(url, ["x", None, "", NULL_FOLDER], key, **settings, on_invalid="quarantine", quarantine=aside)
    assert (report.total.loaded, report.total.quarantined) == (3, 1)
    found = DeltaTable(tmp_path / "lake" / "s").to_pyarrow_table().to_pylist()
    assert {(row["id"], row["c"]) for row in found} == {(0, "x"), (1, None), (3, NULL_FOLDER)}


def test_no_bytes_in_a_partition_of_delta_are_refused_too(tmp_path):
    with pytest.raises(RecordError, match="column 'c'"):
        load(f"delta:{tmp_path}/lake", ["AA==", ""], binary={"contentEncoding": "base64"}, partition_keys=["c"])


def test_a_table_that_is_partitioned_already_is_known_to_be(tmp_path):
    load(f"delta:{tmp_path}/lake", ["x"], partition_keys=["c"])
    with pytest.raises(RecordError, match="column 'c'"):
        load(f"delta:{tmp_path}/lake", [""])


def test_the_name_of_the_null_folder_is_refused_where_folders_tell_values(tmp_path):
    url = f"file://{tmp_path}/lake"
    with pytest.raises(RecordError, match=f"column 'c': '{NULL_FOLDER}'"):
        load(url, ["x", NULL_FOLDER], partition_keys=["c"])
    load(url, ["x", "", None], partition_keys=["c"])
    query = f"SELECT id, c FROM read_parquet('{tmp_path}/lake/s/**/*.parquet', hive_partitioning = true) ORDER BY id"
    assert duckdb.sql(query).fetchall() == [(0, "x"), (1, ""), (2, None)]
