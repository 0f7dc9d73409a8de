"""The form of the log that a runner asks for, and that settings override."""

import json

import pytest

from tailrace.cli import logs

SINGER = {"()": "singer_sdk.logging.StructuredFormatter"}
MESSAGES = {"format": "%(message)s"}


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """What is configured, of the text of a runner's file and of settings."""

    def show(text, settings=()):
        (tmp_path / "logging.yaml").write_text(text)
        monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(tmp_path / "logging.yaml"))
        said = []
        monkeypatch.setattr(logs.log, "configure", lambda *asked: said.extend(asked))
        logs.show_log(dict(settings))
        return tuple(said)

    return show


def config(form, level="WARNING"):
    return json.dumps({"formatters": {"f": form}, "root": {"level": level}})


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (config(SINGER), ("warning", "singer")),
        (config(MESSAGES, "DEBUG"), ("debug", "plain")),
        (config({"format": "%(asctime)s %(message)s"}), ("warning", "text")),
        (
            "formatters:\n  f:\n    (): singer_sdk.logging.StructuredFormatter\nroot:\n  level: ERROR",
            ("error", "singer"),
        ),
        (config(SINGER, 10), ("info", "singer")),
        ("{", ("info", "text")),
        ("[]", ("info", "text")),
        ("formatters: 3", ("info", "text")),
    ],
)
def test_a_runners_file_says_how(shown, text, asked):
    assert shown(text) == asked


def test_settings_are_stronger_and_what_is_none_of_theirs_counts_for_nothing(shown):
    assert shown(config(SINGER), {"log_level": "ERROR", "log_format": "json"}) == ("error", "json")
    assert shown(config(SINGER), {"log_level": "loud", "log_format": None}) == ("warning", "singer")


def test_a_file_that_is_not_there_asks_for_nothing(monkeypatch):
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", "/nowhere/at.all")
    assert logs._asked_by_runner({"SINGER_SDK_LOG_CONFIG": "/nowhere/at.all"}) == {}
