"""The verbs `load`, `run` and `replay`. What loads is imported while workers start, or the destination connects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tailrace.cli.options import Config, LogFormat, LogLevel, Pipeline, ReportFile, Set, Setup, To, setup
from tailrace.cli.report_file import require_writable
from tailrace.config.settings import listed
from tailrace.destination import Destination, Eager
from tailrace.errors import ConfigError
from tailrace.inputs.formats import Format
from tailrace.inputs.loaded import require_named

FullRefresh = Annotated[
    list[str] | None,
    typer.Option(
        "--full-refresh",
        metavar="STREAM",
        help="A stream, or a glob of some, that the tap is to send anew: it gets the state without their bookmarks, "
        "and their tables are replaced. May be repeated.",
    ),
]


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
    if may_be_messages and named == ["-"]:
        destination = _connecting(made, report)
        from tailrace.cli.loading import load_stdin  # noqa: PLC0415 the destination connects meanwhile

        load_stdin(destination, made.settings, report)
        return
    from tailrace.parallel.executors import workers_for  # noqa: PLC0415 stdin isn't loaded by workers

    with workers_for(made.settings.parallel if may_be_messages else None) as workers:
        from tailrace.cli.loading_files import load_files, load_kept  # noqa: PLC0415 workers start meanwhile
        from tailrace.inputs.feed import Rows  # noqa: PLC0415 as above

        rows = Rows(stream, tuple(listed(",".join(key or ()))), format_)
        if named == ["-"]:
            load_kept(rows, made, report)
        else:
            load_files(named, rows, made, report, workers, new_only=new_only)


def run(
    tap: Annotated[str, typer.Option("--tap", help="The tap's command, as in 'tap-x --config x.json'.")],
    to: To = None,
    config: Config = None,
    sets: Set = None,
    pipeline: Pipeline = None,
    full_refresh: FullRefresh = None,
    report: ReportFile = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Start a tap from the state that the destination remembers, and load what it sends."""
    made = setup(to, config, sets, pipeline=pipeline, log_level=log_level, log_format=log_format)
    if made.settings.pipeline is None:
        raise ConfigError(
            "no pipeline given", key="--pipeline", hint="the destination remembers the tap's state under its name"
        )
    destination = _connecting(made, report)
    from tailrace.cli.loading import load_tap  # noqa: PLC0415 the destination connects meanwhile

    load_tap(tap, full_refresh or (), destination, made.settings, report)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A quarantine file.")],
    to: To = None,
    config: Config = None,
    sets: Set = None,
    report: ReportFile = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Load the records of a quarantine file again, after you mended them or the settings."""
    if not file.is_file():
        raise ConfigError(f"there is no file {file}", key="FILE")
    made = setup(to, config, sets, log_level=log_level, log_format=log_format)
    aside = made.settings.quarantine
    if made.settings.on_invalid == "quarantine" and (aside is None or aside.resolve() == file.resolve()):
        aside = file.with_name(f"{file.stem}.again{file.suffix}")
        made = Setup(made.to, made.settings.model_copy(update={"quarantine": aside}), made.destination)
    destination = _connecting(made, report)
    from tailrace.cli.loading import load_again  # noqa: PLC0415 the destination connects meanwhile

    load_again(file, destination, made.settings, report)


def _connecting(made: Setup, report: Path | None) -> Destination:
    """The destination, which begins to connect unless other settings may have to be refused first, as the report is."""
    require_writable(report)
    destination, settings = made.open(), made.settings
    if isinstance(destination, Eager) and settings.on_invalid == "fail" and not settings.batch_roots:
        destination.connect_ahead()
    return destination
