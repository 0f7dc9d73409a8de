"""Retries: a call to the destination is repeated while it fails in a way that may pass, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from tailrace.destination import Destination
from tailrace.errors import DestinationError, is_for_want_of_space
from tailrace.log import get_logger

_log = get_logger("retry")
_FREE = "free some space"
_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.2, max=30.0)
_Result = TypeVar("_Result")


class Retry:
    """Repeats calls of one destination, with exponential backoff and jitter, for at most `retry_s` seconds a call."""

    def __init__(
        self,
        destination: Destination,
        retry_s: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destination = destination
        self._retry_s = retry_s
        self._sleep = sleep
        self._monotonic_s = monotonic_s

    def call(self, verb: Callable[..., _Result], *arguments: object) -> _Result:
        """The result of `verb(*arguments)`; its last error when the time is up or the error won't pass."""
        ends_at_s = self._monotonic_s() + self._retry_s
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            stop=lambda _: self._monotonic_s() >= ends_at_s,
            wait=lambda attempt: max(0.0, min(_BACKOFF(attempt), ends_at_s - self._monotonic_s())),
            sleep=self._sleep,
            before_sleep=self._say,
            reraise=True,
        )
        try:
            return retrying(verb, *arguments)
        except DestinationError as error:
            if is_for_want_of_space(error) and _FREE not in str(error):
                error.add_note(f"the disk that it writes to is full: {_FREE} there, then run again")
            raise

    def _may_pass(self, error: BaseException) -> bool:
        if not isinstance(error, Exception) or is_for_want_of_space(error):
            return False
        return self._destination.is_transient(error)

    @staticmethod
    def _say(attempt: tenacity.RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        wait_s = attempt.next_action.sleep if attempt.next_action else 0.0
        _log.warning(
            "the destination failed and is tried again",
            error=str(error),
            attempt=attempt.attempt_number,
            wait_s=round(wait_s, 1),
        )
