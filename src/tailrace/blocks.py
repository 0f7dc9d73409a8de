"""Runs of RECORD lines of one stream, as raw bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """RECORD lines of one stream as raw bytes, in input order, each ended by a line feed (and holding no other).

    `pieces` are whole lines each, one behind the other. `spans` says which input lines they are: (first line, count)
    pairs in order; the counts add up to the lines of all pieces.
    """

    stream: str
    pieces: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def data(self) -> bytes:
        """All lines, in one piece."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    @property
    def size(self) -> int:
        """The bytes of all lines."""
        return sum(map(len, self.pieces))

    @property
    def count(self) -> int:
        """The number of records."""
        return sum(count for _, count in self.spans)

    @property
    def first_line(self) -> int:
        """The input line of the first record."""
        return self.spans[0][0]

    @property
    def last_line(self) -> int:
        """The input line of the last record."""
        first, count = self.spans[-1]
        return first + count - 1

    def lines(self) -> Iterator[int]:
        """The input line of each record, in order."""
        for first, count in self.spans:
            yield from range(first, first + count)

    def until(self, last_line: int) -> tuple[RecordBlock | None, RecordBlock | None]:
        """The records up to that input line, and those after it."""
        until = sum(max(0, min(count, last_line - first + 1)) for first, count in self.spans)
        if until in (0, self.count):
            return (self, None) if until else (None, self)
        data, at = self.data, -1
        for _ in range(until):
            at = data.index(b"\n", at + 1)
        left = [(first, min(count, last_line - first + 1)) for first, count in self.spans if first <= last_line]
        ends = [(max(first, last_line + 1), first + count) for first, count in self.spans]
        right = [(first, end - first) for first, end in ends if end > first]
        head, tail = (data[: at + 1],), (data[at + 1 :],)
        return RecordBlock(self.stream, head, tuple(left)), RecordBlock(self.stream, tail, tuple(right))

    @classmethod
    def join(cls, runs: Iterable[RecordBlock]) -> RecordBlock:
        """One run of all the records of several runs of one stream, given in input order (at least one)."""
        runs = tuple(runs)
        if len(runs) == 1:
            return runs[0]
        pieces = tuple(piece for run in runs for piece in run.pieces)
        return cls(runs[0].stream, pieces, tuple(span for run in runs for span in run.spans))
