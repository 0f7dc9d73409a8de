"""Retries: what is repeated, how long, and what is said of it, by a clock that only waiting moves."""

import errno

import pytest

from tailrace.destinations.memory import MemoryDestination, TransientError
from tailrace.errors import ConfigError, DestinationError, FencedError
from tailrace.runtime.retry import Retry


class Clock:
    """A time that waiting moves, and what each call takes."""

    def __init__(self, call_s=0.0):
        self.now_s = 1000.0
        self.waits = []
        self.call_s = call_s

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now_s += seconds

    def failing(self, *errors):
        """A verb that fails with these errors, one after the other, then gives what it was given."""
        left = list(errors)

        def verb(*arguments):
            self.now_s += self.call_s
            if left:
                raise left.pop(0)
            return arguments

        return verb

    def retry(self, retry_s):
        return Retry(MemoryDestination("retries"), retry_s, sleep=self.sleep, monotonic_s=lambda: self.now_s)


BUSY = TransientError("busy")


def test_a_call_that_goes_well_is_made_once():
    clock = Clock()
    assert clock.retry(60).call(clock.failing(), 1, "a") == (1, "a")
    assert clock.waits == []


def test_a_failure_that_may_pass_is_waited_out_longer_each_time():
    clock = Clock()
    assert clock.retry(60).call(clock.failing(BUSY, BUSY, BUSY, BUSY), 1) == (1,)
    least = [0.2, 0.4, 0.8, 1.6]
    assert [low <= wait <= low + 1 for low, wait in zip(least, clock.waits, strict=True)] == [True] * 4


def test_no_wait_is_longer_than_half_a_minute():
    clock = Clock()
    clock.retry(10**6).call(clock.failing(*[BUSY] * 20))
    assert clock.waits[-5:] == [30.0] * 5


def test_a_call_is_tried_a_last_time_when_the_time_is_up_and_not_later():
    clock, last = Clock(), TransientError("still busy")
    with pytest.raises(TransientError) as failed:
        clock.retry(60).call(clock.failing(*[BUSY] * 100))
    assert failed.value is BUSY
    assert clock.now_s == pytest.approx(1060)
    with pytest.raises(TransientError) as failed:
        clock.retry(0).call(clock.failing(last, BUSY))
    assert failed.value is last
    assert clock.now_s == pytest.approx(1060)


def test_the_time_that_calls_take_counts_too():
    clock = Clock(call_s=25.0)
    with pytest.raises(TransientError):
        clock.retry(60).call(clock.failing(*[BUSY] * 100))
    assert len(clock.waits) == 2


def test_each_call_has_all_of_the_time():
    clock = Clock()
    retry = clock.retry(5)
    for _ in range(3):
        assert retry.call(clock.failing(BUSY, BUSY), 1) == (1,)
    assert len(clock.waits) == 6


@pytest.mark.parametrize("error", [DestinationError("no such table"), FencedError("p"), ConfigError("no")])
def test_a_failure_that_will_not_pass_is_raised_at_once(error):
    clock = Clock()
    with pytest.raises(type(error)) as failed:
        clock.retry(60).call(clock.failing(error))
    assert (failed.value, clock.waits) == (error, [])


def test_a_full_disk_is_not_waited_for_and_what_to_do_is_said_once():
    clock = Clock()
    full = TransientError("can't write")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    advised = TransientError("disk full: free some space on the server")
    for error, notes in (
        (full, ["the disk that it writes to is full: free some space there, then run again"]),
        (advised, []),
    ):
        with pytest.raises(TransientError) as failed:
            clock.retry(60).call(clock.failing(error))
        assert getattr(failed.value, "__notes__", []) == notes
    assert clock.waits == []


def test_an_interruption_is_raised_at_once():
    clock = Clock()
    with pytest.raises(KeyboardInterrupt):
        clock.retry(60).call(clock.failing(KeyboardInterrupt()))
    assert clock.waits == []


def test_each_wait_is_said_with_its_reason_and_its_length(caplog):
    clock = Clock()
    clock.retry(60).call(clock.failing(BUSY, BUSY))
    said = [record.getMessage() for record in caplog.records]
    assert [f"attempt={number}" in text for number, text in enumerate(said, 1)] == [True, True]
    assert all("error=busy" in text and "wait_s=" in text for text in said)
