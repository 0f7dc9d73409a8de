"""Which of the rows that share a key are written, and how: the last line wins, deletions delete what is before them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc
from tailrace.model import LINE

GONE = "is_gone"
"""The column of keyed rows that says whether a row asks for the deletion of its key's row; besides it there are the
line and the columns of the key."""


class Lines:
    """Input lines in ascending order, as an array: 8 bytes each."""

    def __init__(self, lines: pa.Array) -> None:
        self.array = lines
        self._values = memoryview(lines.buffers()[1] or b"").cast("q")[lines.offset : lines.offset + len(lines)]

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, line: int) -> bool:
        at = bisect_left(self._values, line)
        return at < len(self._values) and self._values[at] == line

    def within(self, first: int, last: int) -> slice:
        """The places of the lines from `first` to `last`."""
        return slice(bisect_left(self._values, first), bisect_right(self._values, last))


class Some(Struct, frozen=True):
    """What becomes of some rows; as Winners say it."""

    writes: dict[int, int]
    fresh: frozenset[int]
    removes: frozenset[int]


class Winners(Struct, frozen=True):
    """What becomes of the keys of a segment's rows.

    `writes` are the lines of rows that are written, `firsts` those whose values new documents keep instead, in the same
    order: the first ones since their key's last deletion. `fresh` says which of them come behind a deletion. `removes`
    are the lines of keys that end deleted. `removals` counts rows that ask for deletion and aren't superseded.
    """

    writes: Lines
    firsts: pa.Array
    fresh: pa.Array
    removes: Lines
    rows: int
    removals: int

    @property
    def superseded(self) -> int:
        """The rows that another one of their key stands in for."""
        return self.rows - len(self.writes) - self.removals

    def among(self, lines: Iterable[int]) -> set[int]:
        """Those of the lines that were to be written, or to delete."""
        return {line for line in lines if line in self.writes or line in self.removes}

    def within(self, first: int, last: int) -> Some:
        """What becomes of the rows from line `first` to line `last`."""
        at = self.writes.within(first, last)
        lines = self.writes.array[at]
        firsts = self.firsts[at].to_pylist()
        fresh = frozenset(lines.filter(self.fresh[at]).to_pylist())
        removes = frozenset(self.removes.array[self.removes.within(first, last)].to_pylist())
        return Some(dict(zip(lines.to_pylist(), firsts, strict=True)), fresh, removes)


def last_winners(tables: Iterable[pa.Table]) -> Winners:
    """The last row of each key is written, or deletes; the rows come in the order of their lines."""
    keys = _Keys(tables)
    return keys.winners(keys.lasts, len(keys.removes))


def first_winners(tables: Iterable[pa.Table]) -> Winners:
    """The first row of each key is written, or the first one since its last deletion; rows come as above."""
    keys = _Keys(tables)
    return keys.winners(keys.firsts, keys.deletions)


class _Keys:
    """The rows by their keys: for each key that doesn't end deleted, the last and the first line since its deletion."""

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        several = [*tables]
        nothing = {LINE: pa.array([], pa.int64()), GONE: pa.array([], pa.bool_()), "key0": pa.array([], pa.int64())}
        rows = (pa.concat_tables(several) if several else pa.table(nothing)).combine_chunks()
        del several
        self._rows = rows.num_rows
        names = [name for name in rows.column_names if name not in (LINE, GONE)]
        order = pc.sort_indices(rows, [(name, "ascending") for name in names])  # which is stable: lines stay in order
        is_new = _whole(_differing([_whole(rows[name].take(order)) for name in names]))
        lines, gone = (_whole(rows[name].take(order)) for name in (LINE, GONE))
        del rows, order
        self.deletions = pc.sum(gone).as_py() or 0
        is_last = pa.concat_arrays([is_new[1:], pa.array([True])[: self._rows]])
        self.removes = lines.filter(pc.and_(is_last, gone))
        is_kept = pc.and_not(is_last, gone)
        self.lasts = lines.filter(is_kept)
        # Rows begin anew where their key does, and behind each of its deletions.
        begins = pc.or_(is_new, pa.concat_arrays([pa.array([False])[: self._rows], gone[:-1]]))
        nth = pc.cumulative_sum(pc.cast(begins, pa.int32())).filter(is_kept)
        self.firsts = lines.filter(begins).take(pc.subtract(nth, 1))
        nth_key = pc.cumulative_sum(pc.cast(is_new, pa.int32())).filter(is_kept)
        first_of_key = pc.cumulative_sum(pc.cast(begins, pa.int32())).filter(is_new).take(pc.subtract(nth_key, 1))
        self._fresh = pc.not_equal(nth, first_of_key)

    def winners(self, written: pa.Array, removals: int) -> Winners:
        """The winners, of which these lines are written."""
        order = pc.sort_indices(written)
        removes = self.removes.take(pc.sort_indices(self.removes))
        lines, firsts, fresh = (_whole(each.take(order)) for each in (written, self.firsts, self._fresh))
        return Winners(Lines(lines), firsts, fresh, Lines(removes), self._rows, removals)


def _differing(columns: Sequence[pa.Array]) -> pa.Array:
    """Which rows differ from the one before them; the first one does."""
    found = pa.array([True])[: len(columns[0])]
    for number, each in enumerate(columns):
        differs = pa.concat_arrays([pa.array([True])[: len(each)], pc.not_equal(each[1:], each[:-1])])
        found = pc.or_(found, differs) if number else differs
    return found


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column
