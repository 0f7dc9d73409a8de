"""Which of the rows that share a key are written, and how: the last line wins, deletions delete what is before them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

Keyed = tuple[Hashable, int, bool]
"""A row's key, its line, and whether it asks for the deletion of its key's row; in the order of lines."""


@dataclass(slots=True)
class Winners:
    """What becomes of the keys of a segment's rows.

    `writes` maps the line of each row that is written to the line whose values a new document keeps: the first one
    since the key's last deletion. `fresh` are those of them that come behind a deletion. `removes` are the lines of
    keys that end deleted. `removals` counts rows that ask for deletion and aren't superseded.
    """

    writes: dict[int, int] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)
    removes: set[int] = field(default_factory=set)
    rows: int = 0
    removals: int = 0

    @property
    def superseded(self) -> int:
        """The rows that another one of their key stands in for."""
        return self.rows - len(self.writes) - self.removals

    def among(self, lines: Iterable[int]) -> set[int]:
        """Those of the lines that were to be written, or to delete."""
        return {line for line in lines if line in self.writes or line in self.removes}


def last_winners(rows: Iterable[Keyed]) -> Winners:
    """The last row of each key is written, or deletes."""
    lasts: dict[Hashable, int] = {}
    firsts: dict[Hashable, int] = {}
    deleted: set[Hashable] = set()
    winners = Winners()
    for key, line, is_deletion in rows:
        winners.rows += 1
        lasts[key] = line
        if is_deletion:
            deleted.add(key)
            firsts.pop(key, None)
        else:
            firsts.setdefault(key, line)
    for key, line in lasts.items():
        if key in firsts:
            winners.writes[line] = firsts[key]
            if key in deleted:
                winners.fresh.add(line)
        else:
            winners.removes.add(line)
    winners.removals = len(winners.removes)
    return winners


def first_winners(rows: Iterable[Keyed]) -> Winners:
    """The first row of each key is written, or the first one since its last deletion."""
    firsts: dict[Hashable, int] = {}
    deleted: dict[Hashable, int] = {}
    winners = Winners()
    for key, line, is_deletion in rows:
        winners.rows += 1
        if is_deletion:
            winners.removals += 1
            deleted[key] = line
            firsts.pop(key, None)
        else:
            firsts.setdefault(key, line)
    for key, line in firsts.items():
        winners.writes[line] = line
        if key in deleted:
            winners.fresh.add(line)
    winners.removes = {line for key, line in deleted.items() if key not in firsts}
    return winners
