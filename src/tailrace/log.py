"""The log: events of the standard library's `tailrace` loggers, which the command line shows on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

_ROOT = "tailrace"

Fields = MutableMapping[str, Any]


def get_logger(part: str) -> Any:
    """A logger that says which part of tailrace speaks: `info("checkpoint", number=3)`.

    Whoever uses tailrace as a library sees its events as they have set up `logging`.
    """
    return structlog.wrap_logger(
        logging.getLogger(f"{_ROOT}.{part}"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, structlog.processors.format_exc_info, _for_logging],
    )


def configure(level: str = "info", log_format: Literal["text", "json"] = "text") -> None:
    """Show events of that level and above on stderr; for the command line."""
    handler = _StderrHandler()
    handler.setFormatter(_Formatter(log_format))
    logger = logging.getLogger(_ROOT)
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def _for_logging(_logger: Any, _method: str, fields: Fields) -> tuple[tuple[str], dict[str, Any]]:
    """The event as `logging` takes it: a text, and its fields beside."""
    event = str(fields.pop("event"))
    details = "".join(f" {name}={value}" for name, value in fields.items())
    return (event + details,), {"extra": {"tailrace_event": event, "tailrace_fields": fields}}


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to the stderr of the moment, which a live view replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Formatter(logging.Formatter):
    """Lines of text, coloured on a terminal, or of JSON."""

    def __init__(self, log_format: Literal["text", "json"]) -> None:
        super().__init__()
        self._stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        self._render: Any = (
            structlog.processors.JSONRenderer(default=str)
            if log_format == "json"
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
        )

    def format(self, record: logging.LogRecord) -> str:
        fields: Fields = {
            **getattr(record, "tailrace_fields", {}),
            "event": getattr(record, "tailrace_event", None) or record.getMessage(),
            "level": record.levelname.lower(),
            "part": record.name.removeprefix(f"{_ROOT}."),
        }
        return str(self._render(None, record.levelname.lower(), self._stamp(None, record.levelname.lower(), fields)))
