"""A stream has one key in a run, whatever its SCHEMA messages say."""

import json

import pytest

from tailrace.config import Settings
from tailrace.destinations import traits_of
from tailrace.errors import SchemaError
from tailrace.model import Column, Kind, Traits
from tailrace.runtime.streams import Streams
from tailrace.schema.keys import read_key, written_key
from tailrace.singer.messages import SchemaMessage

PROPERTIES = {"id": {"type": "integer"}, "Part": {"type": "string"}, "name": {"type": "string"}}
TRAITS = Traits("a database", "none")


def message(key, *, unique=None, conflict=None, line=1):
    schema = json.dumps({"properties": {**PROPERTIES, f"new{line}": {"type": "string"}}}).encode()
    return SchemaMessage(line, "things", schema, key, (), unique, conflict)


def accepted(*messages, traits=TRAITS, **settings):
    streams = Streams(Settings(**settings), traits)
    return [streams.accept(each) for each in messages]


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (message(("id",)), message((), line=9), r"\(id\) -> none"),
        (message(()), message(("id",), line=9), r"none -> \(id\)"),
        (message(None, unique=("id",)), message(None, unique=("name",), line=9), r"\(id\) -> \(name\)"),
        (message(("id",)), message(("id",), unique=("name",), line=9), r"\(id\) -> \(name\)"),
        (message(("id", "name")), message(("id",), line=9), r"\(id, name\) -> \(id\)"),
    ],
)
def test_another_key_is_refused(first, second, shown):
    with pytest.raises(SchemaError, match=shown) as caught:
        accepted(first, second)
    assert "`method: replace`" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (message(("id", "name")), message(("name", "id"), line=9)),
        (message(("id",)), message(None, unique=("id",), line=9)),
        (
            message(("id",), unique=("id",), conflict="UPDATE"),
            message(("id",), unique=("id",), conflict="IGNORE", line=9),
        ),
    ],
)
def test_the_same_key_said_otherwise_is_accepted(first, second):
    assert accepted(first, second)[1].revision == 2


def test_a_key_that_the_settings_say_is_one_whatever_is_sent():
    first, second = accepted(message(("id",)), message((), line=9), key_properties=["name"])
    assert first.key == second.key == ("name",)


def test_columns_that_are_known_otherwise_keep_the_key_too():
    streams = Streams(Settings(), TRAITS)
    streams.accept(message(("id",)))
    with pytest.raises(SchemaError, match=r"\(id\) -> none"):
        streams.accept_columns("things", (Column("id", ("id",), Kind.INT),), ())


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("postgres", ("id",), (), 'run `ALTER TABLE "things" DROP CONSTRAINT "things_pkey"`'),
        ("postgres", (), ("id",), 'run `ALTER TABLE "things" ADD PRIMARY KEY ("id")` once no two'),
        ("mysql", ("id",), ("name",), "ALTER TABLE `things` MODIFY `name` varchar(700)"),
        ("mysql", ("id",), ("name",), "NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (`name`)` once"),
        ("redshift", ("id",), ("name",), """run `COMMENT ON TABLE "things" IS 'key: ["name"]'` once"""),
        ("duckdb", ("id",), (), """run `COMMENT ON TABLE "things" IS 'key: []'`"""),
        ("sqlite", ("id",), (), 'run `ALTER TABLE "things" RENAME TO "things_before"`'),
        ("delta", ("id",), ("name",), "set_column_metadata('id', {'tailrace.key': 'none'})"),
        ("iceberg", (), ("id",), """run `ALTER TABLE things SET TBLPROPERTIES ('tailrace.key' = '["id"]')` once"""),
        ("files", ("id",), (), "load 'things' once with `method: replace`"),
    ],
)
def test_the_way_out_is_in_the_destinations_own_words(name, before, after, said):
    with pytest.raises(SchemaError) as caught:
        accepted(message(before), message(after, line=9), traits=traits_of(name))
    assert said in str(caught.value)


@pytest.mark.parametrize("key", [(), ("id",), ('a"b', "c, d", "数据")])
def test_a_key_is_read_as_it_was_written(key):
    assert read_key(written_key(key)) == key
    assert read_key(f"{written_key(key)} and more") == key


@pytest.mark.parametrize("text", [None, "", "id", "[1]", '{"a": 1}', "[", 7])
def test_what_is_no_key_is_not_read_as_one(text):
    assert read_key(text) is None
