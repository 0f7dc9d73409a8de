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
    """Reads a table by other means than the destination's own code."""

    def __call__(self, table: str, schema: str | None = None) -> list[dict[str, object]]:
        """All rows of the table in any order; none where there is no such table.

        Values are Python's: bool, int, float, Decimal, str, bytes, date, time, datetime (in UTC with its offset for
        TIMESTAMPTZ, naive for TIMESTAMP); UUIDs and JSON come as their text. What isn't committed is not to be seen.
        """


def _nothing(_: Collection[str]) -> Collection[str]:
    return ()


def _at_once() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Subject:
    """A destination under test, at a place of its own that is empty when the behaviour begins.

    `open` gives a fresh destination on that place at each call; `lacks` maps the names of behaviours that the
    destination can't have to the reason. What follows is for the laws about crashes alone:

    `seams` are the calls that change something at the place, besides those of the contract itself. `remembered` gives
    the states that the place remembers for a pipeline, read as `rows` reads: that of the last committed checkpoint,
    and behind it, where tables follow a checkpoint that is decided, those that a table may still be at. Without it only
    what is there after recover() is looked at. `leftovers` names what is at the place besides these tables and what the
    destination remembers there. `is_settled` says whether the place has noticed that a killed process is gone.
    """

    open: Callable[[], Destination]
    rows: Rows
    lacks: Mapping[str, str] = field(default_factory=dict)
    seams: Sequence[Seam] = ()
    remembered: Callable[[str], Sequence[bytes | str | None]] | None = None
    leftovers: Callable[[Collection[str]], Collection[str]] = _nothing
    is_settled: Callable[[], bool] = _at_once


Behaviour = Callable[[Subject], object]
"""A function named after what a destination does; it raises AssertionError where it doesn't."""
