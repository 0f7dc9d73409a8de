"""The fast path of decoding, on top of the reference: what can be read at once is, and only what is in doubt is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from tailrace.decode.arrays import DoubtError
from tailrace.decode.plan import Plan
from tailrace.decode.reader import Reader
from tailrace.decode.reference import Reference
from tailrace.model import Clock, Decoded, Growth, Inexact, RecordRun, Stream

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

    def decode(self, run: RecordRun) -> Decoded:
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
        return self._joined(parts)

    def _joined(self, parts: Sequence[Decoded]) -> Decoded:
        """The parts of a run as one."""
        growths = [part.growth for part in parts if part.growth is not None]
        if growths:
            fields = {name: schema for growth in reversed(growths) for name, schema in growth.fields.items()}
            in_order = {name: fields[name] for growth in growths for name in growth.fields}
            growth = Growth(in_order, versioned=any(growth.versioned for growth in growths))
            return Decoded(self._stream.arrow.empty_table(), growth=growth)
        rows = pa.concat_tables([part.rows for part in parts]) if parts else self._stream.arrow.empty_table()
        unknown: Counter[str] = Counter()
        for part in parts:
            unknown.update(part.unknown)
        refused = tuple(refused for part in parts for refused in part.refused)
        return Decoded(rows, refused, dict(unknown), _all_inexact(parts))


def _all_inexact(parts: Sequence[Decoded]) -> dict[str, Inexact]:
    found: dict[str, Inexact] = {}
    for part in parts:
        for name, inexact in part.inexact.items():
            before = found.get(name)
            found[name] = Inexact(before.count + inexact.count, before.first_line) if before else inexact
    return found


def _halves(run: RecordRun) -> list[RecordRun]:
    """The run in two parts of half its records, in order."""
    left = run.count // 2
    for first, count in run.spans:
        if left <= count:
            return [part for part in run.until(first + left - 1) if part is not None]
        left -= count
    return [run]
