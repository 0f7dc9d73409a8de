"""Names of pipelines: which are refused, and that all others mean the same everywhere."""

import pytest

from tailrace import load
from tailrace.cli.options import setup
from tailrace.config import Settings
from tailrace.config.checking import checked
from tailrace.errors import ConfigError
from tailrace.testing.messages import INT, record, schema


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("~x", "may not begin with ~"),
        ("~", "may not begin with ~"),
        ("", "may not be empty"),
        (" \t", "may not be empty"),
        (" p", "may not begin or end with a blank"),
        ("p\n", "may not begin or end with a blank"),
        ("a\x1b[2Jb", "can't be seen"),
        ("a\u202eb", "can't be seen"),
        ("a\ud800b", "can't be seen"),
        ("a\x00b", "can't be seen"),
        ("p" * 256, "may have 255 characters, and this one has 256"),
    ],
)
def test_a_name_that_would_mean_something_else_is_refused(name, said):
    with pytest.raises(ConfigError, match=rf"pipeline: a pipeline's name .*{said}"):
        checked(Settings, {"pipeline": name})


def test_an_empty_name_on_the_command_line_is_refused_rather_than_taken_for_none():
    with pytest.raises(ConfigError, match="--pipeline: the name is empty"):
        setup("memory:x", None, None, pipeline="")


NAMES = [
    "'; DROP TABLE s; --",
    'quo"ted',
    "a/../../b",
    "..",
    "漢字 é",
    "x~y",
    "%2F",
    "p" * 255,
    "数" * 255,
    "a:b*c?",
    "\\",
]


@pytest.mark.parametrize("to", ["duckdb:///{}/x.duckdb", "sqlite:///{}/x.db", "files:{}/lake", "delta:{}/lake"])
def test_a_pipeline_of_any_other_name_is_remembered(to, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        for value in (number, number + 100):
            sent = [schema({"id": INT}), record({"id": value}), {"type": "STATE", "value": value}]
            bad = {"type": "RECORD", "stream": "things", "record": {"id": "x"}}
            report = load([*sent, bad], to.format(tmp_path), pipeline=name, on_invalid="quarantine")
        assert (report.checkpoint, report.total.quarantined) == (2, 1)
    assert len(list(tmp_path.glob("*.quarantine.jsonl"))) == len(NAMES)
    assert not list(tmp_path.parent.glob("*.jsonl"))
