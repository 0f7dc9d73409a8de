"""The verb `recover`: every table is brought to the pipeline's last checkpoint, or goes on without its part of it."""

from __future__ import annotations

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

GiveUp = Annotated[
    list[str] | None,
    typer.Option("--give-up", metavar="TABLE", help="A table to go on without what it lacks; may be repeated."),
]
SaveTo = Annotated[Path, typer.Option("--save-to", help="The folder that gets the rows such a table lacks.")]
Save = Annotated[bool, typer.Option("--save/--no-save", help="Whether to save the rows that such a table lacks.")]


def recover(
    to: To = None,
    config: Config = None,
    sets: Set = None,
    pipeline: Pipeline = None,
    give_up: GiveUp = None,
    save_to: SaveTo = Path("given-up"),
    save: Save = True,  # noqa: FBT002 typer's option
) -> None:
    """Finish a pipeline's last checkpoint as its next run would; a run of it that is at work ends by that."""
    log.configure("warning")
    made = setup(to, config, sets, pipeline=pipeline)
    name = made.settings.pipeline
    if name is None:
        raise ConfigError("checkpoints are remembered under a name", key="--pipeline", hint="say which pipeline")
    destination = made.open()
    retry = Retry(destination, made.settings.retry_s)
    try:
        if give_up:
            tables = [_table(text) for text in give_up]
            for sentence in retry.call(_renouncing(destination).give_up, name, tables, save_to if save else None):
                typer.echo(printable(redacted(sentence)))
        else:
            last = retry.call(destination.recover, name)
            typer.echo(printable(f"{_told(last)} The pipeline {name!r} can go on."))
    finally:
        destination.close()


def _told(last: Checkpoint | None) -> str:
    return (
        f"Every table has checkpoint {last.number}, of {last.at:%Y-%m-%d %H:%M:%S} UTC." if last else "No checkpoint."
    )


def _table(text: str) -> TableName:
    schema, _, name = text.rpartition(".")
    return TableName(name, schema or None)


def _renouncing(destination: Destination) -> Renouncing:
    if not isinstance(destination, Renouncing):
        raise ConfigError(
            "its checkpoints are in every table or in none", key="--give-up", hint="there is nothing to be given up"
        )
    return destination
