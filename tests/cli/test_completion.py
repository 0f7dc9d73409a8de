"""A shell completes verbs and options, and imports one verb's module alone for that."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import run

from tailrace.cli import completed_words

BIN = Path(sys.executable).parent
BASH = f"""
PATH={BIN}:$PATH
eval "$(_TAILRACE_COMPLETE=source_bash tailrace)"
COMP_WORDS=(tailrace load --pip) COMP_CWORD=2
_tailrace_completion tailrace
echo "${{COMPREPLY[@]}}"
"""


def completed(line):
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = run(_TAILRACE_COMPLETE="complete_bash", **words)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tailrace re", ["replay", "recover"]),
        ("tailrace load --pip", ["--pipeline"]),
        ("tailrace recover --give", ["--give-up"]),
        ("tailrace --ver", ["--version"]),
    ],
)
def test_verbs_and_their_options_are_completed(line, words):
    assert completed(line) == words


def test_bash_completes_by_the_script_that_tailrace_gives_it():
    done = subprocess.run(["bash", "-c", BASH], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("--pipeline\n", "")


def test_the_words_to_complete_are_those_of_the_shell_where_one_asks():
    assert completed_words({"COMP_WORDS": "tailrace load --t", "_TAILRACE_COMPLETE": "complete_bash"}) == ["load"]
    assert completed_words({"_TYPER_COMPLETE_ARGS": "tailrace load --t", "_TAILRACE_COMPLETE": "x"}) == ["load"]
    assert completed_words({"COMP_WORDS": "tailrace load --t"}) == ()
