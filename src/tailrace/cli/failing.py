"""How a command ends: errors are told in a sentence on stderr, and become exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tailrace.errors import TailraceError


def exit_code_of(command: Callable[[], Any]) -> int:
    """The exit code of a command that was run to its end; how it was used wrongly typer has told by then."""
    try:
        command()
    except TailraceError as error:
        _tell(error)
        return error.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def _tell(error: TailraceError) -> None:
    sys.stderr.write(f"error: {error}\n")
    for note in getattr(error, "__notes__", ()):
        sys.stderr.write(f"  {note}\n")
    if error.__cause__ is not None:
        sys.stderr.write(f"  caused by {type(error.__cause__).__name__}: {error.__cause__}\n")
