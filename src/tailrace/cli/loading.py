"""The verbs `run` and `replay`, and what `load` does once it knows what to load."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from glob import escape
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from tailrace import log
from tailrace.cli.options import Config, LogFormat, LogLevel, Pipeline, ReportFile, Set, Setup, To, setup
from tailrace.errors import ConfigError, TapError, advice_on_space
from tailrace.inputs.batches import Batches
from tailrace.inputs.feed import InputFeed, Rows
from tailrace.inputs.loaded import loaded_files, require_no_files, told_of
from tailrace.inputs.places import files_of
from tailrace.parallel.executors import Executor
from tailrace.runtime.feed import Parser, feed_chunks, feed_lines
from tailrace.runtime.quarantine import quarantined_messages
from tailrace.runtime.report import Report
from tailrace.runtime.states import refresh
from tailrace.runtime.summary import report_table
from tailrace.runtime.target import Target
from tailrace.scratch import ScratchFolder
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, open_source
from tailrace.singer.state import StateWriter
from tailrace.singer.tap import Tap

_log = log.get_logger("target")

FullRefresh = Annotated[
    list[str] | None,
    typer.Option(
        "--full-refresh",
        metavar="STREAM",
        help="A stream, or a glob of some, that the tap is to send anew: it gets the state without their bookmarks, "
        "and their tables are replaced. May be repeated.",
    ),
]

Feed = Callable[[Target, Parser, threading.Event, bytes | None], Report]


def load_stdin(made: Setup, report: Path | None) -> None:
    """Load the messages that come by stdin."""
    if sys.stdin is not None and sys.stdin.isatty():
        _say("reading from the terminal: pipe a tap into it, as in `tap-x | tailrace load ...`, or name a file")
    _load(made, _from_stdin, report)


def load_kept(rows: Rows, made: Setup, report: Path | None) -> None:
    """Load a file of rows that comes by stdin; it is kept on this machine meanwhile, since it is read twice."""
    if rows.stream is None:
        raise ConfigError("no stream given", key="--stream", hint="what comes by stdin has no file's name")
    with ScratchFolder("stdin") as folder:
        path = folder.path / "stdin"
        with open_source("-") as source, path.open("wb") as kept:
            shutil.copyfileobj(source, kept, 2**20)
        load_files([str(path)], rows, made, report, None, new_only=False)


def _from_stdin(target: Target, reader: Parser, stopping: threading.Event, state: bytes | None) -> Report:
    require_no_files(state)
    with open_source("-") as stream, ChunkPump(stream) as pump, _view(target, lambda: pump.share):
        return feed_chunks(target, reader, pump, stopping=stopping)


def load_files(
    sources: list[str], rows: Rows, made: Setup, report: Path | None, workers: Executor | None, *, new_only: bool
) -> None:
    """Load files, by these workers where there are any."""
    inputs = files_of(sources, made.settings.input_store)

    def feed(target: Target, _reader: Parser, stopping: threading.Event, state: bytes | None) -> Report:
        loaded = loaded_files(state, new_only=new_only)
        feeding = InputFeed(
            target, made.settings, inputs, stopping=stopping, rows=rows, loaded=loaded, executor=workers
        )
        with _view(target, lambda: feeding.share):
            return feeding.run()

    _load(made, feed, report)


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

    def feed(target: Target, reader: Parser, stopping: threading.Event, state: bytes | None) -> Report:
        require_no_files(state)
        if full_refresh:
            refreshed = refresh(state, full_refresh)
            target.replace_streams(full_refresh if refreshed.is_fresh else [*map(escape, refreshed.streams)])
            state = refreshed.state
        with Tap(tap, state) as running, ChunkPump(running.stdout) as pump, _view(target):
            result = feed_chunks(target, reader, pump, stopping=stopping, is_whole=lambda: running.exit_code() == 0)
            if not stopping.is_set() and running.exit_code() != 0:
                raise TapError(running.shown, running.exit_code(), _loaded(result))
            return result

    _load(made, feed, report)


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

    def feed(target: Target, reader: Parser, _stopping: threading.Event, _state: bytes | None) -> Report:
        with _view(target):
            return feed_lines(target, reader, quarantined_messages(file))

    _load(made, feed, report)


def _load(made: Setup, feed: Feed, report_file: Path | None) -> None:
    """A run: connect, recover, feed, and report on stderr; raises typer.Exit after a signal."""
    _try(report_file)
    stopping = threading.Event()
    writer = StateWriter(sys.stdout.buffer)

    def tell(state: bytes) -> None:
        if (told := told_of(state)) is not None:
            writer.tell(told)

    target = Target(made.open(), made.settings, tell=tell)
    try:
        batches = Batches(target, made.settings)
        reader = batches.reading(Reader(max_line_bytes=made.settings.max_line_bytes))
        with _signals(stopping) as received, batches.naming_origins():
            last = target.begin()
            gc.freeze()  # what is there now stays to the end: no search for garbage need look at it again
            feed(target, reader, stopping, last.state if last else None)
    except BaseException as error:
        target.close()
        try:
            _conclude(target.report(), report_file)
        except ConfigError as second:
            error.add_note(str(second))
        raise
    target.close()
    _conclude(target.report(), report_file)
    if received:
        name = signal.Signals(received[0]).name
        _say(f"stopped by {name}: {_loaded(target.report())}; run again to go on")
        raise typer.Exit(128 + received[0])
    if target.line == 0 and target.tally.checkpoints:
        _log.warning("no message came; did the tap start?")


def _loaded(report: Report) -> str:
    """What is loaded of an input that ended early."""
    if report.state is not None:
        return "what came up to its last STATE message is loaded"
    if report.checkpoints:
        return "what its last checkpoint covers is loaded"
    return "nothing is loaded, since no STATE message came"


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _width() -> int:
    """The width of the terminal that stderr is; where it is none, names are folded as on a wide one."""
    if not sys.stderr.isatty():
        return 140
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80


def _try(report_file: Path | None) -> None:
    """Raise ConfigError before anything is loaded if the report can't be written."""
    if report_file is None:
        return
    try:
        with report_file.open("ab"):
            pass
    except OSError as error:
        raise _unwritten(report_file, error) from error


def _unwritten(report_file: Path, error: OSError) -> ConfigError:
    hint = advice_on_space(error, report_file) or "name another file"
    return ConfigError(f"{report_file} can't be written: {error.strerror}", key="--report", hint=hint)


def _view(target: Target, share: Callable[[], float | None] = lambda: None) -> AbstractContextManager[object]:
    """The live view on a terminal; elsewhere there is none, and what it takes isn't imported."""
    if not sys.stderr.isatty():
        return nullcontext()
    view: AbstractContextManager[object] = import_module("tailrace.runtime.progress").live_view(target, share)
    return view


def _conclude(report: Report, report_file: Path | None) -> None:
    for name, stream in report.streams.items():
        if stream.other_unknown_fields:
            _log.warning(
                "more than a hundred fields aren't in the schema; all of them are dropped, and the first hundred named",
                stream=name,
                values=stream.other_unknown_fields,
            )
    if report.streams:
        sys.stderr.write(report_table(report, _width()))
    if report_file is not None:
        try:
            report.write(report_file)
        except OSError as error:
            raise _unwritten(report_file, error) from error


@contextmanager
def _signals(stopping: threading.Event) -> Iterator[list[int]]:
    """Make the first SIGTERM or SIGINT stop the run, and a second one end it; the signals received."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        stopping.set()
        signal.signal(number, previous[signal.Signals(number)])

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, action in previous.items():
            signal.signal(number, action)
