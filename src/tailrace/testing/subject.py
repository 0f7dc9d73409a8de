"""What the conformance suite asks of the author of a destination."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tailrace.destination import Destination

Row = Mapping[str, object]
"""A table's row: its values by column name."""


class Rows(Protocol):
    """Reads a table without the destination's own code."""

    def __call__(self, table: str, schema: str | None = None) -> list[dict[str, object]]:
        """All rows of the table in any order; none where there is no such table.

        Values are bool, int, float, Decimal, str, bytes, date, time and datetime (in UTC with its offset for
        TIMESTAMPTZ, naive for TIMESTAMP). UUIDs and JSON are their text. Rows that aren't committed are left out.
        """


@dataclass(frozen=True, slots=True)
class Subject:
    """A destination under test, with a database or folder of its own that is empty when the behaviour begins.

    Each call of `open` opens a new destination on it. `lacks` maps the names of behaviours that the destination can't
    have to the reason. `varies` names the themes in which this subject can differ from another subject of the same
    destination, which runs all of them; None means all themes. It is what `behaviours` is given.
    """

    open: Callable[[], Destination]
    rows: Rows
    lacks: Mapping[str, str] = field(default_factory=dict)
    varies: frozenset[str] | None = None


Behaviour = Callable[[Subject], None]
"""A function named after what a destination does; it raises AssertionError where it doesn't."""
