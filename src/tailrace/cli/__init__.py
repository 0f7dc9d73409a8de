"""The command line: `tailrace` and its verbs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import takewhile
from typing import NoReturn

import typer

from tailrace import __version__
from tailrace.alone import import_arrow_alone, link_ahead, settle
from tailrace.cli.exit_codes import exit_code_of, leave
from tailrace.cli.streams import take_closed

_OF_PYDANTIC = ("_contextvars", "_decimal", "_socket", "_zoneinfo", "pydantic_core")
"""Extension modules that are imported with pydantic."""

VERBS = {
    "load": ("load", "Load Singer streams, CSV, JSON Lines, Parquet or Arrow files."),
    "run": ("load", "Start a tap from the state that the destination remembers, and load what it sends."),
    "replay": ("load", "Load the records of a quarantine file again, after you mended them or the settings."),
    "recover": (
        "upkeep",
        "Finish a pipeline's last checkpoint as its next run would. This ends a run of it that is still at work.",
    ),
    "state": (
        "state",
        "Show or change the state that a pipeline's next run gives to the tap. A change ends a run that is at work.",
    ),
    "maintain": (
        "upkeep",
        "Keep a lake fast: put small files together, remove files replaced long ago, and shorten journals.",
    ),
    "check": ("inspecting", "Test the connection, and print what exists there and what may be created."),
    "plan": ("inspecting", "Print every statement that loading the input's streams would need first, and run none."),
    "files": (
        "inspecting",
        "Print the files that hold a table's rows now, one a line, without those of unfinished checkpoints.",
    ),
    "destinations": ("inspecting", "List the destinations, with what each guarantees."),
    "about": ("inspecting", "Describe tailrace and its settings, with their JSON Schema."),
    "init": ("inspecting", "Print a commented config file for a destination: `tailrace init duckdb > tailrace.yaml`."),
}
"""Each verb, in the order of the help: the module that has it, and what the help says of it."""


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """The command line with the verb that is the first of these words but options, or with all verbs by name alone.

    Modules take time to import, so that of another verb isn't, and none for the help.
    """
    app = typer.Typer(
        help="Load Singer streams into databases, warehouses and lakes: fast, in flat memory, exactly once.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_common)
    words = words or completed_words()
    options = list(takewhile(lambda word: word.startswith("-"), words))
    verb = words[len(options)] if len(options) < len(words) else ""
    if verb in VERBS and not {"--help", "--version"} & {*options}:
        large = ["pyarrow.lib", *(["_duckdb"] if any("duckdb:" in word for word in words) else ())]
        link_ahead(large, _OF_PYDANTIC)
        import_module("pydantic.main")
        import_arrow_alone()
        app.command()(getattr(import_module(f"tailrace.cli.{VERBS[verb][0]}"), verb))
        return app
    for name, (_, about) in VERBS.items():
        app.command(name, help=about)(_listed)
    return app


def completed_words(environ: Mapping[str, str] = os.environ) -> Sequence[str]:
    """The words of a command line that a shell wants to have completed, but the one that may be a part of a word."""
    line = environ.get("COMP_WORDS") or environ.get("_TYPER_COMPLETE_ARGS") or ""
    return line.split()[1:-1] if "_TAILRACE_COMPLETE" in environ else ()


def _listed() -> None:
    """A verb where all are listed, and none is run."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001 typer's callback
    if wanted:
        typer.echo(f"tailrace {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),  # noqa: FBT001, FBT003 typer's option
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; errors go to stderr and become exit codes."""
    take_closed()
    settle()
    leave(exit_code_of(command_line(sys.argv[1:])))
