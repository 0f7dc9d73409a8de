"""Moments of a run, one after the other, as they are shown while it goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from tailrace.runtime.picture import Moment, StreamProgress
from tailrace.runtime.target import Target

RECENT_S = 5.0
"""How many seconds a rate is of."""


class Moments:
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
