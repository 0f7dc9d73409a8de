"""The native decoder where the reference's answer isn't the first that comes to mind."""

import json
from datetime import UTC, datetime

import pytest

pytest.importorskip("tailrace_native", reason="cargo isn't at hand, so that tailrace-native isn't built")

from tailrace.config import StreamSettings
from tailrace.decode import implementation
from tailrace.decode.layout import RecordLayout
from tailrace.decode.native import Native
from tailrace.decode.reference import Reference
from tailrace.model import Clock, Growth, RecordBlock, Traits
from tailrace.schema.stream import planned_stream

NOW = datetime(2024, 1, 2, tzinfo=UTC)
CLOCK = Clock(NOW, lambda: NOW)


def stream_of(schema, **options):
    settings = StreamSettings.model_validate({"nested": "flatten", **options})
    traits = Traits("tests", "none")
    return planned_stream("s", json.dumps(schema).encode(), (), settings, traits, revision=1, versioned=False)


def test_unknown_fields_with_one_path_are_counted_together():
    inner = {"type": ["null", "object"], "properties": {"c": {"type": ["null", "integer"]}}}
    stream = stream_of({"type": "object", "properties": {"a": inner}})
    run = RecordBlock.of("s", b'{"type":"RECORD","stream":"s","record":{"a":{"b":1},"a.b":2}}\n', (1, 1))
    assert Native(stream, CLOCK).decode(run).unknown == Reference(stream, CLOCK).decode(run).unknown == {"a.b": 2}


@pytest.mark.parametrize(("levels", "expected"), [(30, Native), (70, Reference)])
def test_objects_in_very_many_objects_are_left_to_the_reference(levels, expected):
    schema = {"type": ["null", "integer"]}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    stream = stream_of({"type": "object", "properties": {"a": schema}}, max_level=levels + 1)
    assert implementation(RecordLayout(stream), is_native=True) is expected
    implementation(RecordLayout(stream), is_native=True)(stream, CLOCK)


class CountingReference(Reference):
    """The reference, and how many records it was asked about."""

    records = 0

    def decode_at(self, run, now, *, is_bare=False):
        self.records += run.count
        return super().decode_at(run, now, is_bare=is_bare)


PROPERTIES = {
    "id": {"type": "integer"},
    "at": {"type": ["null", "string"], "format": "date-time"},
    "u": {"type": ["null", "string"], "format": "uuid"},
    "ok": {"type": ["null", "boolean"]},
    "o": {"type": "object", "properties": {"n": {"type": ["null", "number"]}, "x": {"type": "string"}}},
}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["id"]}
GOOD = '{"id":1,"at":"2024-01-01T00:00:00Z","ok":true,"o":{"n":0.5}}'


def decoded_with_count(stream, *records, more=""):
    """What the native decoder answers, which must be the reference's answer, and how many records it left to that."""
    lines = [f'{{"type":"RECORD","stream":"s","record":{record}{more}}}\n' for record in records]
    run = RecordBlock.of("s", "".join(lines).encode(errors="surrogateescape"), (1, len(lines)))
    native = Native(stream, CLOCK)
    native._reference = CountingReference(stream, CLOCK)
    found, expected = native.decode(run), Reference(stream, CLOCK).decode(run)
    assert found == expected or (found.growth is None and found.refused == expected.refused)
    assert found.rows.equals(expected.rows)
    return found, native._reference.records


@pytest.mark.parametrize(
    "record",
    [
        '{"id":1,"id":2}',
        '{"id":1,"z":1,"z":2,"o":{"n":1,"n":"x"}}',
        '{"id":"x"}',
        '{"id":1.5}',
        '{"id":9223372036854775808}',
        '{"id":null}',
        "{}",
        '{"id":1,"at":"yesterday"}',
        '{"id":1,"at":"2024-02-30"}',
        '{"id":1,"at":1704067200}',
        '{"id":1,"u":"123"}',
        '{"id":1,"ok":"maybe"}',
        '{"id":1,"o":5}',
        '{"id":1,"o":null}',
        '{"id":1,"o":{"x":null,"n":[]}}',
    ],
)
def test_the_commonest_refusals_are_told_natively_in_the_references_words(record):
    found, left = decoded_with_count(stream_of(SCHEMA), GOOD, record, GOOD)
    assert ([refused.line for refused in found.refused], left) == ([2], 0)


@pytest.mark.parametrize("record", ['{"id":1,"at":"2024-01-01T25:00:00Z"}', '{"id":1,"it\'s":1,"it\'s":2}', "{,}"])
def test_a_refusal_whose_words_are_not_certain_is_the_references(record):
    found, left = decoded_with_count(stream_of(SCHEMA), GOOD, record, GOOD)
    assert ([refused.line for refused in found.refused], left) == ([2], 1)


def test_a_stream_without_a_column_for_versions_has_to_grow_and_no_record_goes_to_the_reference():
    found, left = decoded_with_count(stream_of(SCHEMA), *[GOOD] * 5, more=',"version":7')
    assert (found.growth, left) == (Growth({}, versioned=True, line=1), 0)


@pytest.mark.parametrize(
    ("options", "growth", "count"),
    [
        ({}, Growth({}, versioned=True, line=1), 0),
        (
            {"unknown_fields": "evolve"},
            Growth({"z": {}, "_sdc_deleted_at": {"type": ["null", "string"]}}, versioned=True, line=1),
            1,
        ),
        ({"hard_delete": True}, Growth({}, versioned=True, deletable=True, line=1), 1),
    ],
)
def test_lines_behind_a_version_are_looked_at_where_they_may_have_the_stream_grow_too(options, growth, count):
    records = [GOOD, "{,}", '{"id":1,"z":1,"_sdc_deleted_at":"2024-01-31T12:00:00Z"}', '{"id":1,"z":"x"}']
    found, left = decoded_with_count(stream_of(SCHEMA, **options), *records, more=',"version":7')
    assert (found.growth, left) == (growth, count)


def test_new_fields_are_found_natively_in_the_order_of_the_records():
    records = ['{"id":1,"b":null,"a":null}', '{"id":"x","c":1}', '{"id":1,"a":1,"b":"x"}', '{"id":1,"b":1e3,"a":1.5}']
    found, left = decoded_with_count(stream_of(SCHEMA, unknown_fields="evolve"), *records)
    assert found.growth == Growth({"a": {"type": ["null", "number"]}, "b": {}}, line=3)
    assert (list(found.growth.fields), left) == (["a", "b"], 0)


def test_new_fields_of_doubtful_records_come_in_the_order_of_the_lines_too():
    records = [GOOD, '{"id":1e0,"\\u007a":1,"x":"\\ud83d\\ude00"}', '{"id":1,"a":1}', '{"id":1,"big":%s}' % ("9" * 50)]
    found, _ = decoded_with_count(stream_of(SCHEMA, unknown_fields="evolve"), *reversed(records))
    assert list(found.growth.fields) == ["big", "a", "z", "x"]


def test_records_that_keep_every_keyword_do_not_go_to_the_reference():
    properties = PROPERTIES | {"id": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}}
    stream = stream_of(SCHEMA | {"properties": properties, "minProperties": 2}, validation="full")
    assert implementation(RecordLayout(stream), is_native=True) is Native
    found, left = decoded_with_count(stream, GOOD, GOOD.replace("1,", "-1,", 1), '{"id":9007199254740993,"o":{}}')
    assert [(each.line, each.violations[0].path) for each in found.refused] == [(2, "$.id")]
    assert (found.rows["id"].to_pylist(), left) == ([1, 9007199254740993], 1)


@pytest.mark.parametrize("validation", ["types", "full"])
def test_a_line_that_is_not_utf8_leaves_those_beside_it_with_the_native_decoder(validation):
    stream = stream_of(SCHEMA | {"minProperties": 1}, validation=validation)
    found, left = decoded_with_count(stream, GOOD, '{"id":2,"at":"\udcff"}', GOOD, '{"id":3,"o":{"x":"é"}}')
    assert ([each.line for each in found.refused], found.rows["id"].to_pylist()[-1], left) == ([2], 3, 1)


def test_refused_records_are_a_sequence_and_are_written_as_entries():
    found, _ = decoded_with_count(stream_of(SCHEMA), '{"id":"é"}', GOOD, '{"id":true}')
    refused = found.refused
    assert refused[-1].line == 3
    assert refused[:1] == (refused[0],)
    assert len(refused[5:]) == 0
    with pytest.raises(IndexError):
        refused[2]
    first, second = map(json.loads, b"".join(refused.entries(pipeline="p", run='r"')).splitlines())
    assert first == {
        "record": '{"type":"RECORD","stream":"s","record":{"id":"é"}}',
        "stream": "s",
        "line": 1,
        "reasons": [{"code": "type", "path": "$.id", "expected": "an integer", "got": '"é"'}],
        "pipeline": "p",
        "run": 'r"',
    }
    assert (second["line"], second["reasons"][0]["got"]) == (3, "true")


def test_entries_of_many_refused_records_are_written_some_at_a_time():
    records = ['{"id":"%s"}' % ("x" * 1000)] * 500
    found, left = decoded_with_count(stream_of(SCHEMA), *records)
    parts = list(found.refused.entries(run="r"))
    assert (left, len(parts) > 5) == (0, True)
    assert all(part.endswith(b"}\n") for part in parts)
    assert [json.loads(line)["line"] for line in b"".join(parts).splitlines()] == [*range(1, 501)]
