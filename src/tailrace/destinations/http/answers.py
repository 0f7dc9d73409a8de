"""What an answer says: which rows were taken, which are refused and why, and which are to be sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from tailrace.destinations.http.rows import Row
from tailrace.destinations.http.settings import Results, Settings
from tailrace.errors import DestinationError

_BUSY, _FAILED, _WRONG = 429, 500, 400
_SHOWN = 200
_GONE = (404, 410)
_NOTHING = object()


class PassingError(DestinationError):
    """A failure that may pass."""


class Answer(Struct, frozen=True):
    """A server's answer; `is_cut` says that its body is longer than what was read of it."""

    status: int
    body: bytes = b""
    is_cut: bool = False
    location: str = ""


class Outcome(Struct):
    """What became of a request's rows. `created` are those known to be new, or to be deleted.

    `is_whole` says that none was taken, and it isn't known which is to blame.
    """

    taken: list[Row] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    again: list[Row] = field(default_factory=list)
    created: int = 0
    is_whole: bool = False


def is_success(status: int, settings: Settings) -> bool:
    """Whether the server has taken the request."""
    return status in settings.success_statuses if settings.success_statuses else 200 <= status < 300  # noqa: PLR2004 HTTP's own


def is_passing(status: int, settings: Settings) -> bool:
    """Whether another try may get another answer."""
    return status >= _FAILED or status in settings.retry_statuses


def outcome(
    answer: Answer, rows: Sequence[Row], settings: Settings, said: Callable[[str], str], *, deletes: bool = False
) -> Outcome:
    """What the answer says of the rows; raises DestinationError where it is of no use."""
    if is_success(answer.status, settings) or (deletes and answer.status in _GONE):
        if deletes or settings.results is None:
            is_new = deletes and answer.status not in _GONE
            is_new |= not deletes and answer.status == settings.created_status
            return Outcome(taken=[*rows], created=len(rows) if is_new else 0)
        return _by_row(_document(answer, settings), rows, settings.results, settings, said)
    if answer.status not in settings.refused_statuses or not (len(rows) == 1 or settings.is_atomic):
        where = f"{len(rows)} rows, in lines {rows[0].line} to {rows[-1].line}" if len(rows) > 1 else "a row"
        raise DestinationError(f"the endpoint answered {_status(answer)} to {where}: {_reason(answer, said)}")
    if len(rows) == 1:
        return Outcome(refused={rows[0].line: f"the endpoint answered {_status(answer)}: {_reason(answer, said)}"})
    return Outcome(is_whole=True)


def _by_row(
    document: Any, rows: Sequence[Row], mapping: Results, settings: Settings, said: Callable[[str], str]
) -> Outcome:
    results = at(document, mapping.list)
    says_all = mapping.ok is not None or mapping.status is not None
    if results is _NOTHING and not says_all:
        results = []  # it names rows only where some are refused
    if not isinstance(results, list):
        raise DestinationError(f"the endpoint's answer has no list at {mapping.list!r} (`results.list`)")
    if says_all and len(results) != len(rows):
        raise DestinationError(f"the endpoint's answer has {len(results)} results for {len(rows)} rows")
    done = Outcome()
    seen: set[int] = set()
    for place, result in enumerate(results):
        number = place if mapping.index is None else at(result, mapping.index)
        if not isinstance(number, int) or not 0 <= number < len(rows) or number in seen:
            raise DestinationError("the endpoint's answer names a row that the request doesn't have, or one twice")
        seen.add(number)
        status = at(result, mapping.status) if mapping.status is not None else _NOTHING
        is_busy = isinstance(status, int) and is_passing(status, settings)
        done.created += isinstance(status, int) and status == settings.created_status
        is_ok = mapping.ok is None or at(result, mapping.ok) is True
        is_fine = mapping.status is None or (isinstance(status, int) and status < _WRONG)
        if is_busy:
            done.again.append(rows[number])
        elif not (says_all and is_ok and is_fine):
            done.refused[rows[number].line] = f"the endpoint refuses it: {said(_text(at(result, mapping.message)))}"
    again = {row.line for row in done.again}
    done.taken += [row for row in rows if row.line not in done.refused and row.line not in again]
    return done


def at(document: Any, pointer: str) -> Any:
    """What stands at a JSON pointer; _NOTHING where there is nothing."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return _NOTHING
    return document


def _document(answer: Answer, settings: Settings) -> Any:
    if answer.is_cut:
        raise DestinationError(f"the endpoint's answer is longer than `max_answer_bytes` ({settings.max_answer_bytes})")
    try:
        return msgspec.json.decode(answer.body)
    except (ValueError, RecursionError) as error:
        raise DestinationError("the endpoint's answer isn't JSON, so what became of the rows isn't known") from error


def _status(answer: Answer) -> str:
    return f"{answer.status}, a redirect to {answer.location}" if answer.location else str(answer.status)


def _reason(answer: Answer, said: Callable[[str], str]) -> str:
    if answer.location:
        return "redirects aren't followed; set `url` to where it leads"
    return said(answer.body[: 4 * _SHOWN].decode("utf-8", "replace")) or "it says no more"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "it doesn't say why" if value is _NOTHING else msgspec.json.encode(value).decode()
