"""The errors of tailrace, chosen by who must act, each with the exit code of the command line."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct

__all__ = [
    "CommitUnknownError",
    "ConfigError",
    "DestinationError",
    "FencedError",
    "MessageError",
    "RecordError",
    "RecordsWithoutSchemaError",
    "RowsRefusedError",
    "SchemaError",
    "TailraceError",
    "TapError",
    "Violation",
    "naming_line",
]


class TailraceError(Exception):
    """Any failure that tailrace foresees; its text says what to do next."""

    exit_code = 1


class ConfigError(TailraceError):
    """A setting is wrong or missing; the operator acts.

    `key` is the setting as the operator writes it, `hint` the next step, `line` the input line that asks for it.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, key: str | None = None, hint: str | None = None, line: int | None = None
    ) -> None:
        self.key = key
        self.hint = hint
        self.line = line
        prefix = f"{key}: " if key else ""
        suffix = f" ({hint})" if hint else ""
        super().__init__(f"{prefix}{message}{suffix}")


_FULL = re.compile(r"no space left|disk is full|disk full|quota exceeded", re.IGNORECASE)


def is_for_want_of_space(error: BaseException | None) -> bool:
    """Whether a failure to write, or what caused it, says that a disk is full, which no second try mends."""
    while error is not None:
        if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or _FULL.search(str(error)):
            return True
        error = error.__cause__
    return False


def advice_on_space(error: OSError, place: object) -> str | None:
    """What to do about a failure to write there, if it is for want of space; None otherwise."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"free some space on the disk of {place}, then run again"
    if error.errno == errno.EFBIG:
        return (
            f"raise the limit of the size of files (ulimit -f), or keep {place} on a file system that has a higher one"
        )
    return None


class MessageError(TailraceError):
    """A line of the input isn't a Singer message; the author of the tap acts. `line` counts from 1."""

    exit_code = 3

    def __init__(self, message: str, *, line: int) -> None:
        self.line = line
        super().__init__(f"line {line}: {message}")


class RecordsWithoutSchemaError(MessageError):
    """A stream's RECORD or ACTIVATE_VERSION came before its SCHEMA."""

    def __init__(self, stream: str, *, line: int) -> None:
        self.stream = stream
        super().__init__(
            f"a message of stream {stream!r} came before the stream's SCHEMA message; "
            "the tap must send the SCHEMA first",
            line=line,
        )


_PLAIN_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


def json_path(steps: Iterable[str | int]) -> str:
    """A place in JSON as text: `$.orders[0]["unit price"]`."""
    path = "$"
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN_NAME.fullmatch(step):
            path += f".{step}"
        else:
            path += f"[{json.dumps(step.encode(errors='replace').decode(), ensure_ascii=False)}]"
    return path


class Violation(Struct, frozen=True):
    """One way in which a record breaks its schema.

    `code` is the class of reason, one of: not_json, invalid_utf8, duplicate_key, nesting, missing, null, key,
    type, range, format, unknown_field, keyword, destination. `path` is the place in the record (`$.a.b[0]`).
    `expected` and `got` are short texts for people; `got` is cut to 80 characters.
    """

    code: str
    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, got {self.got}"


class RecordError(TailraceError):
    """A record can't be loaded as its schema says; the owner of the data acts."""

    exit_code = 4

    def __init__(self, stream: str, line: int, violations: Sequence[Violation]) -> None:
        self.stream = stream
        self.line = line
        self.violations = tuple(violations)
        reasons = "; ".join(map(str, self.violations))
        super().__init__(
            f"stream {stream!r}, line {line}: {reasons} (on_invalid: quarantine sets such records aside and goes on)"
        )


class SchemaError(TailraceError):
    """A stream's schema and its table don't go together; `have` and `want` name the two sides.

    `line` is the input line of the SCHEMA message, None while it isn't known; it may be set later, and the text names
    it then. `path` is the place in the schema (`$.properties.a.type`).
    """

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        stream: str,
        column: str | None = None,
        have: str | None = None,
        want: str | None = None,
        line: int | None = None,
        path: str | None = None,
    ) -> None:
        self.message = message
        self.stream = stream
        self.column = column
        self.have = have
        self.want = want
        self.line = line
        self.path = path
        super().__init__(message)

    def __str__(self) -> str:
        where = [f"stream {self.stream!r}"]
        where += [f"column {self.column!r}"] if self.column else []
        where += [f"line {self.line}"] if self.line is not None else []
        where += [self.path] if self.path else []
        return f"{', '.join(where)}: {self.message}"


@contextmanager
def naming_line(line: int | None) -> Iterator[None]:
    """Give a SchemaError that passes the line of the SCHEMA message, if it names none."""
    try:
        yield
    except SchemaError as error:
        error.line = line if error.line is None else error.line
        raise


class DestinationError(TailraceError):
    """The destination failed or can't be reached; nothing of the failed call is visible."""

    exit_code = 6


class RowsRefusedError(DestinationError):
    """The destination refuses values of a batch, and has staged none of its rows; or of a checkpoint, all undone.

    `reasons` maps the refused rows' input lines to what the destination said. When it is empty, which rows
    are refused isn't known: any of them may be; when it isn't, all the others are fit to be staged.
    `line` is where a checkpoint was to end that was refused: one of the rows up to there is to blame.
    """

    def __init__(self, message: str, reasons: Mapping[int, str] | None = None) -> None:
        self.reasons = dict(reasons or {})
        self.line: int | None = None
        super().__init__(message)


class CommitUnknownError(DestinationError):
    """The connection was lost during COMMIT: the checkpoint is either wholly visible or not at all."""


class FencedError(TailraceError):
    """Another process has taken the pipeline over; this one's commit was refused and nothing of it is visible."""

    exit_code = 7

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        super().__init__(
            f"pipeline {pipeline!r} was taken over by another run, so this one's commit is refused "
            "(let one process at a time run a pipeline, or give each its own --pipeline)"
        )


class TapError(TailraceError):
    """The tap that `tailrace run` started ended with an error; `tap_exit_code` is its exit code."""

    exit_code = 8

    def __init__(self, command: str, tap_exit_code: int, loaded: str) -> None:
        self.tap_exit_code = tap_exit_code
        super().__init__(f"the tap `{command}` ended with exit code {tap_exit_code}; {loaded}")
