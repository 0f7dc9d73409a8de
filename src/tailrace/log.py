"""The log: events of the standard library's `tailrace` loggers, which the command line shows on stderr."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Literal

_ROOT = "tailrace"
_DIM, _BOLD, _PLAIN = "\033[2m", "\033[1m", "\033[0m"
_OBEYED = re.compile(
    "["
    "\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029"  # control characters and ends of lines
    "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u206f"  # what turns text round
    "\\u200b\\u2060-\\u2065\\ufeff\\ufff9-\\ufffb\\U000e0000-\\U000e007f"  # what isn't seen
    "\\ud800-\\udfff"
    "]"
)
_PASSWORD = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"]*:)[^\s'\"]+(?=@)")
_SECRET_PARAMETER = re.compile(
    r"([?&][^=&\s]*(?:pass|pwd|secret|token|credential|key)[^=&\s]*=)[^&\s'\"]+", re.IGNORECASE
)
_COLOURS = {"debug": "\033[32m", "info": "\033[32m", "warning": "\033[33m", "error": "\033[31m"}


class Logger:
    """Says what happens in a part of tailrace: an event, and its fields beside.

    Whoever uses tailrace as a library sees its events as they have set up `logging`.
    """

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{part}")

    def debug(self, event: str, **fields: object) -> None:
        """Say what only who looks for a fault wants to know."""
        self.log(logging.DEBUG, event, **fields)

    def info(self, event: str, **fields: object) -> None:
        """Say how it goes."""
        self.log(logging.INFO, event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Say what somebody should look into."""
        self.log(logging.WARNING, event, **fields)

    def log(self, level: int, event: str, **fields: object) -> None:
        """Say it at one of logging's levels."""
        if self._logger.isEnabledFor(level):
            details = "".join(f" {name}={value}" for name, value in fields.items())
            extra = {"tailrace_event": event, "tailrace_fields": fields}
            self._logger.log(level, "%s", event + details, extra=extra)


def get_logger(part: str) -> Logger:
    """A logger that says which part of tailrace speaks: `info("checkpoint", number=3)`."""
    return Logger(part)


def printable(text: str) -> str:
    """The text with all that a terminal would obey, or that isn't what it looks like, written as escapes of Python."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def redacted(text: str) -> str:
    """The text without the passwords of addresses, and without parameters of theirs that are secret by their names."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***", text)) if "://" in text else text


def configure(level: str = "info", log_format: Literal["text", "json"] = "text") -> None:
    """Show events of that level and above on stderr; for the command line."""
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logger = logging.getLogger(_ROOT)
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to the stderr of the moment, which a live view replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _JsonFormatter(logging.Formatter):
    """Lines of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        text = json.dumps(_said(record), default=str, ensure_ascii=False)
        return _OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], text)


class _TextFormatter(logging.Formatter):
    """Lines of text, coloured on a terminal: time, level, event, and the fields in the order of their names."""

    def format(self, record: logging.LogRecord) -> str:
        said = _said(record)
        stamp, level, event = said.pop("timestamp"), said.pop("level"), said.pop("event")
        dim, bold, plain, colour = ("", "", "", "")
        if sys.stderr.isatty():
            dim, bold, plain, colour = _DIM, _BOLD, _PLAIN, _COLOURS.get(level, _BOLD)
        fields = "".join(f" {dim}{name}={plain}{_shown(value)}" for name, value in sorted(said.items()))
        return f"{dim}{stamp}{plain} [{colour}{level:<9}{plain}] {bold}{printable(event)}{plain}{fields}"


def _said(record: logging.LogRecord) -> dict[str, Any]:
    return {
        **{name: _without_secrets(value) for name, value in getattr(record, "tailrace_fields", {}).items()},
        "event": redacted(getattr(record, "tailrace_event", None) or record.getMessage()),
        "level": record.levelname.lower(),
        "part": record.name.removeprefix(f"{_ROOT}."),
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
    }


def _without_secrets(value: object) -> object:
    return redacted(value) if isinstance(value, str) else value


def _shown(value: object) -> str:
    """A value as one word: in quotes where it has blanks or nothing in it."""
    text = printable(str(value))
    return text if text and not set(text) & set(" \"'=\\") else repr(str(value))
