"""What decoding finds beside rows is counted in the report, and said once, with what to set."""

import json

import pyarrow as pa
import pytest

import tailrace
from tailrace.destinations.memory import MemoryDestination
from tailrace.model import Inexact
from tailrace.runtime.notes import kind_for

NUMBER = {"type": ["null", "number"]}


@pytest.fixture
def said(caplog):
    """What the log has said so far."""
    return lambda: caplog.text


def loaded(properties, *lines, to="memory://", **settings):
    schema = {"type": "SCHEMA", "stream": "s", "schema": {"properties": properties}, "key_properties": []}
    records = (f'{{"type":"RECORD","stream":"s",{line}}}' for line in lines)
    report = tailrace.load([json.dumps(schema).encode(), *(record.encode() for record in records)], to, **settings)
    return report.as_dict()["streams"]["s"]


def test_the_warning_of_an_inexact_number_names_a_kind_that_holds_the_column(said, tmp_path):
    lines = [f'"record":{{"bal":{number}}}' for number in ("123456789012345678.12", "-0.125", "123456789012345678.13")]
    found = loaded({"bal": NUMBER}, *lines)
    assert found["inexact"] == {"bal": {"count": 2, "first_line": 2, "before": 18, "behind": 2}}
    assert said().count("`columns: {bal: {kind: DECIMAL(21,3)}}`") == 1
    exact = {"s": {"columns": {"bal": {"kind": "DECIMAL(21,3)"}}}}
    assert loaded({"bal": NUMBER}, *lines, to=f"duckdb:///{tmp_path}/x", streams=exact)["inexact"] == {}


@pytest.mark.parametrize(
    ("inexact", "floats", "kind"),
    [
        (Inexact(1, 1, 18, 2), [1.0, None], "DECIMAL(20,2)"),
        (Inexact(1, 1, 18, 2), [1e22, 0.0001], "DECIMAL(27,4)"),
        (Inexact(1, 1, 0, 0), [0.0], "DECIMAL(1,0)"),
        (Inexact(1, 1, 0, 400), [0.0], "TEXT"),
        (Inexact(1, 1, 18, 2), [1.5e300], "TEXT"),
    ],
)
def test_a_kind_holds_what_was_seen(inexact, floats, kind):
    assert kind_for(inexact, pa.chunked_array([pa.array(floats, pa.float64())])) == kind


def test_a_flattened_field_is_named_as_the_settings_name_it(said):
    properties = {"o": {"type": "object", "properties": {"x y": NUMBER}}}
    loaded(properties, '"record":{"o":{"x y":9007199254740993}}', nested="flatten")
    assert '`columns: {"o.x y": {kind: DECIMAL(16,0)}}`' in said()


def test_coerced_values_are_counted_by_column_and_said_once(said):
    properties = {"a": {"type": "string"}, "b": {"type": "integer"}}
    lines = ['"record":{"a":"x","b":1}', '"record":{"a":2,"b":"5"}', '"record":{"a":true,"b":6}']
    found = loaded(properties, *lines, coerce="exact")
    assert found["coerced"] == {"a": {"count": 2, "first_line": 3}, "b": {"count": 1, "first_line": 3}}
    text = said()
    assert text.count("came as another type") == 2
    assert text.count("line=3") == 2


def test_an_odd_time_of_extraction_is_said_once_and_its_row_is_there(said):
    times = ["5", '"2024-01-01T00:00:00.123456789Z"', '"soon"', '"2024-01-01T00:00:00Z"', "{}", "null"]
    lines = [f'"record":{{"a":1}},"time_extracted":{time}' for time in times]
    found = loaded({"a": {"type": "integer"}}, *lines, '"record":{"a":1}', metadata="singer", batch_rows=1)
    assert (found["loaded"], found["quarantined"]) == (7, 0)
    assert found["odd"] == {"time_extracted": {"count": 4, "first_line": 2}}
    assert found["without_time_extracted"] == 5
    assert said().count("time_extracted isn't a date-time") == 1


def test_nothing_odd_is_nothing_said(said):
    found = loaded({"a": NUMBER}, '"record":{"a":0.1},"time_extracted":"2024-01-01T00:00:00Z"', metadata="singer")
    assert (found["inexact"], found["coerced"], found["odd"], found["without_time_extracted"]) == ({}, {}, {}, 0)
    assert "WARNING" not in said()


def test_a_field_that_no_schema_describes_widens_and_is_not_coerced():
    properties, off = {"a": {"type": "integer"}}, {"validation": "off", "unknown_fields": "evolve"}
    found = loaded(properties, '"record":{"a":"1","z":2}', '"record":{"a":2,"z":"5"}', to="memory://widens", **off)
    assert found["coerced"] == {"a": {"count": 1, "first_line": 2}}
    rows = MemoryDestination("widens").tables()["s"]
    assert sorted(row["z"] for row in rows) == ['"5"', "2"]
