"""The quarantine file: what is set aside, when it counts, and how it is loaded again."""

import json

import pytest

from tailrace.errors import ConfigError, MessageError, Violation
from tailrace.model import Refused, Stream, TableName
from tailrace.runtime.quarantine import Quarantine, quarantined_messages
from tailrace.singer.messages import SchemaMessage

SCHEMA = b'{"properties": {"id": {"type": "integer"}}}'
STREAM = Stream("s", TableName("s"), (), json_schema=SCHEMA)
MESSAGE = SchemaMessage(1, "s", SCHEMA, ("id",), (), None, None)


def refused(line, raw=None):
    reason = Violation("type", "$.id", "an integer", '"x"')
    return Refused("s", line, raw or b'{"type":"RECORD","stream":"s","record":{"id":"x%d"}}' % line, (reason,))


def entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines_of(path):
    return [entry["line"] for entry in entries(path) if "line" in entry]


def test_a_refused_record_is_kept_as_sent_with_its_reasons(tmp_path):
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, "p", "run1")
    quarantine.add(STREAM, MESSAGE, refused(7))
    quarantine.close()
    schema, record = entries(path)
    assert json.loads(schema["schema"])["key_properties"] == ["id"]
    assert record == {
        "record": '{"type":"RECORD","stream":"s","record":{"id":"x7"}}',
        "stream": "s",
        "line": 7,
        "reasons": [{"code": "type", "path": "$.id", "expected": "an integer", "got": '"x"'}],
        "pipeline": "p",
        "run": "run1",
    }


def test_no_file_is_made_without_a_refused_record(tmp_path):
    quarantine = Quarantine(tmp_path / "q.jsonl", "p", "run1")
    quarantine.cover(1, 100)
    quarantine.close()
    assert list(tmp_path.iterdir()) == []


def test_what_no_committed_checkpoint_covers_is_dropped_at_recovery(tmp_path):
    path = tmp_path / "q.jsonl"
    first = Quarantine(path, "p", "run1")
    for line, checkpoint in [(5, 1), (9, 2), (12, 3)]:
        first.add(STREAM, MESSAGE, refused(line))
        first.cover(checkpoint, line)
    first.add(STREAM, MESSAGE, refused(20))
    first.close()
    Quarantine(path, "p", "run2").recover(committed=2)
    assert lines_of(path) == [5, 9]
    Quarantine(path, "p", "run3").recover(committed=2)
    assert lines_of(path) == [5, 9]


def test_what_other_pipelines_set_aside_is_kept_at_recovery(tmp_path):
    path = tmp_path / "q.jsonl"
    for pipeline in ("p", "other"):
        quarantine = Quarantine(path, pipeline, pipeline)
        quarantine.add(STREAM, MESSAGE, refused(5))
        quarantine.close()
    Quarantine(path, "p", "run2").recover(committed=0)
    assert [entry["pipeline"] for entry in entries(path)] == ["other", "other"]


def test_quarantined_messages_are_the_schema_and_the_records_as_sent(tmp_path):
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, "p", "run1")
    quarantine.add(STREAM, MESSAGE, refused(1))
    quarantine.add(STREAM, MESSAGE, refused(2, raw=b'{"record":"\xff"}'))
    quarantine.cover(1, 2)
    quarantine.close()
    schema, *records = quarantined_messages(path)
    assert json.loads(schema)["schema"] == json.loads(SCHEMA)
    assert records == [b'{"type":"RECORD","stream":"s","record":{"id":"x1"}}\n', b'{"record":"\xff"}\n']


@pytest.mark.parametrize("text", ['{"id": 1}\n', "no json\n", "[1]\n"])
def test_a_file_that_is_no_quarantine_is_refused_with_the_line(tmp_path, text):
    path = tmp_path / "q.jsonl"
    path.write_text(text)
    with pytest.raises(MessageError, match=r"line 1: .*isn't a quarantine file"):
        list(quarantined_messages(path))


def test_a_last_line_that_was_cut_off_by_a_crash_is_passed_over(tmp_path):
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, "p", "run1")
    quarantine.add(STREAM, MESSAGE, refused(1))
    quarantine.close()
    with path.open("a") as file:
        file.write('{"record": "cut of')
    assert len(list(quarantined_messages(path))) == 2


def test_a_file_that_cant_be_written_is_a_config_error(tmp_path):
    quarantine = Quarantine(tmp_path, "p", "run1")
    with pytest.raises(ConfigError, match=r"quarantine: .* can't be written"):
        quarantine.add(STREAM, MESSAGE, refused(1))
