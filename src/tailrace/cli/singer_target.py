"""`target-tailrace`: tailrace as a Singer target, with a target's usual options."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from tailrace import __version__
from tailrace.alone import import_arrow_alone, settle
from tailrace.cli.exit_codes import exit_code_of, leave


def target(
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config", "-c", help="A settings file, or ENV for TARGET_TAILRACE_... variables; may be repeated."
        ),
    ] = None,
    source: Annotated[str, typer.Option("--input", help="A file to read instead of stdin.")] = "-",
    about: Annotated[bool, typer.Option("--about", help="Describe the target and its settings.")] = False,  # noqa: FBT002 typer's option
    form: Annotated[Literal["json", "markdown"], typer.Option("--format", help="json or markdown.")] = "markdown",
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,  # noqa: FBT002 typer's option
) -> None:
    """Load a Singer stream as its settings say; `to` names the destination."""
    if version:
        typer.echo(f"target-tailrace {__version__}")
        return
    import_arrow_alone()
    if about:
        typer.echo(_about(form))
    else:
        import_module("tailrace.cli.load").load([source], config=[Path(path) for path in config or ()])


def _about(form: str) -> str:
    if form == "markdown":
        described = import_module("tailrace.cli.about")
        return str(described.about_markdown(described.about_facts()))
    return json.dumps(import_module("tailrace.cli.singer_about").singer_facts(), indent=2)


def main() -> NoReturn:
    """Run `target-tailrace`; errors go to stderr and become exit codes."""
    settle()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(target)
    leave(exit_code_of(app))
