"""How a command ends: errors are told in a sentence on stderr, and become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from tailrace.errors import TailraceError


def exit_code_of(command: Callable[[], Any]) -> int:
    """The exit code of a command that was run to its end."""
    try:
        result = command()
    except TailraceError as error:
        _tell(error)
        return error.exit_code
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return result if isinstance(result, int) else 0


def _tell(error: TailraceError) -> None:
    sys.stderr.write(f"error: {error}\n")
    for note in getattr(error, "__notes__", ()):
        sys.stderr.write(f"  {note}\n")
    if error.__cause__ is not None:
        sys.stderr.write(f"  caused by {type(error.__cause__).__name__}: {error.__cause__}\n")
