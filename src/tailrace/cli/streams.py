"""The three standard streams of a process, made fit to be used: one may be closed, full, or read by nobody any more."""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from typing import Any

from tailrace.errors import ConfigError

STDIN, STDOUT, STDERR = 0, 1, 2


def open_streams() -> None:
    """Have something behind all three; from here on stdout fails with a ConfigError, and stderr never.

    Raises ConfigError where stdout is closed: nothing that a command has to say could be said.
    """
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            # Else a file that is opened later, as a database, would be taken for the stream.
            os.open(os.devnull, os.O_RDWR)
    sys.stderr = _text(_Stderr(STDERR, "w", closefd=False), sys.stderr)
    if sys.stdout is None:
        raise ConfigError(
            "it is closed, and states could not be told", key="stdout", hint="leave it open, if only as > /dev/null"
        )
    sys.stdout = _text(_Stdout(STDOUT, "w", closefd=False), sys.stdout)


def close_stdout() -> None:
    """Write what waits to be written; raises ConfigError when that can't be done, and nothing waits any more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except ConfigError:
        _let_go_of_stdout()
        raise


def _let_go_of_stdout() -> None:
    """Have the interpreter, which flushes stdout when it ends, find nothing wrong."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, STDOUT)
    os.close(nothing)
    with suppress(ConfigError):
        sys.stdout.flush()


class _Stdout(io.FileIO):
    """A stdout whose failures say what to do."""

    def write(self, data: Any) -> int:
        try:
            return _written(self, super().write, data)
        except OSError as error:
            reason = "nobody reads it any more" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
            raise ConfigError(
                f"it can't be written to: {reason}", key="stdout", hint="run again with one that takes everything"
            ) from error


class _Stderr(io.FileIO):
    """A stderr that takes everything: there is nobody to tell that it can't be written to."""

    def write(self, data: Any) -> int:
        try:
            return _written(self, super().write, data)
        except OSError:
            return len(data)


def _written(stream: io.FileIO, write: Any, data: Any) -> int:
    """How much of the data is written; waits where the stream is somebody's who doesn't wait."""
    while (count := write(data)) is None:
        select.select((), (stream,), ())
    return int(count)


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    encoding, errors = getattr(before, "encoding", "utf-8"), getattr(before, "errors", "backslashreplace")
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors, line_buffering=raw.fileno() == STDERR or raw.isatty()
    )
