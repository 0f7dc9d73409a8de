"""How a command ends: each error is told in a sentence on stderr, and has its exit code."""

import sys

import pytest

from tailrace.cli.exit_codes import exit_code_of
from tailrace.errors import (
    ConfigError,
    DestinationError,
    FencedError,
    MessageError,
    RecordError,
    SchemaError,
    TapError,
    Violation,
)


@pytest.fixture
def ended(monkeypatch, capfd):
    """The exit code of a command, and what it left on stdout and stderr."""
    for stream in ("stdout", "stderr"):  # which are made anew for each command
        monkeypatch.setattr(sys, stream, getattr(sys, stream))

    def run(command):
        code = exit_code_of(command)
        return code, *capfd.readouterr()

    return run


def raising(error):
    def command():
        raise error

    return command


def test_a_command_that_ends_well_has_written_all_it_said(ended):
    assert ended(lambda: sys.stdout.write("a state")) == (0, "a state", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no such file", key="--to"), 2),
        (MessageError("no JSON", line=3), 3),
        (RecordError("s", 3, [Violation("type", "$.a", "an integer", '"x"')]), 4),
        (SchemaError("too wide", stream="s"), 5),
        (DestinationError("down"), 6),
        (FencedError("p"), 7),
        (TapError("tap", 1, "nothing is loaded"), 8),
    ],
)
def test_an_error_has_the_code_of_whoever_must_act_and_is_told_in_one_line(ended, error, code):
    assert ended(raising(error)) == (code, "", f"error: {error}\n")


def test_notes_stand_below_the_error(ended):
    error = DestinationError("down")
    error.add_note("what came before could not be committed either")
    assert ended(raising(error))[2] == "error: down\n  what came before could not be committed either\n"


def test_what_was_said_before_an_error_is_still_written(ended):
    def command():
        sys.stdout.write("a state")
        raise DestinationError("down")

    assert ended(command)[:2] == (6, "a state")


@pytest.mark.parametrize(("asked", "code"), [(3, 3), (0, 0), (None, 0), ("text", 0)])
def test_a_command_may_choose_its_code(ended, asked, code):
    assert ended(raising(SystemExit(asked)))[0] == code


def test_an_interruption_is_told(ended):
    assert ended(raising(KeyboardInterrupt())) == (130, "", "interrupted\n")


def test_a_fault_of_ours_is_told_in_full_with_nothing_that_a_terminal_obeys(ended):
    code, _, said = ended(raising(RuntimeError("odd \x1b[31m thing")))
    assert code == 1
    assert said.startswith("Traceback")
    assert "RuntimeError: odd " in said
    assert "\x1b" not in said


def test_an_error_has_nothing_in_it_that_a_terminal_obeys(ended):
    said = ended(raising(DestinationError("odd \x1b[31m\nthing")))[2]
    assert said.count("\n") == 1
    assert "\x1b" not in said
