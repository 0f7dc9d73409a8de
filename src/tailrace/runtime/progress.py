"""The progress view: a live table of the streams on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tailrace.log import printable
from tailrace.runtime.target import Target

REFRESHES_PER_S = 4


@contextmanager
def live_view(target: Target) -> Iterator[None]:
    """Show the target's progress on the terminal of stderr while the block runs."""
    view, console = _View(target), Console(stderr=True)
    with Live(console=console, get_renderable=view.render, refresh_per_second=REFRESHES_PER_S, transient=True):
        yield


class _View:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._started_s = time.monotonic()

    def render(self) -> Group:
        """The view of this moment."""
        elapsed_s = max(time.monotonic() - self._started_s, 0.001)
        table = Table(box=None, pad_edge=False)
        table.add_column("stream")
        for heading in ("records", "records/s", "bytes", "loaded"):
            table.add_column(heading, justify="right")
        for name, stream in self._target.tally.streams().items():
            rate = f"{stream.read / elapsed_s:,.0f}"
            table.add_row(Text(printable(name)), f"{stream.read:,}", rate, in_units(stream.bytes), f"{stream.loaded:,}")
        tally, held = self._target.tally, self._target.budget.held
        last = f"checkpoint {tally.checkpoint}" if tally.checkpoints else "no checkpoint yet"
        return Group(table, Text(f"{elapsed_s:,.0f} s · {in_units(held)} buffered · {last}", style="dim"))


def in_units(size: int) -> str:
    """Bytes as people read them: `12.3 MiB`."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 bytes to the next unit
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
