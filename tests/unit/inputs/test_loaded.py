"""Pipelines that remember which files they have loaded, and those that remember a tap's state."""

import os

import pytest

from tailrace import load
from tailrace.errors import ConfigError

TAP = [
    {"type": "SCHEMA", "stream": "s", "schema": {"properties": {"i": {"type": "integer"}}}, "key_properties": []},
    {"type": "RECORD", "stream": "s", "record": {"i": 1}},
    {"type": "STATE", "value": {"i": 1}},
]


@pytest.fixture
def to(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("id,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path}/s.db"


def test_a_file_is_known_under_any_spelling_of_its_path(to, tmp_path):
    settings = {"pipeline": "p", "new_only": True}
    assert load("a.csv", to, **settings).total.loaded == 1
    for same in ("./a.csv", "*.csv", str(tmp_path / "a.csv"), tmp_path / ".." / tmp_path.name / "a.csv"):
        assert load(same, to, **settings).total.loaded == 0
    os.utime("a.csv", (1, 1))
    assert load("a.csv", to, **settings).total.loaded == 1


def test_files_are_remembered_by_a_pipeline_that_has_a_name(to):
    with pytest.raises(ConfigError, match="no pipeline given"):
        load("a.csv", to, new_only=True)


def test_a_pipeline_of_files_takes_no_states_of_taps(to, tmp_path):
    load("a.csv", to, pipeline="p", new_only=True)
    for source in (TAP, "a.csv"):
        with pytest.raises(ConfigError, match="remembers which files it has loaded"):
            load(source, to, pipeline="p")
    assert load("a.csv", to, pipeline="p", new_only=True).total.loaded == 0


def test_a_pipeline_of_a_tap_takes_no_files_to_remember(to):
    load(TAP, to, pipeline="p")
    with pytest.raises(ConfigError, match="remembers the state of a tap"):
        load("a.csv", to, pipeline="p", new_only=True)


def test_what_files_are_is_said_to_workers_too(to, tmp_path):
    (tmp_path / "m.jsonl").write_text('{"type":"RECORD","stream":"s","record":{"i":1}}\n' * 2)
    workers = {"backend": "threading", "workers": 2}
    assert load("m.jsonl", to, input_format="jsonl", parallel=workers).streams["m"].loaded == 2
    with pytest.raises(ConfigError, match="there is no format 'xml'"):
        load("m.jsonl", to, input_format="xml")
    with pytest.raises(ConfigError, match="format: it is no setting of this destination"):
        load("m.jsonl", to, format="jsonl")
