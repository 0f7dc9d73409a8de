"""What the conformance suite and the laws ask of the author of a destination."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tailrace.destination import Destination
from tailrace.testing.seams import Seam

Row = Mapping[str, object]
"""A table's row: its values by column name."""


class Rows(Protocol):
    """Reads a table without the destination's own code."""

    def __call__(self, table: str, schema: str | None = None) -> list[dict[str, object]]:
        """All rows of the table in any order; none where there is no such table.

        Values are bool, int, float, Decimal, str, bytes, date, time and datetime (in UTC with its offset for
        TIMESTAMPTZ, naive for TIMESTAMP). UUIDs and JSON are their text. Rows that aren't committed are left out.
        """


def _nothing(_: Collection[str]) -> Collection[str]:
    return ()


def _at_once() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Subject:
    """A destination under test, with a database or folder of its own that is empty when the behaviour begins.

    Each call of `open` opens a new destination on it. `lacks` maps the names of behaviours that the destination can't
    have to the reason. `varies` names the themes in which this subject can differ from another subject of the same
    destination, which runs all of them; None means all themes. It is what `behaviours` is given.

    The other fields are for `LAWS` alone. `seams` are the calls, besides those of the contract, that change something
    in that database or folder. `remembered` gives the states that it remembers for a pipeline, read without the
    destination's own code: first that of the last committed checkpoint, then, where tables follow a decided checkpoint
    one by one, those that a table may still be at. Without it only what recover() leaves is checked. `leftovers` names
    what is there besides these tables and what the destination remembers. `is_settled` says whether the database has
    noticed that a killed process is gone.
    """

    open: Callable[[], Destination]
    rows: Rows
    lacks: Mapping[str, str] = field(default_factory=dict)
    varies: frozenset[str] | None = None
    seams: Sequence[Seam] = ()
    remembered: Callable[[str], Sequence[bytes | str | None]] | None = None
    leftovers: Callable[[Collection[str]], Collection[str]] = _nothing
    is_settled: Callable[[], bool] = _at_once


Behaviour = Callable[[Subject], object]
"""A function named after what a destination does; it raises AssertionError where it doesn't."""
