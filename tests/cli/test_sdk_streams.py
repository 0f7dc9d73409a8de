"""The streams that ship with the Singer SDK's test suite, each through `target-tailrace`, against our expectations."""

import json
from dataclasses import dataclass, field
from importlib.resources import files

import duckdb
import pytest
from commands import run

STREAMS = files("singer_sdk.testing") / "target_test_streams"
SHIPPED = sorted(path.name.removesuffix(".singer") for path in STREAMS.iterdir() if path.name.endswith(".singer"))


@dataclass(frozen=True)
class Loaded:
    """What stands in the database after a stream: each table's columns in order, and its rows in order of the first.

    `after` are streams that are loaded before; `told` is the value of the one STATE that is told, if any.
    """

    tables: dict[str, tuple[str, list[tuple[object, ...]]]]
    told: object = None
    after: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Refused:
    """How a stream ends that can't be loaded: the exit code, and what stderr says; nothing is loaded."""

    exit_code: int
    says: list[str]


EXPECTED = {
    "array_data": Loaded(
        {
            "test_array_data": (
                "id fruits",
                [
                    (1, '[ "apple", "orange", "pear" ]'),
                    (2, '[ "banana", "apple" ]'),
                    (3, '[ "pear" ]'),
                    (4, '[ "orange", "banana", "apple", "pear" ]'),
                ],
            )
        },
        told={"test_array_data": 4},
    ),
    "camelcase": Loaded(
        {"testcamelcase": ("id clientname", [("1", "Gitter Windows Desktop App"), ("2", "Gitter iOS App")])}
    ),
    "camelcase_complex_schema": Loaded(
        {
            "forecastingtypetocategory": (
                (
                    "id isdeleted createddate createdbyid lastmodifieddate lastmodifiedbyid systemmodstamp "
                    "forecastingtypeid forecastingitemcategory displayposition isadjustable isowneradjustable "
                    "age newcamelcasedattribute _attribute_startswith_underscore"
                ),
                [],
            )
        }
    ),
    "duplicate_records": Loaded(
        {"test_duplicate_records": ("id metric", [(1, 100), (2, 20)])}, told={"test_duplicate_records": 2}
    ),
    "encoded_string_data": Loaded(
        {
            "test_strings": (
                "id info",
                [
                    (1, "simple string 2837"),
                    (2, "απλή συμβολοσειρά"),
                    (3, "简单的字串"),
                    (4, "chaîne simple"),
                    (5, 'quoted "string"'),
                    (6, 'various " \\ / \n escape sequences'),
                    (7, "m"),
                    (8, "ā"),
                    (9, "ƙ"),
                    (10, "Double quoting: \\u0000 \\u0041 \\u0001"),
                    (11, "Control Characters in string: \x00 A \x01"),
                ],
            ),
            "test_strings_in_objects": (
                "id info",
                [
                    (1, '{"name": "simple", "value": "simple string 2837"}'),
                    (2, '{"name": "greek", "value": "απλή συμβολοσειρά"}'),
                    (3, '{"name": "chinese", "value": "简单的字串"}'),
                    (4, '{"name": "french", "value": "chaîne simple"}'),
                    (5, r'{"name": "quoted string", "value": "quoted \"string\""}'),
                    (6, r'{"name": "escape sequences", "value": "various \" \\ \/ \n escape sequences"}'),
                    (7, r'{"name": "unicode", "value": "\u006D"}'),
                    (8, r'{"name": "unicode", "value": "\u0101"}'),
                    (9, r'{"name": "unicode", "value": "\u0199"}'),
                    (10, r'{"name": "Double quoting", "value": " \\u0000 \\u0041 \\u0001"}'),
                    (11, r'{"name": "Control Characters in string", "value": "\u0000 \u0041 \u0001"}'),
                ],
            ),
            "test_strings_in_arrays": (
                "id strings",
                [
                    (1, '["simple string", "απλή συμβολοσειρά", "简单的字串"]'),
                    (2, r'["chaîne simple", "quoted \"string\""]'),
                    (3, r'["various \" \\ \/ \n escape sequences"]'),
                    (4, r'["\u006D", "\u0101", "\u0199"]'),
                    (5, r'["aaa", "Double quoting: \\u0000 \\u0041 \\u0001"]'),
                    (6, r'["bbb", "Control Characters in string: \u0000 \u0041 \u0001"]'),
                ],
            ),
        },
        told={"test_strings": 11, "test_strings_in_objects": 11, "test_strings_in_arrays": 6},
    ),
    "invalid_schema": Refused(5, ["stream 'test_invalid_schema'", "there are no columns"]),
    # A record comes behind the last STATE: it is loaded, and the STATE is told all the same.
    "multiple_state_messages": Loaded(
        {
            "test_multiple_state_messages_a": (
                "id metric",
                [(1, 100), (2, 200), (3, 300), (4, 400), (5, 500), (6, 600)],
            ),
            "test_multiple_state_messages_b": (
                "id metric",
                [(1, 110), (2, 220), (3, 330), (4, 440), (5, 550), (6, 660)],
            ),
        },
        told={"test_multiple_state_messages_a": 5, "test_multiple_state_messages_b": 6},
    ),
    "no_primary_keys": Loaded({"test_no_pk": ("id metric", [(1, 11), (2, 22), (3, 33)])}, told={"test_no_pk": 3}),
    "no_primary_keys_append": Loaded(
        {
            "test_no_pk": (
                "id metric",
                [(1, 11), (1, 101), (2, 22), (2, 202), (3, 33), (3, 303), (4, 404), (5, 505)],
            )
        },
        told={"test_no_pk": 5},
        after=["no_primary_keys"],
    ),
    "optional_attributes": Loaded(
        {
            "test_optional_attributes": (
                "id optional",
                [(1, "This is optional"), (2, None), (3, "Also optional"), (4, None)],
            )
        },
        told={"test_optional_attributes": 4},
    ),
    # Its `key_properties` stand inside the schema, where they mean nothing: a stream without a key.
    "pk_updates": Loaded(
        {
            "example_stream": (
                "id name email",
                [(1, "Alice", "alice@example.com"), (2, "Bob", "bob@example.com")],
            )
        }
    ),
    "record_before_schema": Refused(3, ["line 1", "'test_record_before_schema'", "SCHEMA"]),
    "record_missing_fields": Loaded(
        {"record_missing_fields": ("id optional", [(1, "now you see me"), (2, None)])}, told={}
    ),
    "record_missing_key_property": Refused(4, ["line 2", "'test_record_missing_key_property'", "$.id"]),
    "record_missing_required_property": Refused(4, ["line 2", "'test_record_missing_required_property'", "$.id"]),
    "schema_no_properties": Loaded(
        {
            "test_object_schema_with_properties": (
                "object_store",
                [('{"id": 1, "metric": 187}',), ('{"id": 2, "metric": 203}',)],
            ),
            "test_object_schema_no_properties": (
                "object_store",
                [('{"id": 1, "metric": 1}',), ('{"id": 2, "metric": 2}',)],
            ),
        }
    ),
    "schema_updates": Loaded(
        {
            "test_schema_updates": (
                "id a1 a2 a3 a4 a5 a6",
                [
                    (1, 101.0, "string1", None, None, None, None),
                    (2, 102.0, "string2", True, None, None, None),
                    (3, 103.0, "string3", False, '{"id": 1, "value": 1}', '[ "banana", "apple" ]', None),
                    (4, 104.0, "string4", True, '{"id": 2, "value": 22}', '[ "orange", "pear" ]', None),
                    (5, 105.0, "string5", False, '{"id": 3, "value": 33}', '[ "apple" ]', 985),
                    (6, 106.0, "string6", True, '{"id": 4, "value": 444}', '[ "banana", "orange" ]', 341),
                ],
            )
        },
        told={"test_schema_updates": 6},
    ),
    # Its record carries a version, which gives the table the columns that versions need.
    "special_chars_in_attributes": Loaded(
        {
            "test_specialchars_in_attributes": (
                "_id d _sdc_table_version _sdc_deleted_at",
                [
                    (
                        "a2e98886",
                        '{"env": "prod", "agent:type": "desktop", "agent:os:version": "10.13.1"}',
                        1541199424491,
                        None,
                    )
                ],
            )
        }
    ),
    "user_location_data": Loaded(
        {
            "test_users": ("id name", [(1, "Yannis"), (2, "Micael"), (3, "Jacob"), (4, "Josh"), (5, "Thomas")]),
            "test_locations": ("id name", [(1, "Philadelphia"), (2, "NY"), (3, "SF")]),
            "test_user_in_location": (
                "id user_id location_id info",
                [
                    (1, 1, 1, '{"weather": "rainy", "mood": "sad"}'),
                    (2, 1, 2, '{"weather": "sunny", "mood": "satisfied"}'),
                    (3, 1, 3, '{"weather": "sunny", "mood": "happy"}'),
                ],
            ),
        },
        told={"test_users": 5, "test_locations": 3, "test_user_in_location": 3},
    ),
    "user_location_upsert_data": Loaded(
        {
            "test_users": (
                "id name",
                [
                    (1, "Johny"),
                    (2, "George"),
                    (3, "Jacob"),
                    (4, "Josh"),
                    (5, "Jim"),
                    (8, "Thomas"),
                    (12, "Paul"),
                    (13, "Mary"),
                ],
            ),
            "test_locations": (
                "id name",
                [(1, "Philly"), (2, "NY"), (3, "San Francisco"), (6, "Colorado"), (8, "Boston")],
            ),
            "test_user_in_location": (
                "id user_id location_id info",
                [
                    (1, 1, 4, '{"weather": "rainy", "mood": "sad"}'),
                    (2, 2, 3, '{"weather": "sunny", "mood": "satisfied"}'),
                    (3, 1, 3, '{"weather": "sunny", "mood": "happy"}'),
                    (6, 3, 2, '{"weather": "sunny", "mood": "happy"}'),
                    (14, 4, 1, '{"weather": "cloudy", "mood": "ok"}'),
                ],
            ),
        },
        told={"test_users": 13, "test_locations": 8, "test_user_in_location": 14},
        after=["user_location_data"],
    ),
}


def loading(name, folder):
    """How `target-tailrace` ended with that stream on stdin."""
    config = folder / "config.json"
    config.write_text(json.dumps({"to": f"duckdb:///{folder / 'sdk.duckdb'}"}))
    sent = (STREAMS / f"{name}.singer").read_bytes()
    return run("--config", config, program="target-tailrace", stdin=sent)


def found(folder):
    """All tables in the database but the checkpoints', each as its columns and rows; types of values matter."""
    with duckdb.connect(str(folder / "sdk.duckdb"), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        tables = {}
        for name in set(names) - {"_tailrace_checkpoints"}:
            rows = connection.execute(f'SELECT * FROM "{name}" ORDER BY ALL').fetchall()
            tables[name] = (" ".join(column[0] for column in connection.description), rows)
        return tables


def typed(tables):
    """The tables with the type of each value beside it, so that True isn't 1."""
    return {
        name: (columns, [[(type(value), value) for value in row] for row in rows])
        for name, (columns, rows) in tables.items()
    }


def test_no_shipped_stream_is_left_without_an_expectation():
    assert len(SHIPPED) >= 19
    assert sorted(EXPECTED) == SHIPPED


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if isinstance(expected, Loaded)])
def test_a_shipped_stream_is_loaded_as_expected(name, tmp_path):
    expected = EXPECTED[name]
    for earlier in expected.after:
        assert loading(earlier, tmp_path).returncode == 0
    ended = loading(name, tmp_path)
    assert ended.returncode == 0, ended.stderr.decode()
    assert typed(found(tmp_path)) == typed(expected.tables)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert told == ([] if expected.told is None else [expected.told])


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if isinstance(expected, Refused)])
def test_a_shipped_stream_that_is_wrong_is_refused_with_its_line(name, tmp_path):
    expected = EXPECTED[name]
    ended = loading(name, tmp_path)
    assert ended.returncode == expected.exit_code
    for words in expected.says:
        assert words in ended.stderr.decode()
    assert ended.stdout == b""
    assert [rows for _, rows in found(tmp_path).values() if rows] == []


def test_columns_of_the_evolved_camelcase_stream_have_the_types_of_both_of_its_schemas(tmp_path):
    assert loading("camelcase_complex_schema", tmp_path).returncode == 0
    with duckdb.connect(str(tmp_path / "sdk.duckdb"), read_only=True) as connection:
        described = connection.execute("DESCRIBE forecastingtypetocategory").fetchall()
    types = {column: kind for column, kind, *_ in described}
    assert (types["id"], types["isdeleted"], types["displayposition"]) == ("VARCHAR", "BOOLEAN", "BIGINT")
    # A date-time or any other string: only text holds both.
    assert types["createddate"] == types["lastmodifieddate"] == types["systemmodstamp"] == "VARCHAR"
    assert (types["age"], types["newcamelcasedattribute"]) == ("BIGINT", "VARCHAR")
