"""The end report as a table of plain text."""

from __future__ import annotations

import unicodedata

from tailrace.log import printable
from tailrace.runtime.report import Report, StreamReport

_COUNTS = ("read", "loaded", "updated", "deleted", "deduplicated", "filtered", "quarantined")


def report_table(report: Report) -> str:
    """The table, which adds up: read = loaded + deduplicated + filtered + quarantined (+ uncommitted)."""
    counts = [*_COUNTS, "uncommitted"] if report.total.uncommitted else _COUNTS
    rows = [["stream", *counts]]
    rows += [[printable(name), *_figures(stream, counts)] for name, stream in report.streams.items()]
    if len(report.streams) > 1:
        rows.append(["total", *_figures(report.total, counts)])
    widths = [max(map(_width, cells)) for cells in zip(*rows, strict=True)]
    return "".join(_line(row, widths) for row in rows)


def _figures(stream: StreamReport, counts: tuple[str, ...] | list[str]) -> list[str]:
    return [f"{getattr(stream, count):,}" for count in counts]


def _line(row: list[str], widths: list[int]) -> str:
    """The name on the left, the counts on the right of their columns."""
    name, *figures = row
    padded = name + " " * (widths[0] - _width(name))
    return "  ".join([padded, *(figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))]) + "\n"


def _width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
