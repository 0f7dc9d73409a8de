"""Requests to a cluster and its answers: JSON both ways, repeated while it is busy, refused with its reason."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct, field

from tailrace.errors import DestinationError

JSON, LINES = "application/json", "application/x-ndjson"
NOT_FOUND, CONFLICT, TOO_LARGE = 404, 409, 413
BUSY = frozenset({408, 429, 502, 503, 504})
"""Statuses of answers, and of items of a bulk, that may be others later."""

_DENIED = frozenset({401, 403})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 5.0
PATIENCE_S = 60.0
_MAX_SHOWN = 600


class Answer(Struct, frozen=True):
    """What a cluster answers to a request, whatever its status."""

    status: int
    body: bytes | str
    retry_after_s: float | None = None


def retry_after_s(header: str | None) -> float | None:
    """How long a cluster wants to be left alone, by its header; None where that says nothing, or a date."""
    return float(header) if header is not None and header.strip().isdecimal() else None


class Connection(Protocol):
    """The client of a cluster. Thread-safe; it connects when it is first asked for something."""

    def perform(self, method: str, target: str, body: bytes | None, kind: str) -> Answer:
        """The answer to a request, whose body is of that kind; DestinationError where there is none."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether the client's error may pass."""

    def close(self) -> None:
        """Close the connections; repeatable."""


class AnswerError(Exception):
    """An answer that isn't the one that was hoped for."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Reason(msgspec.Struct, frozen=True):
    """Why a cluster didn't do something."""

    type: str | None = None
    reason: str | None = None
    caused_by: Reason | None = None

    def __str__(self) -> str:
        words: list[str] = []
        at: Reason | None = self
        while at is not None:
            text = at.reason or at.type or ""
            if text and not any(text in word for word in words):
                words.append(text)
            at = at.caused_by
        return shown(": ".join(words) or "no reason is given")


class _Failed(msgspec.Struct, frozen=True):
    error: Reason | str | None = None


class Patience(Struct):
    """How long a busy cluster is waited for: each time longer, until it does something again."""

    limit_s: float = field(default_factory=lambda: PATIENCE_S)
    _next_s: float = FIRST_WAIT_S
    _waited_s: float = field(default=0.0)

    def wait(self, retry_after_s: float | None, *, is_progress: bool = False) -> bool:
        """Wait, at least as long as the cluster asks for; False where it was waited for long enough."""
        if is_progress:
            self._next_s, self._waited_s = FIRST_WAIT_S, 0.0
        if self._waited_s >= self.limit_s:
            return False
        wait_s = max(self._next_s * random.uniform(0.5, 1.0), retry_after_s or 0.0)  # noqa: S311 threads take turns
        wait_s = min(wait_s, max(self.limit_s - self._waited_s, FIRST_WAIT_S))
        time.sleep(wait_s)
        self._waited_s += wait_s
        self._next_s = min(2 * self._next_s, LONGEST_WAIT_S)
        return True


def shown(text: str) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def path_of(*parts: str) -> str:
    """The path of these parts, each quoted."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Cluster:
    """Asks a cluster, which is called `product`."""

    def __init__(self, connection: Connection, product: str) -> None:
        self._connection = connection
        self.product = product

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        but: Collection[int] = (),
        is_repeatable: bool = True,
        **params: str,
    ) -> Any:
        """What the cluster answers, as Python has it; None for an answer of these statuses."""
        answer = self.answer(method, path, body, but=but, is_repeatable=is_repeatable, **params)
        if answer is None:
            return None
        try:
            return msgspec.json.decode(answer.body) if answer.body else None
        except msgspec.DecodeError as error:
            raise self.unreadable(answer) from error

    def answer(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        but: Collection[int] = (),
        is_repeatable: bool = True,
        **params: str,
    ) -> Answer | None:
        """The answer itself; None for one of these statuses. Raises DestinationError for other failures."""
        content = None if body is None else msgspec.json.encode(body)
        answer = self.perform(method, path, content, JSON, params, but=but, is_repeatable=is_repeatable)
        if answer.status in but:
            return None
        if answer.status >= 300:  # noqa: PLR2004 nothing is done, or elsewhere
            raise self.failed(answer, f"{method} {path}")
        return answer

    def perform(
        self,
        method: str,
        path: str,
        body: bytes | None,
        kind: str,
        params: Mapping[str, str],
        *,
        but: Collection[int] = (),
        is_repeatable: bool = True,
    ) -> Answer:
        """The answer to a request; it is repeated while the cluster is busy."""
        target = f"{path}?{urlencode(params)}" if params else path
        patience = Patience()
        while True:
            answer = self._connection.perform(method, target, body, kind)
            is_busy = answer.status in BUSY and answer.status not in but and is_repeatable
            if not is_busy or not patience.wait(answer.retry_after_s):
                return answer

    def failed(self, answer: Answer, what: str) -> DestinationError:
        """The error of an answer; its cause says of which status that is."""
        text = f"{self.product} answers {answer.status} to {what}: {reason_of(answer)}"
        if answer.status in _DENIED:
            text += "; look at the login, and at what it may do"
        error = DestinationError(text)
        error.__cause__ = AnswerError(answer.status, text)
        return error

    def unreadable(self, answer: Answer) -> DestinationError:
        """The error of an answer that isn't JSON as a cluster's is."""
        return DestinationError(
            f"{self.product} answers {answer.status} with something else than it should; "
            "look at the address, and at what is between it and this machine"
        )

    def is_transient(self, error: BaseException) -> bool:
        """Whether an error of an answer, or of the client, may pass."""
        if isinstance(error, AnswerError):
            return error.status in BUSY
        return self._connection.is_transient(error)

    def close(self) -> None:
        """Close the connections; repeatable."""
        self._connection.close()


def reason_of(answer: Answer) -> str:
    """Why the cluster says no, in its words."""
    with suppress(msgspec.DecodeError):
        error = msgspec.json.decode(answer.body, type=_Failed).error
        if error is not None:
            return shown(str(error))
    text = answer.body if isinstance(answer.body, str) else answer.body.decode(errors="replace")
    return shown(" ".join(text.split()) or "no reason is given")
