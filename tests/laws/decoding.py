"""Random streams and runs of random and mutated records, by a seed; and whether two decoders answer them alike.

`python tests/laws/decoding.py RECORDS [SEED]` compares the native decoder with the reference on that many.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tailrace.config import StreamSettings
from tailrace.decode import implementation
from tailrace.decode.layout import Object, RecordLayout, Value
from tailrace.decode.reference import Reference
from tailrace.errors import SchemaError
from tailrace.model import Clock, Decoded, Kind, RecordBlock, Stream, Traits
from tailrace.schema.stream import planned_stream

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
CLOCK = Clock(NOW, lambda: NOW)
RECORDS_PER_STREAM = 200
RECORDS_PER_RUN = 20

TYPES = [
    *({"type": name} for name in ("integer", "number", "string", "boolean", "object", "array")),
    *({"type": "string", "format": name} for name in ("date-time", "date", "time", "uuid")),
    *({"type": "string", "contentEncoding": name} for name in ("base64", "base16")),
    {"type": "string", "format": "singer.decimal", "precision": 10, "scale": 2},
    *({"type": "number", "multipleOf": size} for size in (0.01, 1e-9, 1)),
    *({"type": "number", "x-singer.decimal": {"precision": 38, "scale": scale}} for scale in (0, 30, 38)),
    {"type": "integer", "minimum": 0, "maximum": 2**70},
    {"type": ["integer", "string"]},
    {"type": ["number", "boolean"]},
    {},
]
KEYWORDS = [
    *({"minimum": size} for size in (0, -5, 0.1, 2**53 + 1, -(2**63), 20130101)),
    *({"maximum": size} for size in (0, 1.5, 9007199254740992, 2**63 - 1, 10**16)),
    *({"exclusiveMinimum": size} for size in (0, 0.1)),
    *({"exclusiveMaximum": size} for size in (1, 517.6)),
    *({"multipleOf": size} for size in (0.5, 0.01, 5, 0.1)),
    *({"maxLength": size} for size in (0, 1, 5)),
    {"minLength": 1},
    *({"pattern": text} for text in ("^[a-z]*$", "\\d", "^\\w+$", "é|x")),
    *({"format": name} for name in ("date-time", "date", "time", "uuid", "ipv4", "email", "singer", "uri")),
    {"enum": ["x", 1, None, 1.5, True, [1], {"a": 1}]},
    {"enum": ["x", "", "2013-01-01", "date"]},
    {"const": 1},
    {"const": "x"},
    {"not": {"type": "string"}},
    {"not": {"maximum": 1}},
    {"anyOf": [{"type": "null"}, {"format": "date-time", "type": "string"}, {"minimum": 1}]},
    {"oneOf": [{"type": ["integer", "null"]}, {"type": "number", "multipleOf": 0.5}, {"type": "string"}]},
    {"allOf": [{"$ref": "#/definitions/d"}]},
    {"uniqueItems": True},
    {"items": {"type": ["integer", "string", "null"]}},
    {"maxItems": 1},
    {"minProperties": 1},
    {"additionalProperties": False},
    {"additionalProperties": {"type": "integer"}},
    {"patternProperties": {"^a": {"type": ["null", "array", "integer"]}}},
    {"propertyNames": {"maxLength": 1}},
    {"contains": {"type": "integer"}},
    {"if": {"type": "integer"}, "then": {"maximum": 5}, "else": {"maxLength": 5}},
    {"minimum": 0, "exclusiveMinimum": True},
]
ROOT_KEYWORDS = [
    {"additionalProperties": False},
    {"minProperties": 2},
    {"maxProperties": 3},
    {"required": ["a"]},
    {"patternProperties": {"^[ab]$": {"type": ["null", "integer", "string", "number"]}}},
    {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"unevaluatedProperties": False},
    {"propertyNames": {"pattern": "^[a-z ._]+$"}},
    {"dependentRequired": {"a": ["b"]}},
]
VALUES = [
    *("null", "true", "false", "0", "-0", "1", "-1", "1.0", "10", "1e3", "1E-3", "0.1", "517.6", "1e400", "1e-400"),
    *("-0.0", "100", "1.50", "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808"),
    *("0.12345678901234567", "0.30000000000000004", "2.98023223876953125e-08", "2.9802322387695313e-08", "5e-324"),
    *("1.7976931348623157e308", "123456789012345678", "1.005", "0e99", "12345678901234567890123456789", "1e37"),
    *("0.00000000000000000000000000000000000001", "99999999999999999999999999999999999999", "1e-38", "1e38"),
    *("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "1e", "-", "--1", "{}", "[]", "[1, [2]]", '{"a":1}'),
    *('""', '"x"', '"1"', '"1.50"', '"+1"', '" 1"', '"1e2"', '"-0"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud83d"'),
    *('"é漢😀"', '"\\u00e9"', '"\\"', '"a\\/b"', '"\\x"', '"}{"', '"a\tb"', '"\x7f"', '"\\n\\r\\t\\b\\f\\\\"'),
    *('"2013-01-01T05:00:00Z"', '"2013-01-01t05:00:00z"', '"2013-01-01T05:00:00.123456+05:30"', '"2013-01-01"'),
    *('"2013-01-01 05:00:00"', '"2013-01-01T05:00:00.1234560-0730"', '"2013-01-01T05:00:00.1234561Z"'),
    *('"2013-01-01T00:00:00+00:00"', '"2013-01-01T05:00:00+01"', '"2013-01-01T05:00:00+24:00"', '"2013-1-1"'),
    *('"12:00:00"', '"12:00:00.5"', '"12:00:00Z"', '"12:00:00+01:00"', '"24:00:00"', '"23:59:60"', '"12:00"'),
    *('"2013-02-29"', '"2012-02-29"', '"1900-02-29"', '"2000-02-29"', '"0000-01-01"', '"0001-01-01"', '"9999-12-31"'),
    *('"2013-01-01T05:00Z"', '"2013-01-01 5:00"', '"20130101T050000Z"', '"20130101"', '"2013-01-01T24:00"', '"7:15"'),
    *('"2013-01-01 05:00:00 UTC"', '"2013-01-01T05:00:00+00:00+00:00"', '"2013-01-01T05:00:00Z+01:00"', '"113000"'),
    *('"2013-01-01T05:00:00.1234560000Z"', '"2013-01-01T05:00:00+00:19:32"', '"2013-01-01 0500"', '"T11:30"', '"0530"'),
    *(
        '"true"',
        '"false"',
        '"5.0"',
        '"0.1"',
        '"05"',
        '"0x00"',
        '"\\\\x00"',
        '"{}"',
        '" [1, {\\"a\\": 2}] "',
        '"{\\"a\\":}"',
    ),
    *('"{\\n}"', '"[\\"\\\\ud800\\"]"', '"[NaN]"', '"0.1000000000000000055511151231257827021181583404541015625"'),
    *("0.1000000000000000055511151231257827021181583404541015625", "123456789012345678.12", "0.10000000000000000555"),
    *('"0001-01-01T00:00:00+01:00"', '"9999-12-31T23:59:59.999999-01:00"', '"２０13-01-01"', '"2013-13-01"'),
    *(
        '"123E4567-e89b-12d3-a456-426614174000"',
        '"123e4567e89b12d3a456426614174000"',
        '"123e4567-e89b12d3a456426614174000"',
    ),
    *('"URN:UUID:123e4567-e89b-12d3-a456-426614174000"', '"urn:uuıd:123e4567-e89b-12d3-a456-426614174000"'),
    *('"AA=="', '"AB=="', '"AAAA"', '"AA"', '"A-_="', '"AA==\\n"', '"00ff"', '"00Fg"', '"0"', '"null"', '"\\u0031"'),
]
LIKELY = {
    Kind.BOOL: ["true", "false"],
    Kind.INT: ["0", "1", "-5", "20130101", "9007199254740993"],
    Kind.FLOAT: ["0", "1.5", "-2.25", "0.1", "3", "1234567.891", "0.1234567890123456", "1e10", "-1.5E-7"],
    Kind.DECIMAL: ["0", "0.01", "-0.5", "0.10", "0e5", "0.1e1"],
    Kind.TEXT: ['""', '"x"', '"é漢😀"', '"a\\n\\u00e9\\\\"', '"2013-01-01"'],
    Kind.JSON: ["{}", '{"a": [1, {"b": null}]}', "[]", '[1.5e3, "a\\u00e9", [true]]'],
    Kind.BINARY: ['""', '"AAAA"', '"00ff"', '"AA=="'],
    Kind.DATE: ['"2013-01-01"', '"2012-02-29"', '"2013-01-01T00:00:00Z"'],
    Kind.TIME: ['"12:00:00"', '"23:59:59.999999"', '"00:00:00Z"'],
    Kind.TIMESTAMP: ['"2013-01-01T05:00:00Z"', '"2013-01-01 05:00:00.5"', '"1969-12-31T23:59:59.999999-07:30"'],
    Kind.TIMESTAMPTZ: ['"2013-01-01T05:00:00Z"', '"2013-01-01"', '"1969-12-31T23:59:59.999999-07:30"'],
    Kind.UUID: ['"123E4567-e89b-12d3-a456-426614174000"', '"123e4567e89b12d3a456426614174000"'],
}
NAMES = ["a", "b", "type", "record", "a b", "漢", "version", "x.y", "_sdc_deleted_at", "%s", 'q"', "back\\slash", "é"]
NAMES += ["_mage_deleted_at"]
OTHERS = ["a", "z", "zz", "\\u0061", "b", "type", "漢", "\\u6f22", "_sdc_deleted_at", "_mage_deleted_at"]
MESSAGES = [
    *('{"type":"RECORD","stream":"s","record":%s}', '{"type": "RECORD", "stream": "s", "record": %s}') * 4,
    '{"stream":"s","type":"RECORD","record":%s,"time_extracted":"2024-01-01T00:00:00.5Z"}',
    '{"type":"RECORD","stream":"s","record":%s,"time_extracted":5}',
    '{"type":"RECORD","stream":"s","record":%s,"time_extracted":"2024-01-01T00:00:00.123456789+01:00"}',
    '{"type":"RECORD","stream":"s","record":%s,"time_extracted":"2024-01-01T00:00:60.123456789","version":"1"}',
    '{"type":"RECORD","stream":"s","time_extracted":null,"version":1,"record":%s}',
    '{"type":"RECORD","stream":"s","record":%s,"version":1.0}',
    '{"type":"RECORD","stream":"s","record":%s,"version":null,"x":{"y":1},"x":2}',
    ' {\t"type" : "RECORD" , "stream" : "\\u0073" , "x" : [ ] , "record" : %s } \t',
    '{"type":"RECORD","stream":"t","record":%s}',
    '{"type":"STATE","stream":"s","record":%s}',
    '{"record":%s,"type":"RECORD"}',
    '{"type":"record","stream":"s","record":%s}',
    '{"record":%s,"stream":"s","type":"Record"}',
]


def stream(dice: random.Random) -> Stream:
    """A stream of some fields of all kinds, with settings of all kinds."""
    names = dice.sample(NAMES, dice.randrange(1, 6))
    properties = {name: _schema(dice) for name in names}
    validation = dice.choice(["types", "types", "off", "full", "full"])
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    schema["required"] = [name for name in names if dice.random() < 0.3]
    if dice.random() < 0.3:
        schema["$schema"] = "http://json-schema.org/draft-04/schema#"
    if validation == "full":
        _add_keywords(dice, schema)
    options: dict[str, Any] = {
        "validation": validation,
        "coerce": dice.choice([None, "none"] if validation == "full" else [None, "exact", "none"]),
        "hard_delete": dice.random() < 0.3,
        "unknown_fields": dice.choice(["drop", "drop", "fail", "evolve"]),
        "nested": dice.choice(["flatten", "json"]),
        "naming": "preserve",
        "metadata": dice.choice(["none", "singer"]),
        "columns": {name: {"select": False} for name in names[1:] if dice.random() < 0.1},
    }
    if dice.random() < 0.2:
        options["columns"][names[-1]] = {"kind": "TEXT"}
    may_be_keys = [name for name in names if properties[name].get("type") in ("integer", "string")]
    keys = [
        name for name in may_be_keys if dice.random() < 0.2 and options["columns"].get(name, {}).get("select", True)
    ]
    traits = Traits("laws", "none")
    settings = StreamSettings.model_validate(options)
    versioned = dice.random() < 0.5
    return planned_stream("s", json.dumps(schema).encode(), keys, settings, traits, revision=1, versioned=versioned)


def _add_keywords(dice: random.Random, schema: dict[str, Any]) -> None:
    """Keywords beside types, some of which say nothing in the schema's draft."""
    schema["definitions"] = {"d": dice.choice(KEYWORDS[:-10])}
    for of_field in schema["properties"].values():
        if dice.random() < 0.3:
            of_field.update(dice.choice(KEYWORDS))
    if dice.random() < 0.2:
        required = schema["required"]
        schema |= dice.choice(ROOT_KEYWORDS)
        schema["required"] = sorted({*schema["required"], *required})
    drafts = ["http://json-schema.org/draft-06/schema#", "https://json-schema.org/draft/2020-12/schema"]
    if dice.random() < 0.3:
        schema["$schema"] = dice.choice(drafts)


def _schema(dice: random.Random) -> dict[str, Any]:
    schema = dict(dice.choice(TYPES))
    if isinstance(schema.get("type"), str) and dice.random() < 0.6:
        schema["type"] = [schema["type"], "null"]
    if dice.random() < 0.15:
        inner = {"a": _schema(dice), "c": schema}
        schema = {"type": dice.choice(["object", ["object", "null"]]), "properties": inner}
        schema["required"] = [name for name in inner if dice.random() < 0.3]
    return schema


def runs(dice: random.Random, of: Stream) -> Iterator[RecordBlock]:
    """Runs of the stream: in most records all is well, in some nothing is."""
    layout = RecordLayout(of)
    for _ in range(RECORDS_PER_STREAM // RECORDS_PER_RUN):
        is_calm = dice.random() < 0.5
        lines = [_line(dice, layout, is_calm=is_calm) for _ in range(RECORDS_PER_RUN)]
        first = dice.randrange(1, RECORDS_PER_RUN)
        yield RecordBlock.of("s", b"".join(line + b"\n" for line in lines), (3, first), (50, RECORDS_PER_RUN - first))


def _line(dice: random.Random, layout: RecordLayout, *, is_calm: bool) -> bytes:
    is_likely = is_calm or dice.random() < 0.5
    message = MESSAGES[0] if is_likely else dice.choice(MESSAGES)
    line = message.replace("%s", _object(dice, layout.record, is_likely=is_likely)).encode()
    if is_calm or dice.random() < 0.8:
        return line
    return _mutated(dice, line)


def _mutated(dice: random.Random, line: bytes) -> bytes:
    """The line with a byte changed, added or gone, cut off, or twice."""
    at = dice.randrange(len(line))
    byte = bytes([dice.choice(b'{}[]",:n \t\r\\0-.eE\xff\xed\xa0') if dice.random() < 0.7 else dice.randrange(256)])
    how = dice.randrange(6)
    changed = [
        line[:at] + line[at + 1 :],
        line[:at] + byte + line[at:],
        line[:at] + byte + line[at + 1 :],
        line[:at],
        line + line,
        dice.choice([b"", b"null", b"{}", b" "]),
    ][how]
    return changed.replace(b"\n", b"")


def _object(dice: random.Random, inside: Object, *, is_likely: bool) -> str:
    colon, comma = dice.choice([(":", ","), (": ", ", "), (" :\t", " , ")])
    fields = []
    for name, field in inside.fields.items():
        if isinstance(field, Object):
            is_object = is_likely or dice.random() < 0.7
            value = _object(dice, field, is_likely=is_likely) if is_object else dice.choice(["null", "{}", "5"])
        else:
            value = _likely(dice, field) if is_likely or dice.random() < 0.5 else dice.choice(VALUES)
        if is_likely or dice.random() < 0.9:
            fields.append((json.dumps(name, ensure_ascii=dice.random() < 0.5), value))
    if not is_likely and dice.random() < 0.3:
        fields += [(f'"{dice.choice(OTHERS)}"', dice.choice(VALUES)) for _ in range(dice.randrange(1, 3))]
    if dice.random() < 0.3:
        dice.shuffle(fields)
    return "{" + comma.join(f"{name}{colon}{value}" for name, value in fields) + "}"


def _likely(dice: random.Random, field: Value) -> str:
    if "null" in field.types and dice.random() < 0.1:
        return "null"
    if field.column is None or dice.random() < 0.02:
        return dice.choice(VALUES)
    value = dice.choice(LIKELY[field.column.kind])
    is_quoted = field.column.kind in (Kind.INT, Kind.FLOAT, Kind.DECIMAL) and "number" not in field.types
    return f'"{value}"' if is_quoted and "integer" not in field.types else value


def bare(run: RecordBlock) -> RecordBlock:
    """The records of the messages alone, and lines of a run that begin otherwise."""
    before, behind = MESSAGES[0].encode().split(b"%s")
    lines = (
        line.removeprefix(before).removesuffix(behind) if line.startswith(before) else line
        for line in run.data.split(b"\n")[:-1]
    )
    return RecordBlock.of(run.stream, b"".join(line + b"\n" for line in lines), (1, run.count))


def differences(found: Decoded, expected: Decoded) -> list[str]:
    """What two decoders answer differently."""
    names = ("growth", "refused", "unknown", "inexact", "coerced", "odd")
    told = [
        f"{name}: {getattr(found, name)} is not {getattr(expected, name)}"
        for name in names
        if getattr(found, name) != getattr(expected, name)
    ]
    if found.growth and expected.growth and list(found.growth.fields) != list(expected.growth.fields):
        told.append(f"new fields in another order: {list(found.growth.fields)}, {list(expected.growth.fields)}")
    if not (found.rows.schema == expected.rows.schema and _is_same(found.rows, expected.rows)):
        told.append(f"rows: {found.rows.to_pylist()} is not {expected.rows.to_pylist()}")
    return told


def _is_same(found: pa.Table, expected: pa.Table) -> bool:
    """Whether two tables hold the same values; 0.0 and -0.0 aren't."""
    floats = [field.name for field in expected.schema if field.type == pa.float64()]
    zeros = [repr(table[name].to_pylist()) for table in (found, expected) for name in floats]
    return found.equals(expected) and zeros[: len(floats)] == zeros[len(floats) :]


def compared(records: int, seed: int) -> int:
    """Compare the native decoder with the reference; gives how many of the records were taken."""
    taken = 0
    for number in range(records // RECORDS_PER_STREAM):
        dice = random.Random(f"{seed} {number}")
        try:
            of = stream(dice)
            reference = Reference(of, CLOCK)
        except SchemaError:
            continue
        decoder = implementation(RecordLayout(of), is_native=True)(of, CLOCK)
        for run in runs(dice, of):
            found = decoder.decode(run)
            told = differences(found, reference.decode(run))
            assert not told, f"{told}\n{of}\n{run}"
            told = differences(decoder.decode_bare(bare(run)), reference.decode_bare(bare(run)))
            assert not told, f"{told}\n{of}\n{bare(run)}"
            taken += found.rows.num_rows
    return taken


def main() -> None:
    """Compare, and say how it went."""
    records, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    started_s = time.monotonic()
    taken = compared(records, seed)
    sys.stdout.write(
        f"{records} records, seed {seed}: no difference; {taken} taken, {time.monotonic() - started_s:.0f} s\n"
    )


if __name__ == "__main__":
    main()
