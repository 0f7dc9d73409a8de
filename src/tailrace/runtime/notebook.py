"""What a notebook shows: a run while it goes on, and its report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from tailrace.log import printable
from tailrace.runtime.moments import Moments
from tailrace.runtime.picture import picture
from tailrace.runtime.report import Report
from tailrace.runtime.summary import pace, rows_of
from tailrace.runtime.target import Target

_WIDTH, _HEIGHT = 100, 24
_REFRESHES_PER_S = 2


class _Shown:
    """Lines of text as they stand."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._text = "\n".join(lines)

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self._text)}</pre>" if self._text else ""


@contextmanager
def notebook_view(target: Target, share: Callable[[], float | None] = lambda: None) -> Iterator[None]:
    """Show the target's progress below the cell while the block runs; it is gone behind it."""
    display: Any = import_module("IPython.display")
    moments, is_over = Moments(target, share, time.monotonic), threading.Event()
    shown = display.display(_Shown([]), display_id=True)

    def refresh() -> None:
        while not is_over.wait(1 / _REFRESHES_PER_S):
            shown.update(_Shown(picture(moments.moment(), _WIDTH, _HEIGHT)))

    refreshing = threading.Thread(target=refresh, name="tailrace-notebook", daemon=True)
    refreshing.start()
    try:
        yield
    finally:
        is_over.set()
        refreshing.join()
        shown.update(_Shown([]))


def report_html(report: Report) -> str:
    """The end report as a table of HTML."""
    head, *rows = rows_of(report)
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><td>{escape(printable(name))}</td>{''.join(f'<td>{cell}</td>' for cell in figures)}</tr>"
        for name, *figures in rows
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table><p>{escape(pace(report))}</p>"
