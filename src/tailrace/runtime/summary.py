"""The end report as a table of plain text."""

from __future__ import annotations

from tailrace.log import printable
from tailrace.runtime.report import Report, StreamReport
from tailrace.runtime.texttable import in_time, lines_of

ALWAYS = ("read", "loaded")
_OTHERS = ("updated", "deleted", "deduplicated", "filtered", "quarantined", "uncommitted")


def report_table(report: Report, width: int = 140) -> str:
    """The table, which adds up, and a line of the time and the rate; `width` is a terminal's, in characters.

    read = loaded + deduplicated + filtered + quarantined + uncommitted; what no stream has is left out.
    """
    return "".join(f"{line}\n" for line in [*lines_of(rows_of(report), width), pace(report)])


def rows_of(report: Report) -> list[list[str]]:
    """The table's cells: a head, a row for each stream, and one for all if there are several."""
    reports = [*report.streams.values()]
    counts = [*ALWAYS, *(count for count in _OTHERS if any(getattr(stream, count) for stream in reports))]
    rows = [["stream", *counts]]
    rows += [[printable(name), *_figures(stream, counts)] for name, stream in report.streams.items()]
    if len(report.streams) > 1:
        rows.append(["total", *_figures(report.total, counts)])
    return rows


def _figures(stream: StreamReport, counts: list[str]) -> list[str]:
    return [f"{getattr(stream, count):,}" for count in counts]


def pace(report: Report) -> str:
    """The time that a run took, and its rate."""
    seconds = (report.finished_at - report.started_at).total_seconds()
    read = report.total.read
    rate = f", {read / seconds:,.0f} records/s" if seconds > 0 else ""
    return f"{in_time(seconds)}{rate}"
