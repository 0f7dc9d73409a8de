"""What a SCHEMA message asks for beside its schema, as Mage's taps do, and what the settings have instead."""

import json
import uuid

import pytest

import tailrace
from tailrace.config import Settings
from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import ConfigError, MessageError, RecordError
from tailrace.runtime.streams import asked_by
from tailrace.singer.envelope import message_of

NUMBERS = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}


@pytest.fixture
def memory():
    return MemoryDestination(uuid.uuid4().hex)


def schema(**more):
    return {"type": "SCHEMA", "stream": "users", "schema": NUMBERS, "key_properties": ["id"], **more}


def record(number, name="Ada"):
    return {"type": "RECORD", "stream": "users", "record": {"id": number, "name": name}}


def asked(message, **settings):
    return asked_by(message_of(json.dumps(message).encode() + b"\n", 1), Settings(**settings).for_stream("users"))


@pytest.mark.parametrize(
    ("sent", "settings", "validation"),
    [
        ({}, {}, "types"),
        ({"disable_column_type_check": None}, {}, "types"),
        ({"disable_column_type_check": True}, {}, "off"),
        ({"disable_column_type_check": False}, {}, "types"),
        ({"disable_column_type_check": True}, {"validation": "full"}, "full"),
        ({"disable_column_type_check": True}, {"validation": "types"}, "types"),
        ({"disable_column_type_check": False}, {"streams": {"u*": {"validation": "off"}}}, "off"),
    ],
)
def test_a_schema_may_ask_for_no_check_of_types_unless_the_settings_say(sent, settings, validation):
    assert asked(schema(**sent), **settings).validation == validation


@pytest.mark.parametrize(
    ("replication", "settings", "method"),
    [
        ("FULL_TABLE", {"truncate_full_table": True}, "replace"),
        ("INCREMENTAL", {"truncate_full_table": True}, None),
        ("FULL_TABLE", {}, None),
        ("FULL_TABLE", {"truncate_full_table": True, "method": "append"}, "append"),
        ("FULL_TABLE", {"truncate_full_table": True, "streams": {"users": {"truncate_full_table": False}}}, None),
    ],
)
def test_a_full_table_is_replaced_where_the_settings_say_so(replication, settings, method):
    assert asked(schema(replication_method=replication), **settings).method == method


def test_a_tap_that_does_not_say_how_it_reads_has_no_full_table_to_replace():
    with pytest.raises(ConfigError, match=r"^truncate_full_table: the SCHEMA message of stream 'users' has no repl"):
        asked(schema(), truncate_full_table=True)


def test_a_full_table_holds_what_the_last_run_has_sent(memory):
    whole = schema(replication_method="FULL_TABLE", unique_constraints=["id"], unique_conflict_method="UPDATE")
    for numbers in ([1, 2], [2, 3, 3]):
        tailrace.load([whole, *map(record, numbers)], memory, truncate_full_table=True)
    assert sorted(row["id"] for row in memory.tables()["users"]) == [2, 3]


def test_values_of_other_types_are_taken_where_the_schema_asks_for_no_check(memory):
    tailrace.load([schema(disable_column_type_check=True), record("1", None)], memory)
    assert memory.tables()["users"] == [{"id": 1, "name": None}]
    with pytest.raises(RecordError):
        tailrace.load([schema(disable_column_type_check=False), record("1", None)], memory)


def test_a_schema_that_asks_for_another_check_is_another_plan(memory):
    sent = [schema(disable_column_type_check=True), record("1"), schema(disable_column_type_check=False), record("2")]
    with pytest.raises(RecordError, match="line 4"):
        tailrace.load(sent, memory)


@pytest.mark.parametrize(
    ("more", "said"),
    [({"replication_method": 5}, "a string"), ({"disable_column_type_check": "no"}, "true, false or null")],
)
def test_what_a_schema_asks_for_must_be_of_its_type(memory, more, said):
    with pytest.raises(MessageError, match=said):
        tailrace.load([schema(**more)], memory)
