"""The command line: `tailrace` and its verbs."""

from __future__ import annotations

from typing import NoReturn

import typer

from tailrace import __version__
from tailrace.cli import inspecting, loading, upkeep
from tailrace.cli.exit_codes import exit_code_of, leave
from tailrace.cli.without_pandas import without_pandas

app = typer.Typer(
    help="Load Singer streams into databases, warehouses and lakes: fast, in flat memory, exactly once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(loading.load)
app.command()(loading.run)
app.command()(loading.replay)
app.command()(upkeep.recover)
app.command()(upkeep.maintain)
app.command()(inspecting.check)
app.command()(inspecting.plan)
app.command()(inspecting.files)
app.command()(inspecting.destinations)
app.command()(inspecting.about)
app.command()(inspecting.init)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 typer's callback
    if wanted:
        typer.echo(f"tailrace {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),  # noqa: FBT001, FBT003 typer's option
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; errors go to stderr and become exit codes."""
    without_pandas()
    leave(exit_code_of(app))
