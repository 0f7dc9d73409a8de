"""Blocks of RECORD lines of one stream, as raw bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """RECORD lines of one stream as raw bytes, in input order, each ended by a line feed (and holding no other).

    `pieces` are whole lines each, one behind the other. `spans` says which input lines they are: pairs of first line
    and count, in order, packed as native 64-bit integers. `count` is the number of all lines.
    """

    stream: str
    pieces: tuple[bytes, ...]
    spans: bytes
    count: int

    @classmethod
    def of(cls, stream: str, data: bytes, *spans: tuple[int, int]) -> RecordBlock:
        """The block of these lines, which are those of the spans."""
        return cls(stream, (data,), packed(spans), sum(count for _, count in spans))

    @property
    def data(self) -> bytes:
        """All lines, in one piece."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    @property
    def size(self) -> int:
        """The bytes of all lines."""
        return sum(map(len, self.pieces))

    @property
    def first_line(self) -> int:
        """The input line of the first record."""
        return self._numbers[0]

    @property
    def line(self) -> int:
        """The line that the block begins at, as other messages have theirs."""
        return self.first_line

    @property
    def last_line(self) -> int:
        """The input line of the last record."""
        first, count = self._numbers[-2:]
        return first + count - 1

    def lines(self) -> Iterator[int]:
        """The input line of each record, in order."""
        numbers = self._numbers
        for first, count in zip(numbers[::2], numbers[1::2], strict=True):
            yield from range(first, first + count)

    def until(self, last_line: int) -> tuple[RecordBlock | None, RecordBlock | None]:
        """The records up to that input line, and those after it."""
        if last_line >= self.last_line:
            return self, None
        numbers = self._numbers
        begun = bisect_right(numbers[::2], last_line)
        if not begun:
            return None, self
        first, count = numbers[2 * begun - 2 : 2 * begun]
        taken = min(count, last_line - first + 1)
        until = sum(numbers[1 : 2 * begun - 1 : 2]) + taken
        data = self.data
        end = _end_of_line(data, until, self.count)
        left = self.spans[: 16 * (begun - 1)] + packed([(first, taken)])
        right = (packed([(first + taken, count - taken)]) if count > taken else b"") + self.spans[16 * begun :]
        return (
            RecordBlock(self.stream, (data[:end],), left, until),
            RecordBlock(self.stream, (data[end:],), right, self.count - until),
        )

    def shifted(self, by: int) -> RecordBlock:
        """The same records, so many lines later."""
        numbers = self._numbers
        spans = ((first + by, count) for first, count in zip(numbers[::2], numbers[1::2], strict=True))
        return RecordBlock(self.stream, self.pieces, packed(spans), self.count)

    @classmethod
    def join(cls, blocks: Iterable[RecordBlock]) -> RecordBlock:
        """One block of all the records of several blocks of one stream, given in input order (at least one)."""
        blocks = tuple(blocks)
        if len(blocks) == 1:
            return blocks[0]
        pieces = tuple(piece for block in blocks for piece in block.pieces)
        spans = b"".join(block.spans for block in blocks)
        return cls(blocks[0].stream, pieces, spans, sum(block.count for block in blocks))

    @property
    def _numbers(self) -> memoryview[int]:
        return memoryview(self.spans).cast("q")


def packed(rows: Iterable[tuple[int, ...]]) -> bytes:
    """Rows of integers as native 64-bit integers, one behind the other."""
    return array("q", (number for row in rows for number in row)).tobytes()


def _end_of_line(data: bytes, number: int, count: int) -> int:
    """Where that line of so many ends, counted from 1; from the side that is nearer."""
    if number <= count // 2:
        at = -1
        for _ in range(number):
            at = data.index(b"\n", at + 1)
        return at + 1
    end = len(data)
    for _ in range(count - number):
        end = data.rindex(b"\n", 0, end - 1) + 1
    return end
