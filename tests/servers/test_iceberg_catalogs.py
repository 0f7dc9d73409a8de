"""Iceberg's catalogs: their addresses, and a server of pyiceberg's own by the REST protocol, which fails on request."""

import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from pyiceberg.catalog.rest import CreateTableRequest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import CommitTableRequest
from stopping import when_entered

import tailrace
from tailrace.destinations.iceberg import Settings, build, from_url
from tailrace.destinations.iceberg.journal import journal_name
from tailrace.errors import DestinationError
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, record, records, schema, state

CODES = {
    NoSuchTableError: 404,
    NoSuchNamespaceError: 404,
    CommitFailedException: 409,
    TableAlreadyExistsError: 409,
    NamespaceAlreadyExistsError: 409,
}


class Handler(BaseHTTPRequestHandler):
    """The requests of https://iceberg.apache.org/rest-catalog-spec that tailrace makes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.faults.pop((self.command, self.path), None)
        code, answer = 200, None
        try:
            if self.headers["Authorization"] != "Bearer hush":
                code, answer = 401, {"error": {"message": "who are you?", "type": "X", "code": 401}}
            elif fault != "nothing done":
                answer = self._done(body)
        except Exception as error:  # noqa: BLE001 a client waits for an answer
            code, answer = CODES.get(type(error), 501), {"error": {"message": str(error), "type": "X", "code": 0}}
        if fault:
            self.server.lost.append(self.path)
            code, answer = 502, {"error": {"message": "lost", "type": "X", "code": 502}}
        content = b"" if answer is None or self.command == "HEAD" else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 the library's names

    def log_message(self, *_):
        """Say nothing."""

    def _done(self, body):
        catalog, answer = self.server.catalog, None
        match (self.command, *map(unquote, self.path.partition("?")[0].split("/")[2:])):
            case ("GET", "config"):
                answer = {"defaults": {}, "overrides": {}}
            case ("POST", "namespaces"):
                answer = json.loads(body)
                catalog.create_namespace(tuple(answer["namespace"]))
            case ("HEAD" | "GET", "namespaces", name):
                answer = {"namespace": [name], "properties": catalog.load_namespace_properties(name)}
            case ("POST", "namespaces", name, "tables"):
                new = CreateTableRequest.model_validate({"location": None} | json.loads(body))
                answer = told(
                    catalog.create_table(
                        (name, new.name), new.table_schema, None, new.partition_spec, properties=new.properties
                    )
                )
            case ("GET", "namespaces", name, "tables", table):
                answer = told(catalog.load_table((name, table)))
            case ("DELETE", "namespaces", name, "tables", table):
                catalog.drop_table((name, table))
            case ("POST", "namespaces", name, "tables", table):
                asked = CommitTableRequest.model_validate_json(body)
                catalog.commit_table(catalog.load_table((name, table)), asked.requirements, asked.updates)
                answer = told(catalog.load_table((name, table)))
            case other:
                raise NotImplementedError(other)
        return answer


def told(table):
    metadata = json.loads(table.metadata.model_dump_json())
    return {"metadata-location": table.metadata_location, "metadata": metadata, "config": {}}


@pytest.fixture
def server(tmp_path):
    catalog = SqlCatalog("default", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/lake")
    with closing(catalog), ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.catalog, server.faults, server.lost = catalog, {}, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def opened(server, token="hush"):
    url = f"iceberg+http://127.0.0.1:{server.server_port}?warehouse=prod&namespace=main"
    return build(Settings.model_validate(from_url(url) | {"properties": {"token": token}}))


def load(server, *messages, **settings):
    return tailrace.load((json.dumps(m).encode() for m in messages), opened(server), **settings)


def rows(server):
    found = server.catalog.load_table(("main", "things")).scan().to_arrow().to_pylist()
    return sorted((row["id"], row["name"]) for row in found)


COLUMNS = {"id": INT, "name": TEXT}


def test_tables_of_a_rest_catalog_are_loaded_and_merged(server):
    load(server, schema(COLUMNS, ["id"]), *records({"id": 1, "name": "a"}, {"id": 2, "name": "b"}), pipeline="p")
    report = load(server, schema(COLUMNS, ["id"]), *records({"id": 2, "name": "c"}), state(5), pipeline="p")
    assert report.total.updated == 1
    assert rows(server) == [(1, "a"), (2, "c")]
    load(server, schema({**COLUMNS, "size": INT}, ["id"]), record({"id": 3, "size": 1}), pipeline="p")
    load(server, schema(COLUMNS), record({"id": 9, "name": "x"}), method="replace")
    assert rows(server) == [(9, "x")]


@pytest.mark.parametrize("fault", ["nothing done", "done"])
@pytest.mark.parametrize("table", ["things", journal_name("p")])
def test_a_commit_whose_answer_is_lost_is_found_out_and_not_done_twice(server, table, fault):
    load(server, schema(COLUMNS, ["id"]), record({"id": 1, "name": "a"}), pipeline="p")
    request = ("POST", f"/v1/namespaces/main/tables/{table}")
    destination = opened(server)

    def lose():
        if not server.lost:
            server.faults[request] = fault

    when_entered(destination, lose, before=True)
    messages = [schema(COLUMNS, ["id"]), record({"id": 2, "name": "b"}), state(1)]
    report = tailrace.load((json.dumps(m).encode() for m in messages), destination, pipeline="p")
    assert server.lost == [request[1]]
    assert report.total.loaded == 1
    assert rows(server) == [(1, "a"), (2, "b")]
    assert opened(server).files(TableName("things")) == [*map(existing, opened(server).files(TableName("things")))]


def existing(address):
    assert Path(address.removeprefix("file://")).exists()
    return address


def test_what_a_catalog_refuses_is_told_without_its_secrets(server):
    destination = opened(server, token="wrong")
    with pytest.raises(DestinationError, match=r"who are you\?") as caught:
        destination.check()
    assert "wrong" not in str(caught.value)
    assert not destination.is_transient(caught.value)


@pytest.mark.parametrize(
    ("url", "uri", "kind"),
    [
        ("iceberg+sqlite:////a/c.db?warehouse=/w", "sqlite:////a/c.db", "sql"),
        ("iceberg+sqlite:///c.db?warehouse=/w&uri_x=1", "sqlite:///c.db?uri_x=1", "sql"),
        ("iceberg+postgresql+psycopg2://u:p%40@h:5/d?warehouse=/w", "postgresql+psycopg2://u:p%40@h:5/d", "sql"),
        ("iceberg+https://h:8/a/b?warehouse=/w", "https://h:8/a/b", "rest"),
        ("iceberg+thrift://h:9?warehouse=/w&catalog=hive", "thrift://h:9", "hive"),
    ],
)
def test_an_address_says_where_the_catalog_and_the_warehouse_are(url, uri, kind):
    settings = Settings.model_validate(from_url(url))
    assert (settings.uri.get_secret_value(), settings.warehouse, settings.kind) == (uri, "/w", kind)
