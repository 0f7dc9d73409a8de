"""The verbs of the command line: what is said of each, and which of them is run."""

from importlib import import_module
from inspect import getdoc

import pytest

from tailrace.cli import VERBS, command_line
from tailrace.cli.exit_codes import exit_code_of


@pytest.fixture
def told(monkeypatch, capfd):
    """Runs the command line in this process; its exit code, and what it writes to stdout and stderr."""

    def ran(*words):
        monkeypatch.setattr("sys.argv", ["tailrace", *words])
        code = exit_code_of(command_line(words))
        said = capfd.readouterr()
        return code, said.out, said.err

    return ran


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_verbs_says_of_each_what_its_own_help_says(verb):
    module, about = VERBS[verb]
    assert getdoc(getattr(import_module(f"tailrace.cli.{module}"), verb)) == about


@pytest.mark.parametrize("words", [["--help"], ["--help", "load"]])
def test_the_help_lists_all_verbs(words, told):
    code, out, _ = told(*words)
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in VERBS)


def test_words_without_a_verb_are_wrong_usage(told):
    assert told()[0] == 2
    assert told("--no-such-option", "load")[0] == 2
    code, _, err = told("lod")
    assert code == 2
    assert "Did you mean 'load'?" in err


def test_a_verb_behind_two_dashes_is_run(told):
    code, out, _ = told("--", "init", "sqlite")
    assert code == 0
    assert "to: sqlite" in out


def test_the_version_is_told_before_a_verb_too(told):
    code, out, _ = told("--version", "load")
    assert (code, out.split()[0]) == (0, "tailrace")
