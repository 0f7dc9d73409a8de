"""The log: structlog lines on stderr, as text or JSON; stdout is left to STATE messages."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO, cast

import structlog


def get_logger(name: str) -> Any:
    """A logger that says which part of tailrace speaks."""
    return structlog.get_logger(part=name)


def configure(level: str = "info", log_format: Literal["text", "json"] = "text") -> None:
    """Set up logging for the process: lines of that level and above, on stderr."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _Stderr())),
        cache_logger_on_first_use=False,
    )


class _Stderr:
    """The stderr of the moment, which a live view replaces while it is shown."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()
