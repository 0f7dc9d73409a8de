"""Search engines: hostile names and ids reach nothing but what they name, and logins go to the engine alone."""

import ssl
from itertools import count

import pytest
from reading_search import documents, things
from services.busy import busy_proxy
from services.certificates import made_certificate

from tailrace.destinations import open_destination
from tailrace.errors import ConfigError, DestinationError, SchemaError
from tailrace.testing.messages import INT, TEXT, record, schema


@pytest.fixture
def place(search_place):
    return search_place


LOGINS = {
    "basic": ({"user": "me", "password": "s3cret-word"}, "Basic bWU6czNjcmV0LXdvcmQ="),
    "api_key": ({"api_key": "czNjcmV0LXdvcmQ="}, "ApiKey czNjcmV0LXdvcmQ="),
    "api_key_id": ({"api_key_id": "id", "api_key": "s3cret-word"}, "ApiKey aWQ6czNjcmV0LXdvcmQ="),
    "bearer": ({"bearer_token": "s3cret-word"}, "Bearer s3cret-word"),
}


@pytest.mark.parametrize("login", LOGINS)
def test_every_request_has_the_login_and_no_error_has(place, login, caplog):
    given, header = LOGINS[login]

    def meddler(method, _path, _body):
        return (401, {}, b'{"error": {"type": "security_exception", "reason": "no"}}') if method == "PUT" else None

    with busy_proxy("127.0.0.1", place.port, meddler=meddler) as proxy:
        place.port = proxy.port
        with pytest.raises(DestinationError, match="login") as caught:
            place.load(*things({"id": 1}), settings=given)
        assert {head["authorization"] for head in proxy.heads} == {header}
    said = f"{caught.value} {caught.value.__cause__!r} {caplog.text} {place.open(**given)!r}"
    assert "s3cret" not in said
    assert header.split()[1] not in said


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return made_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def encrypted(place, certificate):
    """The place by TLS, of a server that asks for a certificate and takes the one that is its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(certificate.certificate)
    with busy_proxy("127.0.0.1", place.port, tls=context) as proxy:
        place.port = proxy.port
        yield place


def test_the_certificate_of_an_engine_has_to_be_trusted(encrypted, certificate, tmp_path):
    trusted = {"scheme": "https", "ca_certs": str(certificate.certificate)}
    shown = {"client_cert": str(certificate.certificate), "client_key": str(certificate.key)}
    assert encrypted.open(**trusted).check()
    assert encrypted.open(**trusted, **shown).check()
    other = made_certificate(tmp_path)
    with pytest.raises(DestinationError, match="can't be reached"):
        encrypted.open(scheme="https", ca_certs=str(other.certificate)).check()
    with pytest.raises(DestinationError, match="can't be reached"):
        encrypted.open(**trusted | {"host": "localhost"}).check()


def test_a_certificate_is_not_looked_at_where_that_is_switched_off(encrypted):
    assert encrypted.open(scheme="https", verify_certs=False).check()


def test_an_engine_that_is_not_there_is_an_error_that_may_pass(place, free_port):
    destination = open_destination(
        place.engine, {"host": "127.0.0.1", "port": free_port, "user": "me", "password": "s3cret"}
    )
    with pytest.raises(DestinationError, match="can't be reached") as caught:
        destination.check()
    assert destination.is_transient(caught.value)
    assert "s3cret" not in str(caught.value)


HOSTILE = (
    "../_all",
    "a,b",
    "*",
    "<logs-{now/d}>",
    "-x",
    "_y",
    "+z",
    "Ünïcode 列",
    "a?refresh=1#b",
    "%2e%2e",
    ".dot",
    "tab\tbed",
)


def test_hostile_names_of_streams_are_indices_of_their_own_or_refused(place):
    place.load(*things({"id": 1, "n": "kept"}))
    before = {*place.client.indices.get(index="*", expand_wildcards="all")}
    numbers = count(1)
    loaded = {}
    for name in HOSTILE:
        number = next(numbers)
        try:
            place.load(schema({"id": INT}, ["id"], name), record({"id": number}, name), naming="preserve")
        except (SchemaError, ConfigError):
            continue
        loaded[name] = number
    after = {*place.client.indices.get(index="*", expand_wildcards="all")} - before
    assert len(after) == len(loaded) >= 8
    assert all(name.startswith(place.prefix) for name in after)
    assert sorted(fields["id"] for name in after for fields in documents(place.client, name).values()) == [
        *loaded.values()
    ]
    assert place.rows("things") == [{"id": 1, "n": "kept"}]


IDS = (
    "",
    '"',
    '""',
    '"a',
    "../_all",
    "a/b?c#d",
    "_doc",
    "x" * 600,
    "x" * 601,
    "é" * 300,
    "a\x00b",
    "\n{}\n",
    '[1,"2"]',
    " ",
)


def test_hostile_ids_are_documents_of_their_own(place):
    sent = [{"id": text, "n": str(at)} for at, text in enumerate(IDS)]
    for _ in range(2):
        place.load(*things(*sent, kinds={"id": TEXT, "n": TEXT}))
        assert place.rows("things") == sorted(sent, key=str)


FIELDS = ("$a", "a b", "a'b", 'a"b', "a:b", "{x}", "\\", "%s", "列", "@timestamp", "a/b", "_x", "-", "0")


def test_hostile_names_of_fields_are_fields_as_they_are(place):
    fields = {"id": 1} | dict.fromkeys(FIELDS, "v")
    kinds = {"id": INT} | dict.fromkeys(FIELDS, TEXT)
    for _ in range(2):
        place.load(*things(fields, kinds=kinds), naming="preserve")
        assert place.documents("things") == {"1": fields}


@pytest.mark.parametrize(("name", "became"), [("a.b", "a_b"), ("_id", "_id_"), ("_source", "_source_"), (" ", "_")])
def test_a_name_that_engines_keep_or_cannot_have_becomes_another(place, name, became):
    place.load(*things({"id": 1, name: "v"}, kinds={"id": INT, name: TEXT}), naming="preserve")
    assert place.documents("things") == {"1": {"id": 1, became: "v"}}


@pytest.mark.parametrize("name", ["_tailrace", "_tailrace_x"])
def test_our_own_name_is_refused(place, name):
    with pytest.raises(SchemaError, match="keeps for itself"):
        place.load(*things({"id": 1, name: "v"}, kinds={"id": INT, name: TEXT}), naming="preserve")


@pytest.mark.parametrize("table", ["tailrace-records", "Tailrace-Records"])
def test_the_index_of_records_is_no_streams(place, table):
    with pytest.raises((SchemaError, ConfigError), match=r"keeps|records"):
        place.load(*things({"id": 1}), table=table)
