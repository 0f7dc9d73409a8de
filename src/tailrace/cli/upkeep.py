"""The verbs that look after tables between runs: `recover` and `maintain`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tailrace import log
from tailrace.cli.options import Config, Pipeline, Set, To, setup
from tailrace.destination import Destination, Renouncing
from tailrace.errors import ConfigError
from tailrace.log import printable, redacted
from tailrace.model import Checkpoint, TableName
from tailrace.runtime.retry import Retry
from tailrace.runtime.upkeep import maintained

GiveUp = Annotated[
    list[str] | None,
    typer.Option(
        "--give-up", metavar="TABLE", help="A table to leave without its part of the checkpoint; may be repeated."
    ),
]
SaveTo = Annotated[Path, typer.Option("--save-to", help="The folder for the rows that such a table lacks.")]
Save = Annotated[bool, typer.Option("--save/--no-save", help="Whether to save the rows that such a table lacks.")]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def recover(
    to: To = None,
    config: Config = None,
    sets: Set = None,
    pipeline: Pipeline = None,
    give_up: GiveUp = None,
    save_to: SaveTo = Path("given-up"),
    save: Save = True,  # noqa: FBT002 typer's option
) -> None:
    """Finish a pipeline's last checkpoint as its next run would. This ends a run of it that is still at work."""
    log.configure("warning")
    made = setup(to, config, sets, pipeline=pipeline)
    name = made.settings.pipeline
    if name is None:
        raise ConfigError("no pipeline given", key="--pipeline", hint="name the one to recover")
    destination = made.open()
    retry = Retry(destination, made.settings.retry_s)
    try:
        if give_up:
            tables = [TableName.of(text) for text in give_up]
            for sentence in retry.call(_renouncing(destination).give_up, name, tables, save_to if save else None):
                typer.echo(printable(redacted(sentence)))
        else:
            last = retry.call(destination.recover, name)
            typer.echo(printable(f"{_sentence(last)} The pipeline {name!r} can go on."))
    finally:
        destination.close()


def maintain(
    to: To = None,
    config: Config = None,
    sets: Set = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="Only this table; may be repeated. Default: all.")
    ] = None,
    keep: Annotated[
        str, typer.Option("--keep", help="How long replaced files stay for readers, as in 12h or 7d.")
    ] = "7d",
) -> None:
    """Keep a lake fast: put small files together, remove files replaced long ago, and shorten journals."""
    log.configure("warning")
    kept = _duration(keep)
    destination = setup(to, config, sets).open()
    try:
        for sentence in maintained(destination, tables or (), kept):
            typer.echo(printable(redacted(sentence)))
    finally:
        destination.close()


def _duration(text: str) -> timedelta:
    """A time such as 90m, 12h or 7d."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if found is None:
        raise ConfigError(f"{text!r} isn't a time", key="--keep", hint="as in 12h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _sentence(last: Checkpoint | None) -> str:
    return (
        f"Every table has checkpoint {last.number}, of {last.at:%Y-%m-%d %H:%M:%S} UTC." if last else "No checkpoint."
    )


def _renouncing(destination: Destination) -> Renouncing:
    if not isinstance(destination, Renouncing):
        raise ConfigError(
            "it commits a checkpoint to all tables or to none", key="--give-up", hint="leave the option out"
        )
    return destination
