"""Two streams are never one table, whichever of them names the schema that the other leaves out."""

import json
from urllib.parse import urlsplit

import pytest

import tailrace
from tailrace.errors import SchemaError
from tailrace.testing.messages import INT, record, schema

SERVERS = ("postgres", "mariadb", "mysql", "redshift")


@pytest.fixture(params=["duckdb", "iceberg", *SERVERS])
def place(request, tmp_path):
    """The address of a new, empty place, and its default schema."""
    if request.param == "duckdb":
        return f"duckdb:///{tmp_path}/things.duckdb", "main"
    if request.param == "iceberg":
        return f"iceberg+sqlite:///{tmp_path}/catalog.db?warehouse={tmp_path}/lake&namespace=here", "here"
    url = request.getfixturevalue(f"{request.param}_url")
    is_mysql = request.param in {"mariadb", "mysql"}
    return url, urlsplit(url).path[1:] if is_mysql else "public"


@pytest.mark.parametrize("first", ["named", "left out"])
def test_two_streams_of_one_table_are_refused(place, first):
    url, default = place
    streams = {"ours": {"table": "things"}, "theirs": {"table": "things", "schema": default}}
    names = ["theirs", "ours"] if first == "named" else ["ours", "theirs"]
    sent = [message for name in names for message in (schema({"id": INT}, ["id"], name), record({"id": 1}, name))]
    with pytest.raises(SchemaError, match=f"the stream '{names[0]}' would both be the table {default}.things"):
        tailrace.load((json.dumps(message).encode() for message in sent), url, streams=streams)


def test_a_stream_of_another_schema_has_a_table_of_its_own(place):
    url, _ = place
    if url.startswith(("mysql", "redshift")):
        pytest.skip("a schema that it makes would outlive the test")
    streams = {"ours": {"table": "things"}, "theirs": {"table": "things", "schema": "elsewhere"}}
    sent = [message for name in streams for message in (schema({"id": INT}, ["id"], name), record({"id": 1}, name))]
    report = tailrace.load((json.dumps(message).encode() for message in sent), url, streams=streams)
    assert {name: found.loaded for name, found in report.streams.items()} == {"ours": 1, "theirs": 1}
