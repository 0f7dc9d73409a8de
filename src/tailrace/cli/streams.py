"""The three standard streams, made safe to use even if one is closed, full, or no longer read."""

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
    """Make all three usable. From here on a failing stdout raises ConfigError, and stderr never fails.

    Raises ConfigError if stdout is closed, since the command could print nothing.
    """
    take_closed()
    sys.stderr = _text(_Stderr(STDERR, "w", closefd=False), sys.stderr)
    if sys.stdout is None:
        raise ConfigError(
            "it is closed, so no state can be printed", key="stdout", hint="leave it open, at least as > /dev/null"
        )
    sys.stdout = _text(_Stdout(STDOUT, "w", closefd=False), sys.stdout)


def take_closed() -> None:
    """Take the numbers of closed streams, or a file opened later, such as a database, would get one and be written to.

    Before there are threads.
    """
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def close_stdout() -> None:
    """Flush stdout; raises ConfigError if that fails, and drops what couldn't be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except ConfigError:
        _discard_stdout()
        raise


def _discard_stdout() -> None:
    """Redirect stdout to nowhere, so that the interpreter's own flush at its end succeeds."""
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
    """A stderr that never fails, since nobody could be told."""

    def write(self, data: Any) -> int:
        try:
            return _written(self, super().write, data)
        except OSError:
            return len(data)


def _written(stream: io.FileIO, write: Any, data: Any) -> int:
    """Write data, waiting if the stream is non-blocking; the count of bytes written."""
    while (count := write(data)) is None:
        select.select((), (stream,), ())
    return int(count)


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    encoding, errors = getattr(before, "encoding", "utf-8"), getattr(before, "errors", "backslashreplace")
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors, line_buffering=raw.fileno() == STDERR or raw.isatty()
    )
