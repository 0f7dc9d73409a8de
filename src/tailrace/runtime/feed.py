"""Feeding: an input's bytes go through the reader into a target, until it ends, fails or is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tailrace.errors import ConfigError, MessageError, TailraceError
from tailrace.runtime.drain import LINE_ERRORS
from tailrace.runtime.report import Report
from tailrace.runtime.target import Target
from tailrace.singer.messages import Block
from tailrace.singer.source import ChunkPump

WAKE_S = 0.2
"""How often a silent input is left to look at limits of age and at requests to stop."""

MAX_STOPS = 200
"""How many STATEs are tried, from the last one back, before what came before is left to the next run."""


class Parser(Protocol):
    """What makes blocks of chunks, as `singer.reader.Reader` does."""

    def feed(self, chunk: bytes) -> Iterator[Block]:
        """The blocks of the lines that end in the chunk."""

    def finish(self) -> Iterator[Block]:
        """The blocks of a last line that no line feed ends."""


def feed_chunks(
    target: Target,
    reader: Parser,
    pump: ChunkPump,
    *,
    stopping: threading.Event,
    is_whole: Callable[[], bool] = lambda: True,
) -> Report:
    """The report of a run over everything that the pump gives.

    When `stopping` is set, or `is_whole` says after the input's end that it was cut off, the run ends at the last
    STATE. So it does when the input can't be read on; then the error is raised.
    """
    with committing_what_has_a_state(target):
        return target.end() if read_chunks(target, reader, pump, stopping, is_whole) else target.stop()


def read_chunks(
    target: Target,
    reader: Parser,
    pump: ChunkPump,
    stopping: threading.Event,
    is_whole: Callable[[], bool] = lambda: True,
) -> bool:
    """Take everything that the pump gives; False where that was stopped, or the input was cut off."""
    while not stopping.is_set():
        chunk = _next_chunk(target, pump)
        if chunk is None:
            target.keep_time()
            continue
        if not chunk and not is_whole():
            break
        for block in reader.feed(chunk) if chunk else reader.finish():
            if stopping.is_set():
                return False
            target.accept(block)
        if not chunk:
            return True
    return False


def feed_lines(target: Target, reader: Parser, lines: Iterable[bytes]) -> Report:
    """The report of a run over an iterable of message lines."""
    with committing_what_has_a_state(target):
        for line in lines:
            for block in reader.feed(line):
                target.accept(block)
        for block in reader.finish():
            target.accept(block)
        return target.end()


def _next_chunk(target: Target, pump: ChunkPump) -> bytes | None:
    """What the pump gives; when the input can't be read on, what came before is committed up to its last STATE."""
    try:
        return pump.next(WAKE_S)
    except TailraceError as error:
        _stop(target, error, None)
        raise


@contextmanager
def committing_what_has_a_state(target: Target) -> Iterator[None]:
    """Commit up to the last STATE before a line that can't be taken; other failures may have lost what came before."""
    try:
        yield
    except (ConfigError, MessageError, *LINE_ERRORS) as error:
        line: int | None = getattr(error, "line", None)
        _stop(target, error, target.line if line is None else line)
        raise


def _stop(target: Target, error: TailraceError, failed_line: int | None) -> None:
    """End the run before that line, and before any earlier one that turns out to be no better."""
    for _ in range(MAX_STOPS):
        try:
            target.stop(failed_line)
        except LINE_ERRORS as earlier:
            if earlier.line is not None and (failed_line is None or earlier.line < failed_line):
                failed_line = earlier.line
                continue
            _say_uncommitted(error, earlier)
        except TailraceError as second:
            _say_uncommitted(error, second)
        return


def _say_uncommitted(error: TailraceError, second: TailraceError) -> None:
    if second is not error:
        error.add_note(f"what came before could not be committed either: {second}")
