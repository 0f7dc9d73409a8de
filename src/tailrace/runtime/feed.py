"""Feeding: an input's bytes go through the reader into a target, until it ends, fails or is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from tailrace.errors import MessageError, RecordError, TailraceError
from tailrace.runtime.report import Report
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump

WAKE_S = 0.2
"""How often a silent input is left to look at limits of age and at requests to stop."""


def feed_chunks(
    target: Target,
    reader: Reader,
    pump: ChunkPump,
    *,
    stopping: threading.Event,
    is_whole: Callable[[], bool] = lambda: True,
) -> Report:
    """The report of a run over everything that the pump gives.

    When `stopping` is set, or `is_whole` says after the input's end that it was cut off, the run ends at the last
    STATE. So it does when the input can't be read on; then the error is raised.
    """
    try:
        while not stopping.is_set():
            chunk = pump.next(WAKE_S)
            if chunk is None:
                target.keep_time()
                continue
            if not chunk and not is_whole():
                break
            for message in reader.feed(chunk) if chunk else reader.finish():
                target.accept(message)
            if not chunk:
                return target.end()
        return target.stop()
    except TailraceError as error:
        _commit_what_has_a_state(target, error)
        raise


def feed_lines(target: Target, reader: Reader, lines: Iterable[bytes]) -> Report:
    """The report of a run over an iterable of message lines."""
    try:
        for line in lines:
            for message in reader.feed(line):
                target.accept(message)
        for message in reader.finish():
            target.accept(message)
        return target.end()
    except TailraceError as error:
        _commit_what_has_a_state(target, error)
        raise


def _commit_what_has_a_state(target: Target, error: TailraceError) -> None:
    """Commit up to the last STATE before an error; where that fails too, the first error says more."""
    try:
        target.stop(error.line if isinstance(error, MessageError | RecordError) else None)
    except TailraceError as second:
        if second.__context__ is not None:
            second.__context__.add_note(f"what came before could not be committed either: {second}")
