"""STATE messages of a block of lines, kept as they came until one of them is used."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct

from tailrace.blocks import packed

_ROW_BYTES = 32


class PassedState(NamedTuple):
    """A STATE message: its input line and its value as JSON, as sent.

    `records` are how many RECORD lines came before it within its block, and `record_bytes` the bytes of these.
    """

    line: int
    value: bytes
    records: int = 0
    record_bytes: int = 0


class StateMessages(Struct, frozen=True):
    """STATE messages in the order of their lines.

    `values` are their values, one behind the other. `index` has for each its line, the end of its value, the records
    before it and the bytes of these, packed as native 64-bit integers.
    """

    values: bytes
    index: bytes

    @classmethod
    def of(cls, states: Iterable[PassedState]) -> StateMessages:
        """The messages, given in the order of their lines."""
        states = list(states)
        rows, end = [], 0
        for state in states:
            end += len(state.value)
            rows.append((state.line, end, state.records, state.record_bytes))
        return cls(b"".join(state.value for state in states), packed(rows))

    def __len__(self) -> int:
        return len(self.index) // _ROW_BYTES

    def __getitem__(self, at: int) -> PassedState:
        at %= len(self)
        numbers = memoryview(self.index).cast("q")
        line, end, records, record_bytes = numbers[4 * at : 4 * at + 4]
        return PassedState(line, self.values[numbers[4 * at - 3] if at else 0 : end], records, record_bytes)

    def __iter__(self) -> Iterator[PassedState]:
        return (self[at] for at in range(len(self)))

    @property
    def lines(self) -> memoryview[int]:
        """The line of each."""
        return memoryview(self.index).cast("q")[::4]

    @property
    def record_counts(self) -> memoryview[int]:
        """How many records of its block came before each."""
        return memoryview(self.index).cast("q")[2::4]

    @property
    def record_sizes(self) -> memoryview[int]:
        """The bytes of the records of its block that came before each."""
        return memoryview(self.index).cast("q")[3::4]

    def until(self, last_line: int) -> StateMessages:
        """Those up to that line."""
        count = bisect_right(self.lines, last_line)
        return self if count == len(self) else StateMessages.of(self[at] for at in range(count))

    def after(self, line: int, records: int, size: int) -> StateMessages:
        """Those after that line, with so many records of so many bytes, up to there, no longer counted."""
        later = (self[at] for at in range(bisect_right(self.lines, line), len(self)))
        return StateMessages.of(
            state._replace(records=state.records - records, record_bytes=state.record_bytes - size) for state in later
        )

    def shifted(self, by: int) -> StateMessages:
        """The same states, so many lines later."""
        return StateMessages.of(state._replace(line=state.line + by) for state in self)


NO_STATES = StateMessages(b"", b"")
