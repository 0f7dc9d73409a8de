"""What `load`, `run` and `replay` do once the settings are known: a run, its report, and what signals do to it."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from glob import escape
from importlib import import_module
from pathlib import Path
from types import FrameType

import typer

from tailrace import log
from tailrace.cli.report_file import write_report
from tailrace.config import Settings
from tailrace.destination import Destination
from tailrace.errors import ConfigError, TapError
from tailrace.inputs.batches import Batches
from tailrace.inputs.loaded import require_no_files, told_of
from tailrace.runtime.feed import Parser, feed_chunks, feed_lines
from tailrace.runtime.quarantine import quarantined_messages
from tailrace.runtime.report import Report
from tailrace.runtime.states import refresh
from tailrace.runtime.summary import report_table
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, open_source
from tailrace.singer.state import StateWriter

_log = log.get_logger("target")

Feed = Callable[[Target, Parser, threading.Event, bytes | None], Report]


def load_stdin(destination: Destination, settings: Settings, report: Path | None) -> None:
    """Load the messages that come by stdin."""
    if sys.stdin is not None and sys.stdin.isatty():
        _say("reading from the terminal: pipe a tap into it, as in `tap-x | tailrace load ...`, or name a file")
    load_by(_from_stdin, destination, settings, report)


def _from_stdin(target: Target, reader: Parser, stopping: threading.Event, state: bytes | None) -> Report:
    require_no_files(state)
    with open_source("-") as stream, ChunkPump(stream) as pump, view(target, lambda: pump.share):
        return feed_chunks(target, reader, pump, stopping=stopping)


def load_tap(
    tap: str, full_refresh: Sequence[str], destination: Destination, settings: Settings, report: Path | None
) -> None:
    """Load what a tap sends that is started from the state that the destination remembers."""
    from tailrace.singer.tap import Tap  # noqa: PLC0415 who loads stdin starts no tap

    def feed(target: Target, reader: Parser, stopping: threading.Event, state: bytes | None) -> Report:
        require_no_files(state)
        if full_refresh:
            refreshed = refresh(state, full_refresh)
            target.replace_streams(full_refresh if refreshed.is_fresh else [*map(escape, refreshed.streams)])
            state = refreshed.state
        with Tap(tap, state) as running, ChunkPump(running.stdout) as pump, view(target):
            result = feed_chunks(target, reader, pump, stopping=stopping, is_whole=lambda: running.exit_code() == 0)
            if not stopping.is_set() and running.exit_code() != 0:
                raise TapError(running.shown, running.exit_code(), _loaded(result))
            return result

    load_by(feed, destination, settings, report)


def load_again(file: Path, destination: Destination, settings: Settings, report: Path | None) -> None:
    """Load the records of a quarantine file."""

    def feed(target: Target, reader: Parser, _stopping: threading.Event, _state: bytes | None) -> Report:
        with view(target):
            return feed_lines(target, reader, quarantined_messages(file))

    load_by(feed, destination, settings, report)


def load_by(feed: Feed, destination: Destination, settings: Settings, report_file: Path | None) -> None:
    """A run: connect, recover, feed, and report on stderr; raises typer.Exit after a signal."""
    stopping = threading.Event()
    writer = StateWriter(sys.stdout.buffer)

    def tell(state: bytes) -> None:
        if (told := told_of(state)) is not None:
            writer.tell(told)

    target = Target(destination, settings, tell=tell)
    try:
        batches = Batches(target, settings)
        reader = batches.reading(Reader(max_line_bytes=settings.max_line_bytes))
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


def view(target: Target, share: Callable[[], float | None] = lambda: None) -> AbstractContextManager[object]:
    """The live view on a terminal; elsewhere there is none, and what it takes isn't imported."""
    if not sys.stderr.isatty():
        return nullcontext()
    live: AbstractContextManager[object] = import_module("tailrace.runtime.progress").live_view(target, share)
    return live


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
        write_report(report, report_file)


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
