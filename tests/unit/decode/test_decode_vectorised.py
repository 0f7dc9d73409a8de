"""The fast path is taken where it can be, and only the records around one in doubt leave it."""

import json
from datetime import UTC, datetime
from itertools import islice

import pytest

from tailrace.config import StreamSettings
from tailrace.decode import implementation
from tailrace.decode.arrays import DoubtError
from tailrace.decode.plan import Plan
from tailrace.decode.reader import Reader, is_eligible
from tailrace.decode.reference import Reference
from tailrace.decode.vectorised import FLOOR, MAX_MISSES, Vectorised
from tailrace.model import LINE, Clock, Growth, RecordBlock, Traits
from tailrace.schema.stream import planned_stream

NOW = datetime(2024, 1, 1, tzinfo=UTC)
CLOCK = Clock(NOW, lambda: NOW)

EVERY_FLAT_KIND = {
    "i": {"type": ["null", "integer"]},
    "n": {"type": ["null", "number"]},
    "s": {"type": ["null", "string"]},
    "b": {"type": ["null", "boolean"]},
    "ts": {"type": ["null", "string"], "format": "date-time"},
    "d": {"type": ["null", "string"], "format": "date"},
    "t": {"type": ["null", "string"], "format": "time"},
    "u": {"type": ["null", "string"], "format": "uuid"},
    "x": {"type": ["null", "string"], "contentEncoding": "base64"},
    "m": {"type": ["null", "number"], "multipleOf": 0.01},
    "sd": {"type": ["null", "string"], "format": "singer.decimal"},
}
RECORD = {
    "i": 1,
    "n": 0.5,
    "s": "x",
    "b": False,
    "ts": "2024-01-01T00:00:00.5+01:00",
    "d": "2024-01-01",
    "t": "12:00:00",
    "u": "123e4567-e89b-12d3-a456-426614174000",
    "x": "AAEC",
    "m": 1.25,
    "sd": "1.25",
}


def stream_of(properties, required=(), key=(), **options):
    schema = json.dumps({"type": "object", "properties": properties, "required": list(required)}).encode()
    return planned_stream(
        "s", schema, key, StreamSettings.model_validate(options), Traits("t", "none"), revision=1, versioned=False
    )


def run_of(records, more=""):
    lines = [f'{{"type": "RECORD", "stream": "s", "record": {json.dumps(record)}{more}}}\n' for record in records]
    return RecordBlock.of("s", "".join(lines).encode(), (1, len(lines)))


def read(stream, records, more=""):
    return Reader(Plan(stream), CLOCK).read(run_of(records, more), NOW)


@pytest.mark.parametrize(
    ("properties", "options", "expected"),
    [
        (EVERY_FLAT_KIND, {}, True),
        ({"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}, {"nested": "flatten"}, True),
        ({"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}, {}, False),
        ({"a": {"type": "array"}}, {}, False),
        ({"a": {}}, {}, False),
        ({"a": {"type": ["integer", "string"]}}, {}, False),
        ({"a": {"type": "integer"}}, {"validation": "full"}, False),
        ({"a": {"type": "integer"}}, {"validation": "off"}, True),
        ({"a": {"type": "integer"}, "b": {"type": "array"}}, {"columns": {"b": {"select": False}}}, False),
        ({"a": {"type": "integer"}, "b": {"type": "number"}}, {"columns": {"b": {"select": False}}}, True),
        ({"é": {"type": "number"}}, {}, False),
        ({"é": {"type": "integer"}}, {}, True),
        ({"a": {"type": "string"}}, {"columns": {"a": {"kind": "INT"}}}, True),
        ({"a": {"type": "integer"}}, {"columns": {"a": {"kind": "TEXT"}}}, False),
    ],
)
def test_streams_without_json_columns_are_eligible(properties, options, expected):
    stream = stream_of(properties, **options)
    assert is_eligible(Plan(stream)) is expected
    assert implementation(Plan(stream), is_native=False) is (Vectorised if expected else Reference)


@pytest.mark.parametrize("metadata", ["none", "singer", "mage"])
def test_every_flat_kind_is_read_at_once(metadata):
    stream = stream_of(EVERY_FLAT_KIND, metadata=metadata)
    records = [RECORD, dict.fromkeys(RECORD), {}]
    more = ', "time_extracted": "2024-01-01T00:00:00Z"'
    assert read(stream, records, more).equals(Reference(stream, CLOCK).decode(run_of(records, more)).rows)


def test_nested_objects_are_read_at_once():
    stream = stream_of({"a": {"type": ["null", "object"], "properties": {"b": {"type": "string"}}}}, nested="flatten")
    rows = read(stream, [{"a": {"b": "x"}}, {"a": None}, {}])
    assert rows["a__b"].to_pylist() == ["x", None, None]


def test_nulls_are_told_from_missing_fields():
    stream = stream_of({"a": {"type": ["null", "integer"]}, "b": {"type": "integer"}}, required=["a"])
    assert read(stream, [{"a": None}, {"a": 1, "b": 2}]).num_rows == 2
    with pytest.raises(DoubtError):
        read(stream, [{"b": 1}, {"a": 1}])
    with pytest.raises(DoubtError):
        read(stream, [{"a": None, "b": None}])


def test_long_numbers_that_floats_hold_are_read_at_once():
    stream = stream_of({"n": {"type": "number"}, "i": {"type": "integer"}})
    assert read(stream, [{"n": 0.30000000000000004, "i": 9007199254740993}]).num_rows == 1
    with pytest.raises(DoubtError):
        read(stream, [{"n": 9007199254740993}])


@pytest.mark.parametrize(
    "data",
    [
        b"null\n",
        b"null\n{}\n",
        b"{}null\n",
        b'\xef\xbb\xbf{"type":"RECORD","stream":"s","record":{}}\n',
        b'{"type":"RECORD","stream":"s","record":{}}{"type":"RECORD","stream":"s","record":{}}\n\n',
        b'{"type":"RECORD","stream":"s",\n"record":{}}\n',
        b"\n",
        b'{"type":"RECORD","stream":"s","record":{"i":' + b"[" * 1_000_000 + b"\n",
        b'{"type":"RECORD","stream":"s","record":' + b'{"i":' * 1_000_000 + b"\n",
        b'{"type":"RECORD","stream":"s","record":{"n":NaN}}\n',
        b'{"type":"RECORD","stream":"s","record":{"n":1234567890123456.5.5}}\n',
    ],
)
def test_what_pyarrow_takes_otherwise_is_left_to_the_reference(data):
    stream = stream_of(EVERY_FLAT_KIND)
    run = RecordBlock.of("s", data, (1, data.count(b"\n")))
    with pytest.raises(DoubtError):
        Reader(Plan(stream), CLOCK).read(run, NOW)
    assert Vectorised(stream, CLOCK).decode(run) == Reference(stream, CLOCK).decode(run)


class CountingReference(Reference):
    """The reference, and how many records it was asked about."""

    def __init__(self, stream, clock):
        super().__init__(stream, clock)
        self.records = 0

    def decode_at(self, run, now):
        self.records += run.count
        return super().decode_at(run, now)


def decoded_with_count(stream, run):
    vectorised = Vectorised(stream, CLOCK)
    vectorised._reference = CountingReference(stream, CLOCK)
    return vectorised.decode(run), vectorised._reference.records


def test_one_bad_record_takes_only_its_neighbours_to_the_reference():
    records = [RECORD | {"i": n} for n in range(10_000)]
    records[7_777] = RECORD | {"i": "x"}
    decoded, left = decoded_with_count(stream_of(EVERY_FLAT_KIND), run_of(records))
    assert 0 < left <= FLOOR
    assert [refused.line for refused in decoded.refused] == [7_778]
    assert decoded.rows["i"].to_pylist() == [n for n in range(10_000) if n != 7_777]
    assert decoded.rows[LINE].to_pylist() == [n + 1 for n in range(10_000) if n != 7_777]


def test_a_run_of_bad_records_is_given_up_soon():
    records = [RECORD | {"unknown": n} for n in range(20_000)]
    stream = stream_of(EVERY_FLAT_KIND)
    decoded, left = decoded_with_count(stream, run_of(records))
    assert left == 20_000
    assert decoded.rows.num_rows == 20_000
    assert decoded.unknown == {"unknown": 20_000}
    assert MAX_MISSES < 20_000 // FLOOR


def test_what_the_parts_of_a_run_found_is_added_up():
    stream = stream_of({"n": {"type": "number"}})
    records = [{"n": n} for n in range(3_000)]
    for at in (10, 1_500, 2_990):
        records[at] = {"n": 9007199254740993, "z": 1, f"z{at}": 1}
    run = run_of(records)
    found, left = decoded_with_count(stream, run)
    assert left < 3_000
    assert found.rows.equals(Reference(stream, CLOCK).decode(run).rows)
    assert found.unknown == {"z": 3, "z10": 1, "z1500": 1, "z2990": 1}
    assert (found.inexact["n"].count, found.inexact["n"].first_line) == (3, 11)


def test_what_a_stream_has_to_grow_by_is_gathered_from_the_whole_run():
    stream = stream_of({"i": {"type": "integer"}}, unknown_fields="evolve")
    records = [{"i": n} for n in range(3_000)]
    records[10] = {"i": 1, "z": "x"}
    records[2_990] = {"i": 1, "y": 1, "z": 5}
    decoded = Vectorised(stream, CLOCK).decode(run_of(records))
    fields = {"z": {}, "y": {"type": ["null", "integer"]}}
    line = next(islice(run_of(records).lines(), 10, None))
    assert decoded.growth == Growth(fields, versioned=False, line=line)
    assert list(decoded.growth.fields) == ["z", "y"]
    assert decoded.rows.num_rows == 0
