"""The log in lines that Mage's runner reads: JSON on stdout, or on stderr behind the level."""

from __future__ import annotations

import json
import logging
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tailrace.errors import ConfigError
from tailrace.log import printable, redacted

_CALLER = "Tailrace"


class MageHandler(logging.Handler):
    """Writes each event as a line that Mage's runner reads.

    On stdout it is JSON alone. On stderr the level stands before it, `ERROR` for what ends a run, where the runner
    looks for the `error` among the tags.
    """

    def __init__(self, *, to_stdout: bool) -> None:
        super().__init__()
        self._to_stdout = to_stdout

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of an event."""
        fields = getattr(record, "tailrace_fields", {})
        event = getattr(record, "tailrace_event", None) or record.getMessage()
        if record.levelno >= logging.ERROR:
            self.say("EXCEPTION", event, {"error": event, **fields})
        else:
            self.say(record.levelname, event, fields)

    def say(self, level: str, message: str, tags: Mapping[str, object]) -> None:
        """Write a line: the level is one of Mage's, or WARNING."""
        now = datetime.now(UTC)
        told = {
            "caller": _CALLER,
            "level": level,
            "message": printable(redacted(message)),
            "tags": {name: _shown(value) for name, value in tags.items()},
            "timestamp": int(now.timestamp()),
            "type": "LOG",
            "uuid": uuid.uuid4().hex,
        }
        line = json.dumps(told)
        shown = "ERROR" if level == "EXCEPTION" else level
        with suppress(OSError, ConfigError):  # whoever has stopped reading the log stops no load
            if self._to_stdout:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
            else:
                sys.stderr.write(f"{shown} [{now.replace(tzinfo=None).isoformat()}] {line}\n")


def _shown(value: object) -> Any:
    return value if isinstance(value, bool | int | float) or value is None else printable(redacted(str(value)))


def show_log(*, to_stdout: bool, debug: bool) -> MageHandler:
    """Show the log so from now on; the handler, for lines of one's own."""
    handler = MageHandler(to_stdout=to_stdout)
    logger = logging.getLogger("tailrace")
    logger.handlers = [handler]
    logger.setLevel("DEBUG" if debug else "INFO")
    logger.propagate = False
    return handler
