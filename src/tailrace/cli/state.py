"""The verb `state`: what a destination remembers of a pipeline is shown, exported, set and reset."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from tailrace import log
from tailrace.cli.options import Config, Pipeline, Set, To, setup
from tailrace.errors import ConfigError
from tailrace.log import printable
from tailrace.model import Checkpoint
from tailrace.runtime.retry import Retry
from tailrace.runtime.states import given_state, remember, remembered

Action = Annotated[
    Literal["show", "export", "set", "reset"],
    typer.Argument(
        metavar="show|export|set|reset",
        help="show: the last checkpoint. export: its state alone, as a tap's --state takes it. set: another state. "
        "reset: none, so that the tap starts afresh.",
    ),
]
New = Annotated[
    str | None, typer.Argument(metavar="[STATE]", help="For set: the state as JSON, or its file; - is stdin.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask whether the present state may be lost.")]


def state(
    action: Action,
    new: New = None,
    to: To = None,
    config: Config = None,
    sets: Set = None,
    pipeline: Pipeline = None,
    yes: Yes = False,  # noqa: FBT002 typer's option
) -> None:
    """Show or change the state that a pipeline's next run gives to the tap. A change ends a run that is at work."""
    log.configure("warning")
    if (new is not None) != (action == "set"):
        raise ConfigError(
            "`set` takes a state, and nothing else does", key="STATE", hint="as in `state set state.json`"
        )
    given = None if new is None else given_state(_read(new))
    made = setup(to, config, sets, pipeline=pipeline)
    if made.settings.pipeline is None:
        raise ConfigError("no pipeline given", key="--pipeline", hint="name the one whose state is meant")
    with closing(made.open()) as destination:
        last = remembered(destination, Retry(destination, made.settings.retry_s), made.settings.pipeline)
        if action == "show":
            typer.echo("\n".join(map(printable, _shown(last).split("\n"))))
        elif action == "export":
            _export(last)
        elif (last.state if last else None) == given:
            typer.echo("Nothing is changed: that is the state already." if given else "There is no state.")
        else:
            if last and last.state is not None and not yes:
                _agree(action, has_stdin=new != "-")
            stored = remember(destination, made.settings, given, last, datetime.now(UTC))
            typer.echo(f"Checkpoint {stored.number} has {'that state' if given else 'no state'}, and no rows.")


def _read(new: str) -> bytes:
    """The state that is given in a word."""
    if new == "-":
        return sys.stdin.buffer.read()
    if new.lstrip().startswith(("{", "[", '"')):
        return new.encode()
    try:
        return Path(new).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{new} can't be read: {error.strerror}", key="STATE", hint="give the state as JSON, its file, or -"
        ) from error


def _shown(last: Checkpoint | None) -> str:
    """What is known of a pipeline, for people."""
    if last is None:
        return "No checkpoint."
    said = f"Checkpoint {last.number}, of {last.at:%Y-%m-%d %H:%M:%S} UTC."
    if last.state is None:
        return f"{said}\nNo state: the tap starts afresh."
    try:
        return f"{said}\n{msgspec.json.format(last.state, indent=2).decode()}"
    except (msgspec.DecodeError, UnicodeDecodeError):  # whatever it is, the tap gets it
        return f"{said}\n{last.state.decode('utf-8', 'backslashreplace')}"


def _export(last: Checkpoint | None) -> None:
    """Write the state alone; raises ConfigError where there is none, since no tap takes an empty file."""
    if last is None or last.state is None:
        raise ConfigError(
            "the pipeline has no state", key="--pipeline", hint="see that the name is right, or run the tap without one"
        )
    sys.stdout.buffer.write(last.state + b"\n")
    sys.stdout.buffer.flush()


def _agree(action: str, *, has_stdin: bool) -> None:
    """Ask whether the present state may be lost; raises unless somebody says so."""
    if not (has_stdin and sys.stdin.isatty()):
        raise ConfigError(
            f"`{action}` loses the present state", key="--yes", hint="`state export` keeps it; then say --yes"
        )
    also = ", the tap sends all rows again, and appended ones come twice" if action == "reset" else ""
    if not typer.confirm(f"The present state is lost{also}. Go on?", err=True):
        raise typer.Exit(1)
