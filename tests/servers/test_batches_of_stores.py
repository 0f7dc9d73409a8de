"""BATCH files of an object store: loaded below a root of it, and refused elsewhere."""

import gzip
import io
import json

import boto3
import pyarrow as pa
import pytest
from pyarrow import parquet

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.errors import MessageError

SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "schema": {"properties": {"id": {"type": "integer"}, "n": {"type": ["null", "string"]}}},
    "key_properties": ["id"],
}


@pytest.fixture
def store(s3_server):
    """A bucket with files of records, and how it is reached."""
    keys = {"region_name": s3_server.region, "aws_access_key_id": s3_server.key}
    client = boto3.client("s3", endpoint_url=s3_server.endpoint, aws_secret_access_key=s3_server.secret, **keys)
    bucket = s3_server.bucket()
    columns = io.BytesIO()
    parquet.write_table(pa.table({"id": range(10, 200_000), "n": ["é"] * 199_990}), columns)
    wanted = {"run/a=1/a.jsonl.gz": gzip.compress(b'{"id": 1, "n": "a"}\n'), "run/b.parquet": columns.getvalue()}
    for key, content in (wanted | {"secret.jsonl": b'{"id": 2}\n', "run2/c.jsonl": b'{"id": 3}\n'}).items():
        client.put_object(Bucket=bucket, Key=key, Body=content)
    names = {"access_key_id": s3_server.key, "secret_access_key": s3_server.secret}
    return f"s3://{bucket}", {"endpoint": s3_server.endpoint, "region": s3_server.region, **names}


def batch(form, *addresses):
    encoding = {"format": form, "compression": "none"}
    return {"type": "BATCH", "stream": "s", "encoding": encoding, "manifest": [*addresses]}


def test_files_below_a_root_of_a_store_are_loaded(store, tmp_path):
    bucket, reached = store
    told = []
    messages = [
        SCHEMA,
        batch("jsonl", f"{bucket}/run/a=1/a.jsonl.gz"),
        batch("parquet", f"{bucket}/run/b.parquet"),
        {"type": "STATE", "value": 1},
    ]
    to = f"files:///{tmp_path}/lake"
    report = load(messages, to, batch_roots=[f"{bucket}/run/"], input_store=reached, tell=told.append)
    assert (report.total.read, report.total.loaded) == (199_991, 199_991)
    assert [json.loads(state) for state in told] == [1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("secret.jsonl", "isn't below any of batch_roots"),
        ("run2/c.jsonl", "isn't below any of batch_roots"),
        ("run/../secret.jsonl", "isn't the plain address of a file"),
        ("run/%2e%2e/secret.jsonl", "isn't the plain address of a file"),
        ("run/none.jsonl", "there is no file s3://"),
    ],
)
def test_other_files_of_the_store_are_refused(store, tmp_path, name, said):
    bucket, reached = store
    destination = open_destination(f"sqlite:///{tmp_path}/s.db", {})
    with pytest.raises(MessageError, match=f"line 2: .*{said}"):
        load(
            [SCHEMA, batch("jsonl", f"{bucket}/{name}")],
            destination,
            batch_roots=[f"{bucket}/run"],
            input_store=reached,
        )
