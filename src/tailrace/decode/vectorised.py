"""The fast path of decoding, on top of the reference: what can be read at once is, and only what is in doubt is not."""

from __future__ import annotations

from tailrace.decode.arrays import DoubtError
from tailrace.decode.joining import joined
from tailrace.decode.plan import Plan
from tailrace.decode.reader import Reader
from tailrace.decode.reference import Reference
from tailrace.model import Clock, Decoded, RecordBlock, Stream

FLOOR = 256
"""Records that are left to the reference together when one of them is in doubt."""

MAX_MISSES = 24
"""Doubts in one run after which the rest of it is left to the reference."""


class Vectorised:
    """Decodes the runs of one stream whose plan `is_eligible`; the answers are the reference's."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._reader = Reader(Plan(stream), clock)
        self._reference = Reference(stream, clock)

    def decode(self, run: RecordBlock) -> Decoded:
        """The run as columns."""
        now = self._clock.now()
        parts: list[Decoded] = []
        waiting = [run] if run.count else []
        misses = 0
        while waiting:
            part = waiting.pop()
            if misses < MAX_MISSES:
                try:
                    parts.append(Decoded(self._reader.read(part, now)))
                    continue
                except DoubtError:
                    misses += 1
                if part.count > FLOOR:
                    waiting += reversed(_halves(part))
                    continue
            parts.append(self._reference.decode_at(part, now))
        return joined(self._stream, parts)


def _halves(run: RecordBlock) -> list[RecordBlock]:
    """The run in two parts of half its records, in order."""
    left = run.count // 2
    numbers = memoryview(run.spans).cast("q")
    for first, count in zip(numbers[::2], numbers[1::2], strict=True):
        if left <= count:
            return [part for part in run.until(first + left - 1) if part is not None]
        left -= count
    return [run]
