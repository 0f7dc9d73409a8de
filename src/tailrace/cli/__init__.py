"""The command line: `tailrace` and its verbs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import typer

from tailrace import __version__
from tailrace.cli.arrow import import_arrow_alone
from tailrace.cli.exit_codes import exit_code_of, leave

VERBS = {
    "load": "loading",
    "run": "loading",
    "replay": "loading",
    "recover": "upkeep",
    "maintain": "upkeep",
    "check": "inspecting",
    "plan": "inspecting",
    "files": "inspecting",
    "destinations": "inspecting",
    "about": "inspecting",
    "init": "inspecting",
}
"""Each verb, in the order of the help, and the module that has it."""

GARBAGE_AT = 100_000
"""New objects at which Python looks for garbage: at its own 700, that takes a fifth of a start, and finds none."""


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """The command line with the verb that these words begin with, or with all verbs where they begin with none.

    Modules take time to import, so those of other verbs aren't.
    """
    app = typer.Typer(
        help="Load Singer streams into databases, warehouses and lakes: fast, in flat memory, exactly once.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_common)
    verb = words[0] if words else ""
    if verb == "--version":
        return app
    import_arrow_alone()
    for each in [verb] if verb in VERBS else VERBS:
        app.command()(getattr(import_module(f"tailrace.cli.{VERBS[each]}"), each))
    return app


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
    gc.set_threshold(GARBAGE_AT)
    leave(exit_code_of(command_line(sys.argv[1:])))
