"""What is special about MongoDB: native values, ids, refused documents, other writers, replaced collections, logins."""

import json
import logging
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener

import tailrace
from tailrace.destinations import open_destination
from tailrace.destinations.mongodb.database import MongoDatabase
from tailrace.destinations.mongodb.settings import Settings, from_url
from tailrace.destinations.mongodb.writes import give_back
from tailrace.documents.database import VERSIONS, Description, Stored
from tailrace.errors import ConfigError, DestinationError, RecordError, SchemaError
from tailrace.testing.messages import INT, TEXT, record, records, schema, state
from tailrace.testing.parts import stream

INSTANT = {"type": "string", "format": "date-time"}
OBJECT = {"type": ["null", "object"]}
NUMBER = {"type": "number", "multipleOf": 0.01}


@pytest.fixture
def database(mongodb_url):
    with MongoClient(mongodb_url) as client:
        yield client.get_default_database()


@pytest.fixture
def load(mongodb_url):
    def load(*sent, more="", **settings):
        lines = [json.dumps(one) if isinstance(one, dict) else one for one in sent]
        return tailrace.load(lines, to=mongodb_url + more, **settings)

    return load


def set_aside(path):
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in entries if "record" in entry]


def test_values_are_those_of_bson(load, database):
    properties = {"id": INT, "at": INSTANT, "day": {"type": "string", "format": "date"}, "price": NUMBER, "o": OBJECT}
    sent = {"id": 1, "at": "2024-01-31T12:00:00.5+02:00", "day": "2024-01-31", "price": 1.50}
    nested = '{"tags":["a",1,2.5,null],"big":12345678901234567890,"in":{"price":0.10000000000000000001,"":true}}'
    line = json.dumps({"type": "RECORD", "stream": "things", "record": sent})[:-2] + f', "o": {nested}}}}}'
    load(schema(properties, ["id"]), line)
    document = database["things"].find_one()
    assert document.pop("_tailrace")["checkpoint"] == 1
    assert document == {
        "_id": 1,
        "id": 1,
        "at": datetime(2024, 1, 31, 10, 0, 0, 500000),
        "day": datetime(2024, 1, 31),
        "price": Decimal128(Decimal("1.50")),
        "o": {
            "tags": ["a", 1, 2.5, None],
            "big": Decimal128("12345678901234567890"),
            "in": {"price": Decimal128("0.10000000000000000001"), "": True},
        },
    }


def test_all_fields_of_a_key_make_the_id_in_the_order_that_the_collection_has(load, database):
    properties = {"b": INT, "a": TEXT, "n": INT}
    load(schema(properties, ["b", "a"]), *records({"b": 1, "a": "x", "n": 1}, {"b": 1, "a": "y", "n": 1}))
    load(schema(properties, ["a", "b"]), record({"b": 1, "a": "x", "n": 2}))
    assert [*database["things"].find({}, {"_tailrace": 0}).sort("a")] == [
        {"_id": {"b": 1, "a": "x"}, "b": 1, "a": "x", "n": 2},
        {"_id": {"b": 1, "a": "y"}, "b": 1, "a": "y", "n": 1},
    ]


def test_documents_without_a_key_carry_pipeline_and_checkpoint(load, database):
    load(schema({"n": INT}), record({"n": 1}), state(1), record({"n": 2}), state(2), pipeline="p", checkpoint_rows=1)
    found = {each["n"]: each for each in database["things"].find()}
    assert {n: (each["_tailrace"]["pipeline"], each["_tailrace"]["checkpoint"]) for n, each in found.items()} == {
        1: ("p", 1),
        2: ("p", 2),
    }
    assert all(isinstance(each["_id"], ObjectId) for each in found.values())


def test_three_bad_documents_of_ten_thousand_are_quarantined_and_the_others_loaded(load, database, tmp_path):
    database.create_collection("things", validator={"n": {"$gte": 0}})
    database["things"].create_index("code", unique=True)
    rows = [{"id": n, "n": n, "code": f"c{n}"} for n in range(10_000)]
    rows[17]["n"] = rows[5_000]["n"] = -1
    rows[9_999]["code"] = "c3"
    path = tmp_path / "bad.jsonl"
    sent = [schema({"id": INT, "n": INT, "code": TEXT}, ["id"]), *records(*rows), state("end")]
    report = load(*sent, on_invalid="quarantine", quarantine=path, pipeline="p")
    assert (report.total.loaded, report.total.quarantined, report.state) == (9_997, 3, '"end"')
    assert database["things"].count_documents({}) == 9_997
    entries = set_aside(path)
    assert [entry["line"] for entry in entries] == [19, 5_002, 10_001]
    reasons = [entry["reasons"][0]["got"] for entry in entries]
    assert "validation" in reasons[0]
    assert "code" in reasons[2]
    assert database["_tailrace_undo"].count_documents({}) == 0


def test_a_bad_document_ends_the_run_at_the_state_before_it_and_nothing_beyond_is_left(load, database):
    database.create_collection("things", validator={"n": {"$gte": 0}})
    load(schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 1}), pipeline="p")
    sent = [record({"id": 2, "n": 2}), state(1), record({"id": 1, "n": 9}), record({"id": 3, "n": -3})]
    with pytest.raises(RecordError, match="line 5") as caught:
        load(schema({"id": INT, "n": INT}, ["id"]), *sent, pipeline="p")
    assert "validation" in str(caught.value)
    assert {each["_id"]: each["n"] for each in database["things"].find()} == {1: 1, 2: 2}
    assert database["_tailrace_undo"].count_documents({}) == 0


def test_fields_that_others_have_written_stay(load, database):
    load(schema({"id": INT, "n": INT}, ["id"]), *records({"id": 1, "n": 1}, {"id": 2, "n": 1}))
    database["things"].update_one({"_id": 1}, {"$set": {"seen": True}})
    database["things"].delete_one({"_id": 2})
    database["things"].insert_one({"_id": 3, "mine": True})
    load(schema({"id": INT, "n": INT}, ["id"]), *records({"id": 1, "n": 2}, {"id": 2, "n": 2}, {"id": 3, "n": 2}))
    assert [*database["things"].find({}, {"_tailrace": 0}).sort("_id")] == [
        {"_id": 1, "id": 1, "n": 2, "seen": True},
        {"_id": 2, "id": 2, "n": 2},
        {"_id": 3, "mine": True, "id": 3, "n": 2},
    ]


def test_microseconds_are_cut_off_and_that_is_said_once(load, database, caplog):
    caplog.set_level(logging.WARNING)
    times = [f"2024-01-31T12:00:00.00{n}001Z" for n in range(3)] + ["1969-12-31T23:59:59.999999Z"]
    load(schema({"id": INT, "at": INSTANT}, ["id"]), *records(*({"id": n, "at": at} for n, at in enumerate(times))))
    found = [each["at"].replace(tzinfo=UTC) for each in database["things"].find().sort("_id")]
    assert found == [datetime(2024, 1, 31, 12, 0, 0, n * 1000, UTC) for n in range(3)] + [
        datetime(1969, 12, 31, 23, 59, 59, 999000, UTC)
    ]
    said = [entry for entry in caplog.records if "milliseconds" in entry.message]
    assert len(said) == 1


def test_a_key_isnt_cut(load, database):
    sent = [schema({"at": INSTANT}, ["at"]), record({"at": "2024-01-31T12:00:00.000001Z"})]
    with pytest.raises(RecordError, match="timestamps: text"):
        load(*sent)
    load(*sent, more="&timestamps=text")
    assert [each["_id"] for each in database["things"].find()] == ["2024-01-31 12:00:00.000001+00"]


def test_a_decimal_with_more_digits_than_bson_has_is_refused(load, database):
    wide = {"type": "number", "x-singer.decimal": True}
    line = '{"type":"RECORD","stream":"things","record":{"id":1,"n":12345678901234567890123456789.123456789}}'
    with pytest.raises(RecordError, match="34 digits"):
        load(schema({"id": INT, "n": wide}), line, numbers="decimal")
    assert database["things"].count_documents({}) == 0


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, '{"a\\u0000b":1}'])
def test_json_that_bson_cannot_have_is_refused(load, database, text):
    line = f'{{"type":"RECORD","stream":"things","record":{{"id":2,"o":{text}}}}}'
    sent = [schema({"id": INT, "o": {}}, ["id"]), record({"id": 1, "o": 1}), state(1), line]
    with pytest.raises(RecordError, match="line 4"):
        load(*sent)
    assert [each["_id"] for each in database["things"].find()] == [1]


def test_a_document_that_is_too_large_is_refused_alone(load, database, tmp_path):
    path = tmp_path / "bad.jsonl"
    rows = [{"id": n, "a": "x"} for n in range(5)]
    rows[2]["a"] = "x" * (17 << 20)
    report = load(schema({"id": INT, "a": TEXT}, ["id"]), *records(*rows), on_invalid="quarantine", quarantine=path)
    assert (report.total.loaded, report.total.quarantined) == (4, 1)
    assert sorted(each["_id"] for each in database["things"].find({}, {"_id": 1})) == [0, 1, 3, 4]


def test_a_collection_is_made_with_the_options_of_the_one_that_it_will_replace(mongodb_url, database):
    database.create_collection("things", validator={"id": {"$exists": True}}, validationAction="warn")
    ours = MongoDatabase(Settings(**from_url(mongodb_url)))
    ours.create("beside", stream(), Description((), ()), like="things")
    ours.close()
    assert database["beside"].options() == database["things"].options()


def test_a_replaced_collection_keeps_its_indexes(load, database):
    database.create_collection("things")
    database["things"].create_index("name", unique=True)
    load(schema({"id": INT, "name": TEXT}, ["id"]), *records({"id": 1, "name": "a"}, {"id": 2, "name": "b"}))
    load(schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 3, "name": "c"}), method="replace")
    assert [each["_id"] for each in database["things"].find()] == [3]
    indexes = {index["name"]: index.get("unique") for index in database["things"].list_indexes()}
    assert indexes == {"_id_": None, "name_1": True}
    assert not [name for name in database.list_collection_names() if name.startswith("_tailrace_new")]


def test_a_collection_is_told_apart_by_a_key_or_appended_to(load):
    load(schema({"id": INT}), record({"id": 1}))
    with pytest.raises(SchemaError, match=r"none -> \(id\)"):
        load(schema({"id": INT}, ["id"]), record({"id": 1}))


def test_an_older_version_never_overwrites_a_newer_one(mongodb_url, load, database):
    load(schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 1}))
    newest = 2**62
    database["things"].update_one({"_id": 1}, {"$set": {"n": 9, "_tailrace.version": newest}})
    load(schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 2}))
    assert database["things"].find_one()["n"] == 9


def test_documents_are_given_back_by_a_few_calls_and_those_of_later_versions_stay(mongodb_url, database):
    asked = []

    class Listening(CommandListener):
        def started(self, event):
            asked.append(event.command_name)

        def succeeded(self, event): ...

        def failed(self, event): ...

    there = database["things"]
    ours, later = 5, 5 + VERSIONS
    there.insert_many({"_id": n, "_tailrace": {"version": later if n % 10 == 0 else ours}} for n in range(1, 61))
    before = [(n, Stored(n, 1, {"_id": n, "n": "old"})) for n in range(31, 71)]
    before += [(n, None) for n in range(1, 31)]
    with MongoClient(mongodb_url, event_listeners=[Listening()]) as client:
        give_back(client.get_default_database()["things"], before, ours, deletes=True)
    found = {each["_id"]: each.get("n") for each in there.find()}
    stay = dict.fromkeys([10, 20, 30, 40, 50, 60])
    assert found == dict.fromkeys(range(31, 71), "old") | stay
    assert [name for name in asked if name in ("delete", "update", "insert", "find")] == ["delete", "update", "insert"]


@pytest.mark.parametrize(
    "name", ["$where", "a.b", "system.users", "_tailrace_undo", "a$b.c", "ünï", "x" * 300, "drop\0x"]
)
def test_hostile_streams_and_fields_are_names_and_nothing_else(load, database, name):
    properties = {"id": INT, name: INT}
    try:
        load(schema(properties, ["id"], name), record({"id": 1, name: 2}, name), naming="preserve")
    except (SchemaError, ConfigError):
        assert not [each for each in database.list_collection_names() if not each.startswith("_tailrace")]
        return
    (collection,) = [each for each in database.list_collection_names() if not each.startswith("_tailrace")]
    document = database[collection].find_one()
    assert [value for field, value in document.items() if field != "_tailrace"] == [1, 1, 2]


@pytest.mark.parametrize("key", ["$id", "a.b", "", '{"$ne": null}', 7, True, "\u0000"])
def test_a_hostile_key_is_a_value(load, database, key):
    load(schema({"id": {}, "n": INT}, ["id"]), record({"id": "first", "n": 1}))
    load(schema({"id": {}, "n": INT}, ["id"]), record({"id": key, "n": 2}))
    load(schema({"id": {}, "n": INT}, ["id"]), record({"id": key, "n": 3}))
    assert {json.dumps(each["_id"]): each["n"] for each in database["things"].find()} == {
        '"first"': 1,
        json.dumps(key): 3,
    }


@pytest.mark.parametrize("key", [{"$ne": None}, {"$gt": ""}, {"a": {"$where": "1"}}, [1]])
def test_a_key_is_neither_an_object_nor_an_array(load, database, key):
    load(schema({"id": {}, "n": INT}, ["id"]), record({"id": "first", "n": 1}))
    with pytest.raises(RecordError, match="kind: TEXT"):
        load(schema({"id": {}, "n": INT}, ["id"]), record({"id": key, "n": 2}))
    assert [each["_id"] for each in database["things"].find()] == ["first"]


def test_a_server_that_is_not_there_says_what_to_look_at(free_port):
    url = f"mongodb://loader:s3cret@127.0.0.1:{free_port}/x?timeout_s=1"
    destination = open_destination(url, {})
    with pytest.raises(DestinationError, match="can't be reached") as caught:
        destination.recover("p")
    assert destination.is_transient(caught.value)
    assert "s3cret" not in str(caught.value) + repr(destination.__reduce__())
    destination.close()


@pytest.mark.parametrize("more", ["&write_concern=0", "&w=0"])
def test_writes_that_no_server_acknowledges_are_refused(load, database, more):
    with pytest.raises(ConfigError, match="no server acknowledges"):
        load(schema({"id": INT}, ["id"]), record({"id": 1}), more=more)
    assert database.list_collection_names() == []


def test_an_address_that_the_driver_cannot_read_is_one_to_mend():
    with pytest.raises(ConfigError, match="to: the address or an option in it") as caught:
        tailrace.load([json.dumps(state(1))], to="mongodb://me:S3CRET@h:99999/shop")
    assert "S3CRET" not in str(caught.value)


def test_a_write_that_fails_and_may_pass_is_repeated(load, database):
    """The server closes the connection, then steps down, in the middle of the documents."""
    admin = database.client.admin
    for fail in ({"closeConnection": True}, {"errorCode": 112}, {"writeConcernError": {"code": 64, "errmsg": "x"}}):
        point = {"configureFailPoint": "failCommand", "mode": {"times": 3}}
        try:
            admin.command(point | {"data": {"failCommands": ["insert", "update"], **fail}})
            load(schema({"id": INT}, ["id"]), *records(*({"id": n} for n in range(20))), pipeline="p", retry_s=60)
        finally:
            admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        assert database["things"].count_documents({}) == 20


def test_what_the_user_may_not_do_is_told_in_a_sentence(load, database):
    point = {"configureFailPoint": "failCommand", "mode": {"times": 1}}
    database.client.admin.command(point | {"data": {"failCommands": ["insert"], "errorCode": 13}})
    with pytest.raises(DestinationError, match="refuses the login or what is to be done") as caught:
        load(schema({"id": INT}, ["id"]), record({"id": 1}))
    assert isinstance(caught.value.__cause__, OperationFailure)
    assert "full error" not in str(caught.value)
