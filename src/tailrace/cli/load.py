"""The verb `load`: workers of this machine start before what loads is imported, which takes as long as they do."""

from __future__ import annotations

from typing import Annotated

import typer

from tailrace.cli.options import Config, LogFormat, LogLevel, Pipeline, ReportFile, Set, To, setup
from tailrace.config.settings import listed
from tailrace.errors import ConfigError
from tailrace.inputs.formats import Format
from tailrace.inputs.loaded import require_named
from tailrace.parallel.executors import workers_for


def load(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="Files (.gz, .zst too), patterns of some, or addresses as s3://bucket/run/*; - is stdin.",
        ),
    ] = None,
    to: To = None,
    config: Config = None,
    sets: Set = None,
    pipeline: Pipeline = None,
    stream: Annotated[
        str | None, typer.Option("--stream", help="The stream that files of rows are; else each has its file's name.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="FIELD", help="A field that identifies a row of files. May be repeated."),
    ] = None,
    format_: Annotated[
        Format | None, typer.Option("--format", help="What files are; else it is found out by how each begins.")
    ] = None,
    new_only: Annotated[  # noqa: FBT002 typer's option
        bool, typer.Option("--new-only", help="Leave out files that the pipeline has loaded, as they are now.")
    ] = False,
    report: ReportFile = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Load Singer streams, CSV, JSON Lines, Parquet or Arrow files."""
    named = sources or ["-"]
    made = setup(to, config, sets, pipeline=pipeline, log_level=log_level, log_format=log_format)
    if new_only:
        require_named(made.settings.pipeline)
        if named == ["-"]:
            raise ConfigError("stdin isn't a file", key="--new-only", hint="name files, as in 'dir/*.csv'")
    may_be_messages = format_ in {None, Format.SINGER}
    with workers_for(made.settings.parallel if may_be_messages and named != ["-"] else None) as workers:
        from tailrace.cli.loading import load_files, load_kept, load_stdin  # noqa: PLC0415 workers start meanwhile
        from tailrace.inputs.feed import Rows  # noqa: PLC0415 as above

        rows = Rows(stream, tuple(listed(",".join(key or ()))), format_)
        if named != ["-"]:
            load_files(named, rows, made, report, workers, new_only=new_only)
        elif may_be_messages:
            load_stdin(made, report)
        else:
            load_kept(rows, made, report)
