"""Tables of plain text, as wide as a terminal: names are folded in the middle, and figures are never cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

GAP = "  "
NAME_WIDTH = 14
"""The columns of a terminal that a name has at least, so that it can be told from others."""


def lines_of(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table whose first column has names, on the left; figures are on the right of theirs.

    Names are folded where the table is wider than that, but a table of many figures may be wider still.
    """
    figures = [max(map(width_of, cells)) for cells in zip(*(row[1:] for row in rows), strict=True)]
    names = max(NAME_WIDTH, width - sum(len(GAP) + each for each in figures))
    shown = [[folded(row[0], names), *row[1:]] for row in rows]
    widths = [max(width_of(row[0]) for row in shown), *figures]
    return [_line(row, widths) for row in shown]


def folded(text: str, width: int) -> str:
    """The text in so many columns of a terminal, without its middle if it is longer."""
    if width_of(text) <= width:
        return text
    behind = (width - 1) // 2
    return f"{_start(text, width - 1 - behind)}…{_start(text[::-1], behind)[::-1]}"


def width_of(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def in_units(size: int) -> str:
    """Bytes as people read them: `12.3 MiB`."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 bytes to the next unit
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def in_time(seconds: float) -> str:
    """A time as people read it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 03 min`."""
    if seconds < 10:  # noqa: PLR2004 where tenths are worth telling
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {rest_min:02} min"
    return f"{minutes} min {rest_s:02} s" if minutes else f"{rest_s} s"


def _start(text: str, width: int) -> str:
    """As much of the start of a text as fits."""
    fits = ""
    for char in text:
        if width_of(fits + char) > width:
            break
        fits += char
    return fits


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *figures = row
    padded = name + " " * (widths[0] - width_of(name))
    return GAP.join([padded, *(figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))])
