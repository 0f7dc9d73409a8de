"""How a command ends: an error is a sentence on stderr and an exit code."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from tailrace.cli.streams import close_stdout, open_streams
from tailrace.errors import ConfigError, TailraceError
from tailrace.log import get_logger, is_read_by_a_runner, printable, redacted

_log = get_logger("cli")


def exit_code_of(command: Callable[[], Any]) -> int:
    """Run a command to its end; its exit code. typer itself reports wrong usage."""
    code = _code_of(lambda: _run(command))
    if code == 0:
        return _code_of(close_stdout)
    with suppress(ConfigError):  # an error is reported already
        close_stdout()
    return code


def leave(code: int) -> NoReturn:
    """End the process with that exit code, as soon as what is registered for its end is done.

    The interpreter isn't taken down first: a thread of a library that still holds a file of Python's then, as pyarrow's
    do that read ahead, would abort the process, and nobody would get the exit code.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 as multiprocessing ends its processes
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(code)


def _run(command: Callable[[], Any]) -> None:
    open_streams()
    command()


def _code_of(command: Callable[[], Any]) -> int:
    try:
        command()
    except TailraceError as error:
        _report(error)
        return error.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except Exception:  # noqa: BLE001 a bug of ours, shown in full, but without secrets and control characters
        _write(traceback.format_exc().splitlines())
        return 1
    return 0


def _report(error: TailraceError) -> None:
    start, indent = ("", "") if is_read_by_a_runner() else ("error: ", "  ")
    _write([f"{start}{error}", *(f"{indent}{note}" for note in getattr(error, "__notes__", ()))])
    if error.__cause__ is not None:
        _log.debug("caused by", error=type(error.__cause__).__name__, text=str(error.__cause__))


def _write(lines: Sequence[str]) -> None:
    """Lines on stderr; a runner that reads levels is told that they are of an error."""
    for line in lines:
        if is_read_by_a_runner():
            _log.log(logging.ERROR, line)
        else:
            sys.stderr.write(f"{printable(redacted(line))}\n")
