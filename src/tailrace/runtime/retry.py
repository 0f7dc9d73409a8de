"""Retries: a call to the destination is repeated while it fails in a way that may pass, within a time budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from tailrace.destination import Destination
from tailrace.errors import DestinationError, is_for_want_of_space
from tailrace.log import get_logger

_log = get_logger("retry")
_FREE = "free some space"
_Result = TypeVar("_Result")


class Retry:
    """Repeats calls of one destination, with exponential backoff and jitter, for at most `retry_s` seconds a call."""

    def __init__(self, destination: Destination, retry_s: float, *, first_wait_s: float = 0.2) -> None:
        self._destination = destination
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            stop=tenacity.stop_after_delay(retry_s),
            wait=tenacity.wait_exponential_jitter(multiplier=first_wait_s, max=30.0),
            before_sleep=self._say,
            reraise=True,
        )

    def call(self, verb: Callable[..., _Result], *arguments: object) -> _Result:
        """The result of `verb(*arguments)`; its last error when the time is up or the error won't pass."""
        try:
            return self._retrying.copy()(verb, *arguments)
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
