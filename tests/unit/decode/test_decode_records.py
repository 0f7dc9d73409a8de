"""A row that a database refuses becomes the record that it came from."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.config import StreamSettings
from tailrace.decode import decoder
from tailrace.decode.records import record_line
from tailrace.model import Clock, RecordBlock, Traits
from tailrace.schema.stream import planned_stream
from tailrace.testing.decoder import CLOCK, cases

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def stream_of(schema, **options):
    return planned_stream(
        "my s",
        json.dumps(schema).encode(),
        (),
        StreamSettings.model_validate(options),
        Traits("t", "none"),
        revision=1,
        versioned=False,
    )


def rows_of(stream, *lines, clock=CLOCK):
    run = RecordBlock.of(stream.name, b"".join(line + b"\n" for line in lines), (1, len(lines)))
    decoded = decoder(stream, clock).decode(run)
    assert decoded.refused == ()
    return decoded.rows


CASES = [case for case in cases() if case.growth is None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_row_of_every_case_is_decoded_again_from_its_record(case):
    rows = decoder(case.stream, CLOCK).decode(case.block).rows
    for at, line in enumerate(rows["_tailrace_line"].to_pylist()):
        row = rows.slice(at, 1)
        sent = record_line(case.stream, row)
        assert b"\n" not in sent
        again = decoder(case.stream, CLOCK).decode(RecordBlock.of(case.stream.name, sent + b"\n", (line, 1)))
        assert again.refused == ()
        assert repr(again.rows.to_pylist()) == repr(row.to_pylist())


def test_a_record_has_its_message_around_it():
    schema = {
        "properties": {"a": {"type": "integer"}, "o": {"type": "object", "properties": {"b": {"type": "string"}}}}
    }
    stream = stream_of(schema, nested="flatten", metadata="singer")
    line = (
        b'{"type":"RECORD","stream":"my s",'
        b'"record":{"a":1,"o":{"b":"x"},"_sdc_deleted_at":"2024-01-01T00:00:00+00:00"},"version":3,"time_extracted":"2024-01-01T00:00:00.500000+00:00"}'
    )
    assert json.loads(record_line(stream, rows_of(stream, line))) == {
        "type": "RECORD",
        "stream": "my s",
        "record": {"a": 1, "o": {"b": "x"}, "_sdc_deleted_at": "2024-01-01T00:00:00+00:00"},
        "version": 3,
        "time_extracted": "2024-01-01T00:00:00.5+00:00",
    }


def test_a_missing_field_that_may_not_be_null_stays_missing():
    stream = stream_of({"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}})
    rows = rows_of(stream, b'{"type":"RECORD","stream":"my s","record":{"b":"x"}}')
    assert json.loads(record_line(stream, rows))["record"] == {"b": "x"}


SCHEMA = {
    "properties": {
        "i": {"type": ["null", "integer"]},
        "n": {"type": ["null", "number"]},
        "m": {"type": ["null", "number"], "x-singer.decimal": {"precision": 38, "scale": 10}},
        "s": {"type": ["null", "string"]},
        "b": {"type": ["null", "boolean"]},
        "ts": {"type": ["null", "string"], "format": "date-time"},
        "j": {},
    }
}
RECORDS = st.fixed_dictionaries(
    {
        "i": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "n": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        "s": st.one_of(st.none(), st.text()),
        "b": st.one_of(st.none(), st.booleans()),
        "ts": st.one_of(st.none(), st.datetimes().map(datetime.isoformat)),
        "j": st.one_of(st.none(), st.lists(st.one_of(st.integers(), st.text(), st.none()))),
    }
)
DECIMALS = st.decimals(min_value=-(10**28) + 1, max_value=10**28 - 1, places=10)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS, DECIMALS)
def test_a_record_made_again_is_the_same_row(record, decimal):
    stream = stream_of(SCHEMA)
    text = json.dumps(record, ensure_ascii=False)[:-1] + f', "m": {decimal:f}}}'
    rows = rows_of(
        stream, f'{{"type": "RECORD", "stream": "my s", "record": {text}}}'.encode(), clock=Clock(NOW, lambda: NOW)
    )
    again = rows_of(stream, record_line(stream, rows))
    assert repr(again.to_pylist()) == repr(rows.to_pylist())
    assert again["m"][0].as_py() == Decimal(decimal)
