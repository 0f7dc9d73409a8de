"""No name, key or answer leads a request elsewhere, into its headers, or a secret out of it."""

import logging
import pickle

import pytest
from hostile import NAMES
from services.rest import rest

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError, SchemaError
from tailrace.testing.messages import INT, TEXT, record, records, schema

QUICK = {"max_wait_s": 0.01, "attempts": 1, "retry_s": 0.1, "concurrency": 1}
EXTRA = ("a/b?x=1#f", "a%2Fb", "x\r\nX-Evil: 1", "{key}", "a b&c=d", "@evil.example", "a\u2028b", "//evil.example/x")
LEADING = ("", ".", "..")
TEXTS = [name for name in (*NAMES, *EXTRA) if name not in LEADING and "\ud800" not in name]
TEXTS = [name for name in TEXTS if not name.lower().startswith("_tailrace")]
"""Those that a stream's name and a key may be; the others are refused."""
SECRET = "s3cr3t-Kx9"


@pytest.fixture(scope="module")
def endpoint():
    with rest() as made:
        yield made


@pytest.fixture
def server(endpoint):
    endpoint.received.clear()
    endpoint.tables.clear()
    return endpoint


def load(server, messages, **settings):
    return tailrace.load(messages, "http", **QUICK | settings)


def test_no_stream_and_no_key_changes_host_path_or_headers(server):
    url = f"{server.url}/in/{{stream}}/{{key}}"
    names = [name for name in TEXTS if name.strip()]
    for name in names:
        load(
            server,
            [schema({"k": TEXT}, ["k"], stream=name), record({"k": name}, stream=name)],
            url=url,
            per_record=True,
        )
    assert len(server.received) == len(names)
    for request in server.received:
        assert request.target.count("/") == 3
        assert "?" not in request.target
        assert request.target.isascii()
        assert "x-evil" not in request.headers
        assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert [row["k"] for row in server.rows("in")] == names


def test_all_keys_of_one_stream_are_one_step_each(server):
    sent = [schema({"k": TEXT}, ["k"]), *records(*({"k": name} for name in TEXTS))]
    load(server, sent, url=f"{server.url}/in/x/{{key}}", per_record=True)
    assert {request.target.count("/") for request in server.received} == {3}
    assert sorted(row["k"] for row in server.rows("in")) == sorted(set(TEXTS))


@pytest.mark.parametrize("name", ["..", "."])
def test_a_name_or_key_that_would_be_another_path_is_refused(server, name):
    url = f"{server.url}/{{stream}}"
    with pytest.raises(SchemaError, match="another path"):
        load(server, [schema({"k": TEXT}, stream=name), record({"k": "v"}, stream=name)], url=url)
    for key in (name, ""):
        with pytest.raises(tailrace.RecordError, match="another path"):
            load(server, [schema({"k": TEXT}, ["k"]), record({"k": key})], url=f"{url}/{{key}}", per_record=True)
    assert server.received == []


def test_hostile_fields_are_members_of_an_object_and_no_more(server):
    fields = {
        name: number for number, name in enumerate(TEXTS) if not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name)
    }
    sent = [schema(dict.fromkeys(fields, INT)), record(fields)]
    load(server, sent, url=f"{server.url}/x", naming="preserve")
    assert server.rows("x") == [fields]
    load(server, sent, url=f"{server.url}/y", naming="preserve", format="form", per_record=True)
    assert server.rows("y") == [{name: str(number) for name, number in fields.items()}]


def test_no_secret_is_told(server, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    server.refuses = lambda _: f"I was sent {SECRET} and {SECRET}-2"
    settings = {"url": f"{server.url}/x?k={SECRET}", "auth": "bearer", "token": SECRET}
    settings |= {"headers": {"X-Other": f"{SECRET}-2"}, "checkpoints": str(tmp_path / "kept")}
    with pytest.raises(DestinationError, match=r"\*\*\*") as raised:
        load(server, [schema({"id": INT}), record({"id": 1}), record({"id": 2})], pipeline="p", **settings)
    server.refuses = lambda _: None
    destination = open_destination("http", settings | {"url": f"{server.url}/x"})
    again = pickle.loads(pickle.dumps(destination))
    said = [str(raised.value), caplog.text, repr(destination), repr(vars(destination)), repr(vars(again))]
    kept = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 4
    assert [text for text in (*said, *kept) if SECRET in text] == []


def test_a_password_is_not_told_though_the_server_says_it_as_it_was_sent(server):
    given = {"auth": "basic", "username": "user", "password": SECRET}
    sent = "dXNlcjpzM2NyM3QtS3g5"
    server.refuses = lambda _: f"not allowed: {server.received[-1].headers['authorization']}"
    with pytest.raises(DestinationError, match="not allowed") as raised:
        load(server, [schema({"id": INT}), record({"id": 1}), record({"id": 2})], url=f"{server.url}/x", **given)
    server.refuses = lambda _: None
    assert server.received[-1].headers["authorization"] == f"Basic {sent}"
    assert sent not in str(raised.value)
