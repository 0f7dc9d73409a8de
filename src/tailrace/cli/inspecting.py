"""The verbs that change nothing: `check`, `plan`, `files`, `destinations`, `about` and `init`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailrace import log
from tailrace.cli.about import about_facts, about_markdown, config_template
from tailrace.cli.options import Config, Pipeline, Set, To, setup
from tailrace.destination import Inspectable, Listable
from tailrace.destinations import NAMES, traits_of
from tailrace.errors import ConfigError
from tailrace.log import printable, redacted
from tailrace.model import TableName
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import Block, SchemaMessage
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, open_source


def check(to: To = None, config: Config = None, sets: Set = None) -> None:
    """Test the connection, and print what exists there and what may be created."""
    log.configure("warning")
    made = setup(to, config, sets)
    destination = made.open()
    try:
        for finding in _inspectable(destination).check():
            typer.echo(printable(redacted(finding)))
    finally:
        destination.close()


def plan(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A file (.gz, .zst too); - is stdin.")] = "-",
    to: To = None,
    config: Config = None,
    sets: Set = None,
    pipeline: Pipeline = None,
) -> None:
    """Print every statement that loading the input's streams would need first, and run none."""
    log.configure("warning")
    made = setup(to, config, sets, pipeline=pipeline)
    destination = made.open()
    streams = Streams(made.settings, destination.traits)
    try:
        for message in _messages(source, made.settings.max_line_bytes):
            stream = streams.accept(message)
            if stream is not None:
                typer.echo(printable(f"-- {stream.name} -> {stream.table} ({stream.method.value})"))
                has_columns = any(column.path for column in stream.columns)
                statements = _inspectable(destination).plan(stream) if has_columns else ()
                for statement in statements or ["-- nothing to do"]:
                    typer.echo(printable(statement if statement.startswith("--") else f"{statement};"))
    finally:
        destination.close()


def files(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table; with its schema as in SCHEMA.TABLE.")],
    to: To = None,
    config: Config = None,
    sets: Set = None,
) -> None:
    """Print the files that hold a table's rows now, one a line, without those of unfinished checkpoints."""
    log.configure("warning")
    destination = setup(to, config, sets).open()
    try:
        if not isinstance(destination, Listable):
            raise ConfigError(
                "its tables aren't files", key="--to", hint="files, delta and iceberg have tables of files"
            )
        for address in destination.files(TableName.of(table)):
            typer.echo(printable(address))
    finally:
        destination.close()


def destinations() -> None:
    """List the destinations, with what each guarantees."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "methods", "guarantee"):
        table.add_column(heading)
    for name in NAMES:
        try:
            traits = traits_of(name)
        except ConfigError as error:
            table.add_row(Text(name), "", Text(f"needs {error.hint}"))
            continue
        table.add_row(Text(name), ", ".join(sorted(method.value for method in traits.methods)), Text(traits.guarantee))
    Console().print(table)


def about(
    to: Annotated[str | None, typer.Option("--to", help="Only this destination's settings.")] = None,
    form: Annotated[Literal["json", "markdown"], typer.Option("--format", help="json or markdown.")] = "markdown",
) -> None:
    """Describe tailrace and its settings, with their JSON Schema."""
    facts: dict[str, Any] = about_facts(to)
    typer.echo(json.dumps(facts, indent=2) if form == "json" else about_markdown(facts))


def init(name: Annotated[str, typer.Argument(metavar="NAME", help="The destination's name.")]) -> None:
    """Print a commented config file for a destination: `tailrace init duckdb > tailrace.yaml`."""
    typer.echo(config_template(name))


def _inspectable(destination: object) -> Inspectable:
    if not isinstance(destination, Inspectable):
        raise ConfigError("this destination has neither check nor plan", key="--to")
    return destination


def _messages(source: str, max_line_bytes: int) -> Iterator[SchemaMessage]:
    """The SCHEMA messages of an input."""
    reader = Reader(max_line_bytes=max_line_bytes)
    with open_source(source) as stream, ChunkPump(stream) as pump:
        while chunk := pump.next(None):
            yield from _schemas(reader.feed(chunk))
        yield from _schemas(reader.finish())


def _schemas(blocks: Iterator[Block]) -> Iterator[SchemaMessage]:
    return (message for block in blocks for message in block.messages if isinstance(message, SchemaMessage))
