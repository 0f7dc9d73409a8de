"""The progress view: a picture of the run on a terminal, drawn anew as it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tailrace.runtime.moments import Moments
from tailrace.runtime.picture import picture
from tailrace.runtime.target import Target

REFRESHES_PER_S = 4


@contextmanager
def live_view(
    target: Target,
    share: Callable[[], float | None] = lambda: None,
    *,
    monotonic_s: Callable[[], float] = time.monotonic,
    is_refreshed: bool = True,
) -> Iterator[Live]:
    """Show the target's progress on the terminal of stderr while the block runs.

    `share` gives how much of the input is read, from 0 to 1, if that is known. It is drawn four times a second, or,
    where it isn't refreshed, when it is asked to be.
    """
    view, console = Moments(target, share, monotonic_s), Console(stderr=True)

    def drawn() -> Text:
        lines = picture(view.moment(), console.width, max(console.height - 1, 1))
        return Text("\n".join(lines), no_wrap=True, overflow="crop")

    with Live(
        console=console,
        get_renderable=drawn,
        auto_refresh=is_refreshed,
        refresh_per_second=REFRESHES_PER_S,
        transient=True,
    ) as live:
        yield live
