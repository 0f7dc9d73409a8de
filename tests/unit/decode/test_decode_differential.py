"""The native decoder gives the reference's answer for every input, accepted and refused alike."""

import json
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.config import StreamSettings
from tailrace.decode import decoder
from tailrace.decode.layout import RecordLayout
from tailrace.decode.reference import Reference
from tailrace.model import Clock, RecordBlock, Traits
from tailrace.schema.stream import planned_stream

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
CLOCK = Clock(NOW, lambda: NOW)

SCALARS = [
    {"type": "integer"},
    {"type": "number"},
    {"type": "string"},
    {"type": "boolean"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "contentEncoding": "base64"},
    {"type": "string", "format": "singer.decimal", "precision": 10, "scale": 2},
    {"type": "number", "multipleOf": 0.01},
    {"type": "number", "x-singer.decimal": {"precision": 38, "scale": 38}},
    {"type": "number", "x-singer.decimal": {"precision": 38, "scale": 30}},
]
TOKENS = [
    *(
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "1.0",
        "1e3",
        "1E-3",
        "0.1",
        "517.6",
        "1e400",
        "1e-400",
        "-0.0",
        "100",
    ),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "0.12345678901234567", "123456789", "1.005"),
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        ".5",
        "{}",
        "[]",
        "[1]",
        '{"a":1}',
        "0e99",
        "12345678901234567890123456789",
    ),
    *(
        '""',
        '"x"',
        '"1"',
        '"1.50"',
        '"+1"',
        '"\\u0000"',
        '"\\ud83d\\ude00"',
        '"\\ud83d"',
        '"é漢😀"',
        '"}{"',
        '"} {"',
        '"\\n"',
    ),
    *(
        '"2013-01-01T05:00:00Z"',
        '"2013-01-01T05:00:00.123456+05:30"',
        '"2013-01-01 05:00:00"',
        '"2013-01-01"',
        '"12:00:00"',
    ),
    *(
        '"2013-02-29T05:00:00Z"',
        '"0001-01-01T00:00:00+01:00"',
        '"0000-01-01"',
        '"9999-12-31T23:59:59-01:00"',
        '"24:00:00"',
    ),
    *(
        '"2016-12-31T23:59:60Z"',
        '"12:00:00.5"',
        '"12:00:00Z"',
        '"2013-01-01T05:00:00.1234567Z"',
        '"0000-01-01T00:00:00Z"',
    ),
    *('"123E4567-e89b-12d3-a456-426614174000"', '"AA=="', '"AB=="', '"null"', '"\\"a\\":1"', '"a"', '"\\"a"'),
]
GOOD = {
    "integer": ["0", "1", "-5", "null", "20130101"],
    "number": ["0", "1.5", "-2.25", "null", "0.1", "3"],
    "string": ['""', '"x"', '"2013-01-01T05:00:00Z"', '"2013-01-01"', '"12:00:00"', '"1.5"', "null"],
    "boolean": ["true", "false", "null"],
}
NAMES = ["a", "b", "type", "record", "a b", "漢", "version", "x.y", "_sdc_deleted_at", "%s"]
NEWS = ["a", "z", "\\u0061", "b", "type"]


@st.composite
def streams(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    properties = {}
    for name in names:
        scalar = dict(draw(st.sampled_from(SCALARS)))
        if draw(st.booleans()):
            scalar["type"] = [scalar["type"], "null"]
        if draw(st.integers(0, 5)) == 0:
            inner = dict(draw(st.sampled_from(SCALARS)))
            scalar = {
                "type": draw(st.sampled_from(["object", ["object", "null"]])),
                "properties": {"a": inner, "c": scalar},
            }
            if draw(st.booleans()):
                scalar["required"] = ["a"]
        properties[name] = scalar
    schema = {"type": "object", "properties": properties}
    schema["required"] = draw(st.lists(st.sampled_from(names), unique=True))
    if draw(st.booleans()):
        schema["$schema"] = "http://json-schema.org/draft-04/schema#"
    options = {
        "validation": draw(st.sampled_from(["types", "types", "off"])),
        "coerce": draw(st.sampled_from([None, "exact", "none"])),
        "hard_delete": draw(st.sampled_from([False, False, True])),
        "unknown_fields": draw(st.sampled_from(["drop", "fail", "evolve"])),
        "nested": "flatten",
        "naming": "preserve",
        "metadata": draw(st.sampled_from(["none", "singer"])),
    }
    unselected = draw(st.sampled_from([None, None, None, *names[1:]]))
    if unselected:
        options["columns"] = {unselected: {"select": False}}
    key = draw(st.sampled_from([(), (names[0],) if "properties" not in properties[names[0]] else ()]))
    return planned_stream(
        "s",
        json.dumps(schema).encode(),
        key,
        StreamSettings.model_validate(options),
        Traits("t", "none"),
        revision=1,
        versioned=draw(st.booleans()),
    )


def type_of(value):
    return next((t for t in ("integer", "number", "boolean") if t in value.types), "string")


@st.composite
def objects(draw, plan, is_good):
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" : ", " ,")]))
    fields = []
    for name, field in plan.fields.items():
        if hasattr(field, "fields"):
            sent = draw(
                st.one_of(objects(field, is_good), st.sampled_from(["null", "{}", "5"] if not is_good else ["null"]))
            )
        else:
            sent = draw(st.sampled_from(GOOD[type_of(field)] if is_good else TOKENS))
        if is_good or draw(st.integers(0, 9)):
            fields.append((json.dumps(name, ensure_ascii=False), sent))
    if not is_good and draw(st.integers(0, 5)) == 0:
        fields.append((f'"{draw(st.sampled_from(NEWS))}"', draw(st.sampled_from(TOKENS))))
    if draw(st.booleans()):
        fields.reverse()
    return "{" + comma.join(f"{name}{colon}{value}" for name, value in fields) + "}"


@st.composite
def lines(draw, plan):
    is_good = draw(st.integers(0, 3)) > 0
    record = draw(objects(plan.record, is_good))
    extra = draw(
        st.sampled_from(
            [
                "",
                "",
                "",
                ',"time_extracted":"2024-01-01T00:00:00.5Z"',
                ',"time_extracted":5',
                ',"time_extracted":"2024-01-01T00:00:00.123456789Z"',
                ',"version":1',
                ',"x":1',
                ',"version":null',
            ]
        )
    )
    return f'{{"type":"RECORD","stream":"s","record":{record}{extra}}}'.encode()


def mutated(data, at, byte, how):
    at %= max(1, len(data))
    if how == 0:
        return data[:at] + data[at + 1 :]
    return data[:at] + bytes([byte]) + data[at + (how == 1) :]


@st.composite
def runs(draw, plan):
    sent = draw(st.lists(lines(plan), min_size=1, max_size=8))
    if draw(st.integers(0, 2)) == 0:
        which = draw(st.integers(0, len(sent) - 1))
        byte = draw(st.one_of(st.sampled_from(b'{}[]",:n \t\r\\0\xff\xed\xa0'), st.integers(0, 255))) or 1
        if byte != ord("\n"):
            sent[which] = mutated(sent[which], draw(st.integers(0, 400)), byte, draw(st.integers(0, 2)))
    if draw(st.integers(0, 9)) == 0:
        sent.append(
            draw(st.sampled_from([b"", b"null", b"{}", b"x", sent[0] + sent[0], sent[0] + b"null", b" " + sent[0]]))
        )
    first = draw(st.integers(0, len(sent) - 1))
    spans = [span for span in ((3, first), (50, len(sent) - first)) if span[1]]
    return RecordBlock.of("s", b"".join(line + b"\n" for line in sent), *spans)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_the_native_decoder_answers_as_the_reference_does(data):
    stream = data.draw(streams())
    run = data.draw(runs(RecordLayout(stream)))
    expected = Reference(stream, CLOCK).decode(run)
    found = decoder(stream, CLOCK).decode(run)
    assert found.growth == expected.growth
    assert found.refused == expected.refused
    assert found.unknown == expected.unknown
    assert found.inexact == expected.inexact
    assert found.coerced == expected.coerced
    assert found.odd == expected.odd
    assert found.rows.schema == expected.rows.schema
    assert repr(found.rows.to_pylist()) == repr(expected.rows.to_pylist())
    if expected.growth is None:
        assert found.rows.num_rows + len(found.refused) == run.count
