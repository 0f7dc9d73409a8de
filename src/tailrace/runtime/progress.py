"""The progress view: a picture of the run on a terminal, drawn anew as it goes on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tailrace.runtime.picture import Moment, StreamProgress, picture
from tailrace.runtime.target import Target

REFRESHES_PER_S = 4
RECENT_S = 5.0
"""How many seconds a rate is of."""


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
    view, console = _View(target, share, monotonic_s), Console(stderr=True)

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


class _View:
    """The moments of a run. Not thread-safe."""

    def __init__(self, target: Target, share: Callable[[], float | None], monotonic_s: Callable[[], float]) -> None:
        self._target = target
        self._share = share
        self._monotonic_s = monotonic_s
        self._started_s = monotonic_s()
        self._reads: deque[tuple[float, Mapping[str, int]]] = deque([(self._started_s, {})])

    def moment(self) -> Moment:
        """The run as it is now."""
        now_s, counts, staged = self._monotonic_s(), self._target.tally.counts(), self._target.staged()
        self._reads.append((now_s, {name: of.get("read", 0) for name, of in counts.items()}))
        while self._reads[1][0] <= now_s - RECENT_S:
            self._reads.popleft()
        then_s, before = self._reads[0]
        recent_s = max(now_s - then_s, 0.001)
        return Moment(
            title=self._target.title,
            streams=[_progress(name, of, before.get(name, 0), recent_s, staged) for name, of in counts.items()],
            elapsed_s=now_s - self._started_s,
            held=self._target.budget.held,
            checkpoint=self._target.tally.checkpoint if self._target.tally.checkpoints else None,
            share=self._share(),
        )


def _progress(
    name: str, counts: Mapping[str, int], before: int, recent_s: float, staged: Mapping[str, int]
) -> StreamProgress:
    read, loaded = counts.get("read", 0), counts.get("loaded", 0)
    settled = loaded + sum(counts.get(what, 0) for what in ("deduplicated", "filtered", "quarantined"))
    return StreamProgress(
        name,
        read=read,
        rate=(read - before) / recent_s,
        size=counts.get("bytes", 0),
        staged=staged.get(name, 0),
        loaded=loaded,
        left=read - settled,
        is_current=read > before,
    )
