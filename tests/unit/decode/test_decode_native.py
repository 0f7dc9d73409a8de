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
from tailrace.model import Clock, RecordBlock, Traits
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
