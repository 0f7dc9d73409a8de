"""Messages besides records: what a line may say, and how each way of being wrong is told."""

import json

import pytest
from reading import messages_of

from tailrace.errors import MessageError
from tailrace.log import printable
from tailrace.model import RecordBlock
from tailrace.singer.messages import ActivateVersionMessage, BatchMessage, LogLine, SchemaMessage, StateMessage
from tailrace.singer.reader import Reader

DEEP = b"[" * 10_000 + b"]" * 10_000
SCHEMA = b'{"type": "SCHEMA", "stream": "a", "schema": {"properties": {"n": 1.50}}, "key_properties": ["id"]}'


def read(line):
    (block,) = Reader(max_line_bytes=2**20).feed(line + b"\n")
    (message,) = messages_of(block)
    return message


def error_of(line):
    reader = Reader(max_line_bytes=2**20)
    assert len(list(reader.feed(SCHEMA + b"\n\n"))) == 1
    with pytest.raises(MessageError) as raised:
        list(reader.feed(line + b"\n"))
    assert raised.value.line == 3
    return str(raised.value).removeprefix("line 3: ")


def test_a_schema_keeps_its_json_text_as_sent():
    assert read(SCHEMA) == SchemaMessage(1, "a", b'{"properties": {"n": 1.50}}', ("id",), (), None, None)


@pytest.mark.parametrize("keys", [b"", b', "key_properties": null'])
def test_a_schema_may_come_without_keys(keys):
    assert read(b'{"type": "SCHEMA", "stream": "a", "schema": {}' + keys + b"}").key_properties is None


def test_an_empty_list_of_keys_is_not_the_same_as_none():
    assert read(b'{"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": []}').key_properties == ()


def test_a_schema_may_say_more_about_its_stream():
    line = (
        b'{"extra": [1], "schema": {}, "unique_conflict_method": "IGNORE", "unique_constraints": ["x", "y"],'
        b' "bookmark_properties": ["at"], "key_properties": ["id", "day"], "stream": "a", "type": "SCHEMA"}'
    )
    assert read(line) == SchemaMessage(1, "a", b"{}", ("id", "day"), ("at",), ("x", "y"), "IGNORE")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"type": "SCHEMA", "schema": {}}', "the SCHEMA message's 'stream' is missing; it must be a string"),
        (
            b'{"type": "SCHEMA", "stream": "", "schema": {}}',
            """the SCHEMA message's 'stream' is ""; it must be a name""",
        ),
        (b'{"type": "SCHEMA", "stream": 5, "schema": {}}', "the SCHEMA message's 'stream' is 5; it must be a string"),
        (b'{"type": "SCHEMA", "stream": "a"}', "the SCHEMA message's 'schema' is missing; it must be an object"),
        (
            b'{"type": "SCHEMA", "stream": "a", "schema": true}',
            "the SCHEMA message's 'schema' is true; it must be an object",
        ),
        (
            b'{"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": "id"}',
            """the SCHEMA message's 'key_properties' is "id"; it must be a list of strings or null""",
        ),
        (
            b'{"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": [["id"]]}',
            """the SCHEMA message's 'key_properties' is [["id"]]; it must be a list of strings or null""",
        ),
        (
            b'{"type": "SCHEMA", "stream": "a", "schema": {}, "unique_conflict_method": "REPLACE"}',
            """the SCHEMA message's 'unique_conflict_method' is "REPLACE"; it must be UPDATE or IGNORE""",
        ),
    ],
)
def test_a_schema_that_is_not_as_it_must_be_is_an_error_that_says_how(line, text):
    assert error_of(line) == text


@pytest.mark.parametrize(
    "value",
    [
        b'{"b": 1, "a": 1.0, "b": 2}',
        b"null",
        b'"x"',
        b"9" * 400,
        b"1e999",
        b"[" * 50 + b"]" * 50,
        '{"語": "\\u00e9"}'.encode(),
    ],
)
def test_a_state_keeps_its_json_text_as_sent(value):
    assert read(b'{"type": "STATE", "value":  ' + value + b' , "more": 1}') == StateMessage(1, value)


def test_a_state_without_a_value_is_an_error():
    assert (
        error_of(b'{"type": "STATE"}') == "the STATE message's 'value' is missing; it must be the state to go on from"
    )


@pytest.mark.parametrize(
    ("text", "version"), [(b"-9223372036854775808", -(2**63)), (b"0", 0), (b"9223372036854775807", 2**63 - 1)]
)
def test_a_version_is_any_integer_of_64_bits(text, version):
    assert read(b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": ' + text + b"}") == ActivateVersionMessage(
        1, "a", version
    )


@pytest.mark.parametrize("text", [b"9223372036854775808", b"1.0", b'"1"', b"null", b"true", b"1" * 400])
def test_a_version_that_is_no_integer_of_64_bits_is_an_error(text):
    assert "'version' is" in error_of(b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": ' + text + b"}")


def test_a_log_line_may_come_with_its_type_or_without():
    assert read(b'{"type": "LOG", "level": "WARNING", "message": "slow"}') == LogLine(1, "WARNING", "slow")
    assert read(b'{"message": "slow", "level": "info", "logger": "x"}') == LogLine(1, "info", "slow")


def batch(**members):
    whole = {"type": "BATCH", "stream": "a", "encoding": {"format": "jsonl"}, "manifest": []} | members
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, BatchMessage(1, "a", "jsonl", "none", ())),
        ({"encoding": {"format": "jsonl", "compression": None}}, BatchMessage(1, "a", "jsonl", "none", ())),
        (
            {"encoding": {"format": "parquet", "compression": "snappy", "more": 1}, "manifest": ["s3://b/c", "d"]},
            BatchMessage(1, "a", "parquet", "snappy", ("s3://b/c", "d")),
        ),
        (
            {"encoding": {"format": "arrow", "compression": "zstd"}, "version": 7},
            BatchMessage(1, "a", "arrow", "zstd", (), 7),
        ),
        ({"version": None}, BatchMessage(1, "a", "jsonl", "none", ())),
    ],
)
def test_a_batch_has_a_format_a_compression_a_manifest_and_maybe_a_version(members, told):
    assert read(batch(**members)) == told


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"stream": ""}, "the BATCH message's 'stream' is \"\"; it must be a name"),
        ({"encoding": None}, "the BATCH message's 'encoding' is null; it must be an object"),
        ({"encoding": "jsonl"}, "the BATCH message's 'encoding' is \"jsonl\"; it must be an object"),
        ({"encoding": {}}, "the BATCH message's 'encoding.format' is missing; it must be a string"),
        (
            {"encoding": {"format": "csv"}},
            "the BATCH message's 'encoding.format' is \"csv\"; it must be one of jsonl, parquet, arrow",
        ),
        (
            {"encoding": {"format": "jsonl", "compression": "snappy"}},
            "the BATCH message's 'encoding.compression' is \"snappy\"; it must be one of none, gzip, zstd",
        ),
        (
            {"encoding": {"format": "jsonl", "compression": 1}},
            "the BATCH message's 'encoding.compression' is 1; it must be a string",
        ),
        ({"manifest": None}, "the BATCH message's 'manifest' is null; it must be a list of addresses of files"),
        ({"manifest": "file:///a"}, "the BATCH message's 'manifest' is \"file:///a\"; it must be a list of strings or"),
        ({"manifest": [1]}, "the BATCH message's 'manifest' is [1]; it must be a list of strings or null"),
        ({"version": 1.5}, "the BATCH message's 'version' is 1.5; it must be an integer of 64 bits"),
    ],
)
def test_a_batch_of_another_shape_is_an_error_that_names_the_field(members, text):
    assert text in error_of(batch(**members))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"type": "RECORDS"}', "the message's type 'RECORDS' isn't known; did it mean RECORD?"),
        (b'{"type": "states", "value": 1}', "the message's type 'states' isn't known; did it mean STATE?"),
        (
            b'{"type": "xyz"}',
            "the message's type 'xyz' isn't known; the types are RECORD, SCHEMA, STATE, ACTIVATE_VERSION, LOG, BATCH",
        ),
    ],
)
def test_an_unknown_type_is_named_with_the_nearest_known(line, text):
    assert error_of(line) == text


@pytest.mark.parametrize("line", [b"{}", b'{"stream": "a", "record": {}}', b'{"level": 20, "message": "x"}'])
def test_a_message_without_a_type_is_an_error(line):
    assert error_of(line).startswith("the message has no 'type'; it must be one of RECORD, SCHEMA")


@pytest.mark.parametrize("line", [b'{"type": null}', b'{"type": 5}', b'{"type": ["RECORD"], "stream": "a"}'])
def test_a_type_that_is_no_string_is_an_error(line):
    assert "'type' is" in error_of(line)


@pytest.mark.parametrize("line", [b"[]", b"12", b'"RECORD"', b"null", b"[" + SCHEMA + b"]"])
def test_a_line_that_is_no_object_is_an_error(line):
    assert error_of(line).startswith("a message must be a JSON object, and this is ")


@pytest.mark.parametrize(
    "line",
    [b"Traceback (most recent call last):", SCHEMA[:-1], SCHEMA + b"}", SCHEMA + SCHEMA, b'{"type": Nan}', b"\x1f\x8b"],
)
def test_a_line_that_is_not_json_is_an_error_that_shows_its_beginning(line):
    error = error_of(line)
    assert error.startswith("the line isn't JSON")
    assert f"it begins {printable(line[:60].decode(errors='backslashreplace').strip())}" in error


@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "STATE", "value": "\xff"}',
        b'{"type": "STATE", "value": 1, "\xff": 1}',
        b'{"type": "SCHEMA", "stream": "a", "schema": {"title": "\xed\xa0\x80"}}',
        b'{"type": "LOG", "level": "INFO", "message": "x", "more": "\xff"}',
    ],
)
def test_a_message_that_is_not_utf_8_is_an_error(line):
    assert error_of(line).startswith("the message isn't UTF-8 text (")


HALF = "half a character (a lone surrogate)"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"type":"STATE","value":{"e":"\\ud83d"}}', f"the STATE message has {HALF} at $.value.e;"),
        (b'{"type": "STATE", "value": "\\ud800"}', f"the STATE message has {HALF} at $.value;"),
        (b'{"type": "STATE", "value": {"\\udc00": 1}}', f"the STATE message has {HALF} in a name at $.value;"),
        (
            b'{"type": "STATE", "value": {"a": [1, "\\udc00", "\\ud800"], "b": "\\ud83d\\ude00", "c c": "\\ude00"}}',
            f"""the STATE message has {HALF} at $.value.a[1], $.value.a[2], $.value["c c"];""",
        ),
        (b'{"type": "SCHEMA", "stream": "\\ud800x", "schema": {}}', f"the SCHEMA message has {HALF} at $.stream;"),
        (
            b'{"type": "SCHEMA", "stream": "s", "schema": {"properties": {"v": {"title": "\\ud800"}}}}',
            f"the SCHEMA message has {HALF} at $.schema.properties.v.title;",
        ),
        (
            b'{"type": "ACTIVATE_VERSION", "stream": "\\ud800", "version": 1}',
            f"the ACTIVATE_VERSION message has {HALF} at $.stream;",
        ),
        (b'{"type": "STATE\\ud800", "value": 1}', rf"the STATE\ud800 message has {HALF} at $.type;"),
        (b'{"type": "STATE", "value": {"at": NaN}}', "the STATE message has NaN, which isn't JSON, at $.value.at;"),
        (b'{"type": NaN}', "the message has NaN, which isn't JSON, at $.type;"),
        (
            b'{"type": "SCHEMA", "stream": "s", "schema": {"properties": {"v": {"enum": [1, -Infinity]}}}}',
            "the SCHEMA message has -Infinity, which isn't JSON, at $.schema.properties.v.enum[1];",
        ),
    ],
)
def test_what_only_lenient_readers_of_json_take_is_named_by_its_place(line, said):
    assert error_of(line).startswith(said)


@pytest.mark.parametrize("value", [b"NaN", b'"\\ud800"'])
def test_a_record_that_only_lenient_readers_take_is_left_to_the_decoder_whatever_the_order_of_its_fields(value):
    for line in (
        b'{"type": "RECORD", "stream": "a", "record": {"x": ' + value + b"}}",
        b'{"record": {"x": ' + value + b'}, "stream": "a", "type": "record"}',
    ):
        assert read(line) == RecordBlock.of("a", line + b"\n", (1, 1))


@pytest.mark.parametrize("type_", ["SCHEMA", "schema", "Schema", "sChEmA"])
def test_a_type_may_be_written_in_any_case(type_):
    assert read(SCHEMA.replace(b"SCHEMA", type_.encode())) == read(SCHEMA)


@pytest.mark.parametrize("type_", [b"record", b"Record", b"RECORD", b"\\u0052ecord"])
def test_the_type_of_a_record_may_be_written_in_any_case(type_):
    for line in (
        b'{"type": "%b", "stream": "a", "record": {}}' % type_,
        b'{"record": {}, "stream": "a", "type": "%b"}' % type_,
    ):
        assert read(line) == RecordBlock.of("a", line + b"\n", (1, 1))


@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "STATE", "value": ' + DEEP + b"}",
        b'{"type": "SCHEMA", "stream": "a", "schema": {"x": ' + DEEP + b"}}",
        b'{"record": ' + DEEP + b', "type": "RECORD", "stream": "a"}',
        b'{"type": ' + DEEP + b"}",
    ],
)
def test_a_message_that_is_nested_ten_thousand_deep_is_an_error(line):
    assert error_of(line) == "the message is nested too deeply to be read"


def test_a_state_of_any_depth_is_read_as_sent_or_refused_as_too_deep():
    refused = 0
    for depth in range(800, 1001):
        value = b"[" * depth + b"]" * depth
        try:
            assert read(b'{"type": "STATE", "value": ' + value + b"}") == StateMessage(1, value)
        except MessageError as error:
            assert str(error) == "line 1: the message is nested too deeply to be read"  # noqa: PT017 either is right
            refused += 1
    assert 0 < refused < 201


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'{"type": "STATE", "value": 1, "value": 2}', "value"),
        (b'{"type": "STATE", "value": 1, "type": "STATE"}', "type"),
        (b'{"type": "RECORD", "type": "STATE", "value": 1}', "type"),
        (b'{"type": "SCHEMA", "stream": "a", "schema": {}, "x": 1, "\\u0078": 1}', "x"),
        (b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": 1, "stream": "b"}', "stream"),
    ],
)
def test_a_message_that_has_a_key_twice_is_an_error(line, key):
    assert f"has {key!r} more than once" in error_of(line)


@pytest.mark.parametrize("stream", [b"null", b"5", b'""', b'["a"]'])
def test_a_record_whose_stream_is_no_name_is_an_error(stream):
    assert "the RECORD message's 'stream' is" in error_of(
        b'{"type": "RECORD", "record": {}, "stream": ' + stream + b"}"
    )


def test_a_record_without_a_stream_is_an_error():
    assert (
        error_of(b'{"type": "RECORD", "record": {}}') == "the RECORD message's 'stream' is missing; it must be a name"
    )
