"""Feeding many inputs: one after the other, or several at once by workers; they count in their order all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tailrace.config import Settings
from tailrace.destination import Destination
from tailrace.errors import TailraceError
from tailrace.log import get_logger
from tailrace.parallel.driver import opened_inputs
from tailrace.parallel.executors import Executor
from tailrace.parallel.positions import base_of, input_and_line
from tailrace.parallel.start import Input, schemas_at_start
from tailrace.parallel.task import Left
from tailrace.runtime.feed import committing_what_has_a_state, read_chunks
from tailrace.runtime.report import Report
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, decompressed

_log = get_logger("parallel")


def feed_inputs(
    target: Target,
    destination: Destination,
    settings: Settings,
    inputs: Sequence[Input],
    *,
    stopping: threading.Event,
    executor: Executor | None = None,
) -> Report:
    """The report of a run over these inputs, whose tables are as if they were one.

    Checkpoints end where a STATE stands, and between inputs that workers have staged. What only a run in order can do
    with an input is done here, in its turn. Workers are the executor's, or else those of `settings.parallel`.
    """
    with _naming_input(inputs), committing_what_has_a_state(target):
        numbered = enumerate(inputs, start=1)
        is_whole = (
            all(_read(target, settings, number, given, stopping) for number, given in numbered)
            if executor is None and settings.parallel is None
            else _read_by_workers(target, destination, settings, inputs, stopping, executor)
        )
        return target.end() if is_whole else target.stop()


def _read_by_workers(
    target: Target,
    destination: Destination,
    settings: Settings,
    inputs: Sequence[Input],
    stopping: threading.Event,
    executor: Executor | None,
) -> bool:
    with opened_inputs(target, destination, settings, executor) as workers:
        workers.plan(schemas_at_start(inputs[0], settings.max_line_bytes))
        for number, given, result in workers.staged(inputs):
            if stopping.is_set():
                return False
            if isinstance(result, Left):
                _log.debug("an input is read in order", input=given.name, since=result.reason)
            elif workers.adopt(result):
                continue
            if not _read(target, settings, number, given, stopping):
                return False
            workers.plan(())
    return True


def _read(target: Target, settings: Settings, number: int, given: Input, stopping: threading.Event) -> bool:
    """Read an input in this process; whether all of it was read."""
    reader = Reader(max_line_bytes=settings.max_line_bytes, before=base_of(number))
    with decompressed(given.open(), given.name) as source, ChunkPump(source) as pump:
        return read_chunks(target, reader, pump, stopping)


@contextmanager
def _naming_input(inputs: Sequence[Input]) -> Iterator[None]:
    """Have an error about a line say of which input it is."""
    try:
        yield
    except TailraceError as error:
        line: int | None = getattr(error, "line", None)
        number, at = input_and_line(line or 0)
        if 0 < number <= len(inputs):
            error.add_note(f"line {line} is line {at} of {inputs[number - 1].name}")
        raise
