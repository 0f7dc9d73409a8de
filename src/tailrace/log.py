"""The log: events of the standard library's `tailrace` loggers, which the command line shows on stderr."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
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

    def log_all(self, level: int, events: Sequence[str], **fields: object) -> None:
        """Say several events that have the same fields, at one of logging's levels.

        The command line's own handler writes them at once, without a record for each.
        """
        handlers = logging.getLogger(_ROOT).handlers
        if not (len(handlers) == 1 and isinstance(handlers[0], _StderrHandler)):
            for event in events:
                self.log(level, event, **fields)
        elif self._logger.isEnabledFor(level):
            handlers[0].write_all(level, self._logger.name, events, fields)


def get_logger(part: str) -> Logger:
    """A logger that says which part of tailrace speaks: `info("checkpoint", number=3)`."""
    return Logger(part)


def printable(text: str) -> str:
    """The text with all that a terminal would obey, or that isn't what it looks like, written as escapes of Python."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def redacted(text: str) -> str:
    """The text without the passwords of addresses, and without parameters of theirs that are secret by their names."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***", text)) if "://" in text else text


def configure(level: str = "info", log_format: Literal["text", "json", "singer", "plain"] = "text") -> None:
    """Show events of that level and above on stderr; for the command line."""
    handler = _StderrHandler(_FORMATS[log_format])
    logger = logging.getLogger(_ROOT)
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def is_read_by_a_runner() -> bool:
    """Whether what stands on stderr is read by a runner that looks for the log lines of the Singer SDK."""
    handlers = logging.getLogger(_ROOT).handlers
    return any(isinstance(handler, _StderrHandler) and handler.lines is _singer_lines for handler in handlers)


class _StderrHandler(logging.StreamHandler[Any]):
    """Writes to the stderr of the moment, which a live view replaces while it is shown."""

    def __init__(self, write: _Lines) -> None:
        super().__init__()
        self.lines = write

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        event = getattr(record, "tailrace_event", None) or record.getMessage()
        fields = getattr(record, "tailrace_fields", {})
        (line,) = self.lines(_Said(record.created, record.levelno, record.name, fields), [event])
        return line

    def write_all(self, level: int, name: str, events: Sequence[str], fields: Mapping[str, object]) -> None:
        """Write a line for each event."""
        lines = self.lines(_Said(time.time(), level, name, fields), events)
        with self.lock or nullcontext():
            self.stream = sys.stderr
            self.stream.write("".join(f"{line}\n" for line in lines))
            self.flush()


class _Said:
    """What lines of the log say beside their events: the fields without secrets, and when, how loud and which part."""

    def __init__(self, created_s: float, level: int, name: str, fields: Mapping[str, object]) -> None:
        self.fields = {name: redacted(value) if isinstance(value, str) else value for name, value in fields.items()}
        self.level = logging.getLevelName(level).lower()
        self.name = name
        self.created_s = created_s
        self.part = name.removeprefix(f"{_ROOT}.")
        self.timestamp = datetime.fromtimestamp(created_s, UTC).isoformat().replace("+00:00", "Z")


_Lines = Callable[[_Said, Sequence[str]], Iterable[str]]


def _json_lines(said: _Said, events: Sequence[str]) -> Iterator[str]:
    """Lines of JSON."""
    beside = {"level": said.level, "part": said.part, "timestamp": said.timestamp}
    for event in events:
        text = json.dumps({**said.fields, "event": redacted(event), **beside}, default=str, ensure_ascii=False)
        yield _OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _singer_lines(said: _Said, events: Sequence[str]) -> Iterator[str]:
    """Lines as the Singer SDK's StructuredFormatter writes them, which Meltano reads."""
    fields = dict(said.fields)
    stream = fields.pop("stream", None)
    beside = {
        "level": said.level,
        "pid": os.getpid(),
        "logger_name": said.name,
        "ts": said.created_s,
        "thread_name": threading.current_thread().name,
        "app_name": "target-tailrace",
        "stream_name": stream,
    }
    for event in events:
        text = json.dumps({**beside, "message": redacted(event), "extra": fields}, default=str, ensure_ascii=False)
        yield _OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _plain_lines(said: _Said, events: Sequence[str]) -> Iterator[str]:
    """Lines of text without time, for runners that add it; a level stands there from warnings on."""
    start = f"{said.level}: " if said.level in {"warning", "error"} else ""
    fields = "".join(f" {name}={_shown(value)}" for name, value in sorted(said.fields.items()))
    for event in events:
        yield f"{start}{printable(redacted(event))}{fields}"


def _text_lines(said: _Said, events: Sequence[str]) -> Iterator[str]:
    """Lines of text, coloured on a terminal: time, level, event, and the fields in the order of their names."""
    dim, bold, plain, colour = ("", "", "", "")
    if sys.stderr.isatty():
        dim, bold, plain, colour = _DIM, _BOLD, _PLAIN, _COLOURS.get(said.level, _BOLD)
    named = sorted({**said.fields, "part": said.part}.items())
    fields = "".join(f" {dim}{name}={plain}{_shown(value)}" for name, value in named)
    start = f"{dim}{said.timestamp}{plain} [{colour}{said.level:<9}{plain}] {bold}"
    for event in events:
        yield f"{start}{printable(redacted(event))}{plain}{fields}"


def _shown(value: object) -> str:
    """A value as one word: in quotes where it has blanks or nothing in it."""
    text = printable(str(value))
    return text if text and not set(text) & set(" \"'=\\") else repr(str(value))


_FORMATS: Mapping[str, _Lines] = {
    "text": _text_lines,
    "json": _json_lines,
    "singer": _singer_lines,
    "plain": _plain_lines,
}
