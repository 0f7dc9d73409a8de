"""Retries: a call to the destination is repeated while it fails in a way that may pass, within a time budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from tailrace.destination import Destination
from tailrace.errors import DestinationError, is_for_want_of_space
from tailrace.log import get_logger

if TYPE_CHECKING:
    from tenacity import RetryCallState

_log = get_logger("retry")
_FREE = "free some space"
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
        try:
            return verb(*arguments)
        except Exception as error:  # noqa: BLE001 what becomes of it is decided with those of later attempts
            first = [error]

        def attempt() -> _Result:
            if first:
                raise first.pop()
            return verb(*arguments)

        try:
            return self._until(ends_at_s, attempt)
        except DestinationError as error:
            if is_for_want_of_space(error) and _FREE not in str(error):
                error.add_note(f"the disk that it writes to is full: {_FREE} there, then run again")
            raise

    def _until(self, ends_at_s: float, attempt: Callable[[], _Result]) -> _Result:
        """The result of an attempt, made again until that time; tenacity is imported only once a call has failed."""
        tenacity = import_module("tenacity")
        backoff = tenacity.wait_exponential_jitter(multiplier=0.2, max=30.0)
        retrying: Callable[[Callable[[], _Result]], _Result] = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            stop=lambda _: self._monotonic_s() >= ends_at_s,
            wait=lambda state: max(0.0, min(backoff(state), ends_at_s - self._monotonic_s())),
            sleep=self._sleep,
            before_sleep=self._say,
            reraise=True,
        )
        return retrying(attempt)

    def _may_pass(self, error: BaseException) -> bool:
        if not isinstance(error, Exception) or is_for_want_of_space(error):
            return False
        return self._destination.is_transient(error)

    @staticmethod
    def _say(attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        wait_s = attempt.next_action.sleep if attempt.next_action else 0.0
        _log.warning(
            "the destination failed and is tried again",
            error=str(error),
            attempt=attempt.attempt_number,
            wait_s=round(wait_s, 1),
        )
