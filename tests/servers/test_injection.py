"""Names and values that would be SQL are names and values, wherever one can stand, on every server."""

import json

import pytest

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import ConfigError, SchemaError
from tailrace.testing.messages import INT, TEXT, record, schema

HOSTILE = [
    "'; DROP TABLE victims; --",
    '"; DROP TABLE victims; --',
    "`; DROP TABLE victims; --",
    "\\'; DROP TABLE victims; --",
    "); DROP TABLE victims; --",
    "$$; DROP TABLE victims; --",
    "%s; DROP TABLE victims; --",
    "?; DROP TABLE victims; #",
    "/*!99999 ' */ /*M! ` */ DROP TABLE victims",
    "x\nDROP TABLE victims;\n\\.\n",
]
NAMES = [name for name in HOSTILE if "\n" not in name]


@pytest.fixture(scope="module", params=["postgres", "mariadb", "mysql", "redshift"])
def url(request):
    """A database with a table of victims; what each test loads stands beside what others have."""
    server = request.getfixturevalue(f"{request.param}_server")
    address = server.database()
    load(address, schema({"id": INT}, ["id"], "victims"), record({"id": 1}, "victims"))
    yield address
    server.drop(address)


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(message).encode() for message in messages), url, **settings)


def survivors(url):
    """The number of victims: loading the one there is again updates it."""
    return load(url, schema({"id": INT}, ["id"], "victims"), record({"id": 1}, "victims")).total.updated


@pytest.mark.parametrize("hostile", NAMES)
def test_a_hostile_name_is_a_table_a_column_and_a_key(url, hostile):
    for value in ("one", "two"):
        properties = {hostile: TEXT, "n": TEXT} | ({"new " + hostile: TEXT} if value == "two" else {})
        sent = dict.fromkeys(properties, value) | {hostile: "key"}
        report = load(url, schema(properties, [hostile], hostile), record(sent, hostile), naming="preserve")
    assert report.total.updated == 1
    assert survivors(url) == 1


@pytest.mark.parametrize("hostile", NAMES)
def test_a_hostile_name_is_a_schema_and_a_constant(url, hostile):
    settings = {"schema": "{stream}", "naming": "preserve", "constants": {hostile: hostile}, "table": "t"}
    if url.startswith("mysql"):
        hostile = hostile.replace("/", "|").replace("\\", "|").replace(".", "|")
        settings["constants"] = {hostile: hostile}
    for _ in range(2):
        report = load(url, schema({"id": INT}, ["id"], hostile), record({"id": 1}, hostile), **settings)
    assert report.total.updated == 1
    assert survivors(url) == 1


@pytest.mark.parametrize("method", ["append", "upsert", "insert_ignore", "replace"])
def test_hostile_values_are_stored_as_they_are(url, method):
    messages = [record({"k": text, "v": text, "j": {text: text}}, method) for text in HOSTILE]
    sent = schema({"k": TEXT, "v": TEXT, "j": {}}, ["k"], method)
    report = load(url, sent, *messages, method=method)
    assert report.total.loaded == len(HOSTILE)
    again = load(url, sent, *messages, method="upsert") if method == "upsert" else report
    assert again.total.updated == (len(HOSTILE) if method == "upsert" else 0)
    assert survivors(url) == 1


@pytest.mark.parametrize("hostile", NAMES)
def test_hostile_pipelines_and_states_are_remembered_as_they_are(url, hostile):
    state = {"type": "STATE", "value": {hostile: hostile}}
    load(url, schema({"id": INT}), record({"id": 1}), state, pipeline=hostile)
    destination = open_destination(url, {})
    try:
        assert json.loads(destination.recover(hostile).state) == {hostile: hostile}
    finally:
        destination.close()
    assert survivors(url) == 1


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_deletion_mark_marks_its_row_alone(url, hostile):
    columns = {"id": TEXT, "_sdc_deleted_at": {"type": ["null", "string"], "format": "date-time"}}
    sent = schema(columns, ["id"], "marked")
    load(url, sent, record({"id": hostile}, "marked"), record({"id": "kept"}, "marked"))
    gone = record({"id": hostile, "_sdc_deleted_at": "2024-01-01T00:00:00Z"}, "marked")
    assert load(url, sent, gone, hard_delete=True).total.deleted == 1
    assert survivors(url) == 1


@pytest.mark.parametrize("hostile", ["TEXT" + HOSTILE[4], "TEXT; DROP TABLE victims", "TEXT, x TEXT", "TEXT -- x"])
def test_sql_in_a_type_is_refused_from_a_tap_and_from_the_settings(url, hostile):
    sent = [schema({"id": INT, "a": TEXT | {"x-sql-datatype": hostile}}, [], "t"), record({"id": 1, "a": "x"}, "t")]
    with pytest.raises(SchemaError, match=r"^stream 't', column 'a', line 1: "):
        load(url, *sent)
    with pytest.raises(ConfigError, match=r"^columns\.a\.sql_type: stream 't': "):
        load(url, *sent, columns={"a": {"sql_type": hostile}})
    assert survivors(url) == 1


def test_a_plain_type_of_a_tap_is_the_columns(url):
    sent = [
        schema({"id": INT, "a": TEXT | {"x-sql-datatype": "varchar( 20 )"}}, [], "plain"),
        record({"a": "x"}, "plain"),
    ]
    assert load(url, *sent).total.loaded == 1
    assert load(url, *sent, columns={"a": {"sql_type": "VARCHAR(30)"}}).total.loaded == 1
