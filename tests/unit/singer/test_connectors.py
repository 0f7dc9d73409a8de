"""What connectors import: messages as lines, bookmarks in a state, the command line of a tap."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import tailrace
from tailrace import singer
from tailrace.errors import ConfigError


@pytest.fixture
def written(capsysbinary):
    """Gives the messages that were written to stdout."""
    return lambda: [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]


def test_messages_are_lines_on_stdout(written):
    singer.write_schema("a", {"properties": {}}, "id", ["at"], unique_constraints=["id"])
    singer.write_record("a", {"id": 1}, time_extracted=datetime(2024, 1, 31, tzinfo=UTC))
    singer.write_records("a", [{"id": 2}, {"id": 3}])
    singer.write_record("a", {"id": 4}, stream_alias="b", version=7)
    singer.write_version("a", 7)
    singer.write_state({"bookmarks": {}})
    singer.write_message({"type": "STATE", "value": 1})
    assert written() == [
        {
            "type": "SCHEMA",
            "stream": "a",
            "schema": {"properties": {}},
            "key_properties": ["id"],
            "bookmark_properties": ["at"],
            "unique_constraints": ["id"],
        },
        {"type": "RECORD", "stream": "a", "record": {"id": 1}, "time_extracted": "2024-01-31T00:00:00+00:00"},
        {"type": "RECORD", "stream": "a", "record": {"id": 2}},
        {"type": "RECORD", "stream": "a", "record": {"id": 3}},
        {"type": "RECORD", "stream": "b", "record": {"id": 4}, "version": 7},
        {"type": "ACTIVATE_VERSION", "stream": "a", "version": 7},
        {"type": "STATE", "value": {"bookmarks": {}}},
        {"type": "STATE", "value": 1},
    ]


def test_digits_are_kept_and_what_json_has_no_number_for_is_refused(capsysbinary):
    singer.write_record("a", {"n": Decimal("12345678901234567890.123456789")})
    assert b'"n":12345678901234567890.123456789' in capsysbinary.readouterr().out
    with pytest.raises(ValueError, match="nan"):
        singer.write_record("a", {"n": float("nan")})


def test_a_time_without_an_offset_is_no_time_of_extraction(written):
    with pytest.raises(ValueError, match="time zone"):
        singer.write_record("a", {}, time_extracted=datetime(2024, 1, 31))
    assert written() == []


def test_bookmarks_and_offsets_of_streams_stand_in_the_state():
    state = {}
    assert singer.write_bookmark(state, "a", "at", "2024") is state
    singer.write_bookmark(state, "a", "id", 5)
    singer.set_offset(state, "a", "page", 3)
    singer.set_offset(state, "a", "row", 4)
    singer.set_currently_syncing(state, "a")
    assert state == {
        "bookmarks": {"a": {"at": "2024", "id": 5, "offset": {"page": 3, "row": 4}}},
        "currently_syncing": "a",
    }
    assert singer.get_bookmark(state, "a", "at") == "2024"
    assert singer.get_bookmark(state, "b", "at", "none") == "none"
    assert singer.get_offset(state, "a") == {"page": 3, "row": 4}
    assert singer.get_currently_syncing(state) == "a"
    singer.clear_offset(singer.clear_bookmark(state, "a", "id"), "a")
    assert state["bookmarks"] == {"a": {"at": "2024"}}
    assert singer.get_offset(state, "a", "none") == "none"
    singer.reset_stream(state, "a")
    singer.set_currently_syncing(state, None)
    assert state == {"bookmarks": {"a": {}}, "currently_syncing": None}


@pytest.mark.parametrize("state", [{"bookmarks": None}, {"bookmarks": {"a": None}}, {"bookmarks": {"a": "old"}}])
def test_a_state_that_has_no_bookmarks_yet_gets_some(state):
    assert singer.get_bookmark(state, "a", "at") is None
    assert singer.write_bookmark(state, "a", "at", 1) == {"bookmarks": {"a": {"at": 1}}}


def test_files_of_the_command_line_are_read(tmp_path):
    for name in ("config", "state", "catalog"):
        (tmp_path / name).write_text(json.dumps({name: 1}), encoding="utf-8")
    words = [word for name in ("config", "state", "catalog") for word in (f"--{name}", str(tmp_path / name))]
    given = singer.parse_args(["config"], [*words, "--discover"])
    assert (given.config, given.state, given.catalog) == ({"config": 1}, {"state": 1}, {"catalog": 1})
    assert (given.discover, given.properties, given.config_path) == (True, None, str(tmp_path / "config"))
    assert singer.parse_args([], words[:2]).state == {}


@pytest.mark.parametrize(
    ("content", "said"), [(None, "can't be read"), ("{", "isn't JSON"), ('{"a": 1}', "has no token, user")]
)
def test_a_config_that_cannot_be_is_told(tmp_path, content, said):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        singer.parse_args(["token", "user"], ["-c", str(path)])


def test_the_log_goes_to_stderr_at_info():
    script = "from tailrace.singer import get_logger as g; g().info('read'); g().debug('more'); g('x').warning('w')"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "INFO read\nWARNING w\n")
    assert singer.get_logger("of a test").level == logging.INFO


def test_what_is_not_here_is_singer_pythons_where_that_is_installed(tmp_path):
    script = "from tailrace import singer; print(singer.metrics); singer.nothing"
    environ = {"PYTHONPATH": f"{Path(tailrace.__file__).parents[1]}:{tmp_path}"}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environ, check=False)
    assert "once that is installed" in ended.stderr
    (tmp_path / "singer.py").write_text("metrics = 'theirs'", encoding="utf-8")
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environ, check=False)
    assert ended.stdout == "theirs\n"
    assert "nothing" in ended.stderr


def test_what_it_writes_is_loaded(capsysbinary):
    singer.write_schema("things", {"properties": {"id": {"type": "integer"}}}, ["id"])
    singer.write_record("things", {"id": 1})
    singer.write_state({"position": 1})
    report = tailrace.load(capsysbinary.readouterr().out.splitlines(), "memory://connectors")
    assert (report.total.loaded, report.state) == (1, '{"position":1}')
