"""The log: what an event looks like as text and as JSON, and what a library's user sees of it."""

import json
import logging

import pytest

from tailrace import log


@pytest.fixture
def _restored():
    logger = logging.getLogger("tailrace")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = before


@pytest.mark.usefixtures("_restored")
def test_an_event_is_a_line_of_text_with_its_fields(capsys):
    log.configure("info")
    log.get_logger("target").info("a checkpoint", number=3, why="no STATE", empty="")
    stamp, rest = capsys.readouterr().err.split(" ", 1)
    assert (stamp[:2], stamp[-1]) == ("20", "Z")
    assert rest == "[info     ] a checkpoint empty='' number=3 part=target why='no STATE'\n"


@pytest.mark.usefixtures("_restored")
def test_an_event_is_a_line_of_json(capsys):
    log.configure("info", "json")
    log.get_logger("target").warning("größer\n", path=log.__file__)
    said = json.loads(capsys.readouterr().err)
    assert said.pop("timestamp").endswith("Z")
    assert said == {"path": log.__file__, "event": "größer\n", "level": "warning", "part": "target"}


@pytest.mark.usefixtures("_restored")
def test_events_below_the_level_are_not_shown(capsys):
    log.configure("warning")
    log.get_logger("target").info("checkpoint")
    log.get_logger("target").debug("checkpoint")
    assert capsys.readouterr().err == ""


def test_a_library_s_user_sees_events_through_logging(caplog):
    with caplog.at_level(logging.INFO, logger="tailrace"):
        log.get_logger("drain").info("staged 100%", rows=5)
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("tailrace.drain", "staged 100% rows=5")
    assert (record.tailrace_event, record.tailrace_fields) == ("staged 100%", {"rows": 5})


@pytest.mark.usefixtures("_restored")
def test_an_event_is_a_line_as_the_singer_sdk_has_it(capsys):
    log.configure("info", "singer")
    log.get_logger("target").warning("größer\n", stream="orders", rows=3, at="postgres://u:p@h/d")
    said = json.loads(capsys.readouterr().err)
    assert isinstance(said.pop("ts"), float)
    assert isinstance(said.pop("pid"), int)
    assert said == {
        "level": "warning",
        "logger_name": "tailrace.target",
        "thread_name": "MainThread",
        "app_name": "target-tailrace",
        "stream_name": "orders",
        "message": "größer\n",
        "extra": {"rows": 3, "at": "postgres://u:***@h/d"},
    }


@pytest.mark.usefixtures("_restored")
def test_a_plain_line_leaves_time_to_the_runner_and_names_no_level_below_a_warning(capsys):
    log.configure("info", "plain")
    log.get_logger("target").info("a checkpoint", number=3)
    log.get_logger("target").warning("odd", why="no STATE")
    assert capsys.readouterr().err == "a checkpoint number=3\nwarning: odd why='no STATE'\n"
