"""What the reference says of a run beside the values: lines, raw records, reasons, and the time."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count

from tailrace.config import StreamSettings
from tailrace.decode import decoder
from tailrace.decode.reference import Reference
from tailrace.model import LINE, Clock, RecordBlock, Traits
from tailrace.schema.stream import planned_stream

START = datetime(2024, 1, 1, tzinfo=UTC)
CLOCK = Clock(START, lambda: START)


def stream_of(properties, **options):
    schema = json.dumps({"type": "object", "properties": properties}).encode()
    return planned_stream(
        "s", schema, (), StreamSettings.model_validate(options), Traits("t", "none"), revision=1, versioned=False
    )


def run_of(*records, spans=None):
    data = b"".join(b'{"type":"RECORD","stream":"s","record":' + record + b"}\n" for record in records)
    return RecordBlock.of("s", data, *(spans or ((1, len(records)),)))


INTEGER = {"a": {"type": ["null", "integer"]}}


def test_rows_and_refusals_carry_their_input_lines():
    decoded = Reference(stream_of(INTEGER), CLOCK).decode(
        run_of(b'{"a":1}', b'{"a":"x"}', b'{"a":3}', b'{"a":"y"}', spans=((5, 2), (90, 1), (100, 1)))
    )
    assert decoded.rows.to_pylist() == [{"a": 1, LINE: 5}, {"a": 3, LINE: 90}]
    assert [refused.line for refused in decoded.refused] == [6, 100]


def test_a_refused_record_is_kept_as_it_was_sent():
    (refused,) = Reference(stream_of(INTEGER), CLOCK).decode(run_of(b'{ "a" : "x" }')).refused
    assert refused.raw == b'{"type":"RECORD","stream":"s","record":{ "a" : "x" }}'
    assert str(refused.violations[0]) == '$.a: expected an integer, got "x"'


def test_a_violation_shows_the_beginning_of_a_long_value():
    (refused,) = Reference(stream_of(INTEGER), CLOCK).decode(run_of(b'{"a":"' + "漢".encode() * 500 + b'"}')).refused
    assert refused.violations[0].got == '"' + "漢" * 78 + "…"


def test_all_rows_of_a_run_are_received_at_one_time():
    for implementation in (Reference, decoder):
        ticks = count()
        clock = Clock(START, lambda ticks=ticks: START + timedelta(seconds=next(ticks)))
        made = implementation(stream_of(INTEGER, metadata="singer"), clock)
        records = [b'{"a":1}'] * 600 + [b'{"a":"x"}'] + [b'{"a":1}'] * 600
        rows = made.decode(run_of(*records)).rows
        assert set(rows["_sdc_received_at"].to_pylist()) == {START}
        assert set(made.decode(run_of(b'{"a":1}')).rows["_sdc_received_at"].to_pylist()) == {
            START + timedelta(seconds=1)
        }


def test_an_empty_run_is_no_rows():
    stream = stream_of(INTEGER, metadata="singer")
    for implementation in (Reference, decoder):
        decoded = implementation(stream, CLOCK).decode(RecordBlock.of("s", b""))
        assert decoded.rows.equals(stream.arrow.empty_table())
        assert decoded.refused == ()
