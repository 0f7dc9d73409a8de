"""Safe points: the STATE messages that have passed, at which a checkpoint can end, as they were read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque

from msgspec import Struct

from tailrace.singer.states import PassedState, StateMessages

_POINT_BYTES = 32


class SafePoint(Struct, frozen=True):
    """A STATE message that has passed: a checkpoint can end there as long as nothing later is staged for it.

    `state` is its value as JSON; None is the end of a checkpoint without a STATE. `records` and `record_bytes` are
    what the run had read before it.
    """

    line: int
    state: bytes | None
    records: int = 0
    record_bytes: int = 0


class _Passed(Struct):
    """The states of one block from `start` to before `end`, and what the run had read before that block."""

    states: StateMessages
    records: int
    record_bytes: int
    start: int
    end: int

    @property
    def bytes(self) -> int:
        """Bytes that they take; what was dropped of the block's states is still there."""
        return len(self.states.values) + _POINT_BYTES * len(self.states)

    def __getitem__(self, at: int) -> SafePoint:
        state = self.states[at]
        return SafePoint(state.line, state.value, self.records + state.records, self.record_bytes + state.record_bytes)


class SafePoints:
    """The states that have passed, in the order of their lines."""

    def __init__(self) -> None:
        self._passed: deque[_Passed] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return sum(passed.end - passed.start for passed in self._passed)

    @property
    def bytes(self) -> int:
        """Bytes that they take."""
        return self._bytes

    @property
    def last(self) -> SafePoint | None:
        """The last of them."""
        return self._passed[-1][self._passed[-1].end - 1] if self._passed else None

    def add(self, states: StateMessages, records: int, record_bytes: int) -> None:
        """Take in the states of a block, before which the run had read so many records of so many bytes."""
        if len(states):
            passed = _Passed(states, records, record_bytes, 0, len(states))
            self._passed.append(passed)
            self._bytes += passed.bytes

    def before(self, line: int) -> SafePoint | None:
        """The last one before that line."""
        for passed in reversed(self._passed):
            at = bisect_left(passed.states.lines, line, passed.start, passed.end)
            if at > passed.start:
                return passed[at - 1]
        return None

    def first_past(self, line: int, records: int, record_bytes: int) -> SafePoint | None:
        """The first one behind that line before which the run had read so many records, or so many bytes of them."""
        for passed in self._passed:
            states = passed.states
            behind = bisect_right(states.lines, line, passed.start, passed.end)
            by_count = bisect_left(states.record_counts, records - passed.records, behind, passed.end)
            by_size = bisect_left(states.record_sizes, record_bytes - passed.record_bytes, behind, passed.end)
            if min(by_count, by_size) < passed.end:
                return passed[min(by_count, by_size)]
        return None

    def drop_until(self, line: int) -> None:
        """Drop those up to that line."""
        while self._passed:
            first = self._passed[0]
            first.start = bisect_right(first.states.lines, line, first.start, first.end)
            if first.start < first.end:
                return
            self._bytes -= first.bytes
            self._passed.popleft()

    def supersede(self, line: int) -> None:
        """Drop those up to that line but the last of them."""
        last = self.before(line + 1)
        if last is None or last.state is None:
            return
        self.drop_until(line)
        if self._passed and self._passed[0].start:
            self._shrink()
        kept = StateMessages.of([PassedState(last.line, last.state)])
        passed = _Passed(kept, last.records, last.record_bytes, 0, 1)
        self._passed.appendleft(passed)
        self._bytes += passed.bytes

    def _shrink(self) -> None:
        """Take no more space for the first block's states than they need."""
        first = self._passed.popleft()
        states = StateMessages.of(first.states[at] for at in range(first.start, first.end))
        shrunk = _Passed(states, first.records, first.record_bytes, 0, len(states))
        self._passed.appendleft(shrunk)
        self._bytes += shrunk.bytes - first.bytes
