"""Rows and batches parted at a line of the input."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

import pyarrow as pa

from tailrace.model import LINE, Batch
from tailrace.runtime.budget import Budget

COPIES_SHARE = 8
"""The part of the memory budget (one in so many) that copies of staged batches may take."""


def rows_parted(rows: pa.Table, until_line: int) -> tuple[pa.Table, pa.Table]:
    """The rows up to that input line, and those after it; `rows` has LINE, rising."""
    before = bisect_right(range(rows.num_rows), until_line, key=lambda at: rows[LINE][at].as_py())
    return rows.slice(0, before), rows.slice(before)


def batch_until(batch: Batch, until_line: int, checkpoint: int) -> Batch | None:
    """The batch's rows up to that input line, for that checkpoint; None where it has none."""
    rows, _ = rows_parted(batch.rows, until_line)
    return replace(batch, rows=rows, checkpoint=checkpoint) if rows.num_rows else None


def batch_after(batch: Batch, line: int) -> Batch | None:
    """The batch's rows after that input line; None where it has none."""
    _, rows = rows_parted(batch.rows, line)
    return replace(batch, rows=rows) if rows.num_rows else None


class Copies:
    """The batches of the open checkpoint that are staged, for as long as they are few enough to be kept in memory."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._max_bytes = budget.max_bytes // COPIES_SHARE
        self._bytes = 0
        self._batches: list[Batch] | None = []

    def add(self, batch: Batch) -> None:
        """Keep a batch that was staged, or none any more where that is too much."""
        size = batch.rows.nbytes
        if self._batches is None:
            return
        if self._bytes + size > self._max_bytes:
            self.refuse()
            return
        self._batches.append(batch)
        self._bytes += size
        self._budget.change(size)

    def refuse(self) -> None:
        """Keep none any more, since what is staged can't be staged anew from copies."""
        self._release()
        self._batches = None

    def take(self) -> list[Batch] | None:
        """All batches, which aren't kept any more; None where not all of them were kept."""
        batches = self._batches
        self.clear()
        return batches

    def clear(self) -> None:
        """Begin anew, with none."""
        self._release()
        self._batches = []

    def _release(self) -> None:
        self._budget.change(-self._bytes)
        self._bytes = 0
