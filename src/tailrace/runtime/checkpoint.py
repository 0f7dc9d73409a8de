"""Checkpoints: when one is due, at which STATE it ends, and how its commit is settled."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.config import Settings
from tailrace.destination import Destination
from tailrace.errors import CommitUnknownError, DestinationError
from tailrace.log import get_logger
from tailrace.model import Checkpoint, Published
from tailrace.runtime.retry import Retry

_log = get_logger("checkpoint")


@dataclass(frozen=True, slots=True)
class SafePoint:
    """A STATE message that has passed: a checkpoint can end there as long as nothing later is staged for it.

    `state` is its value as JSON; None is the end of a checkpoint without a STATE.
    """

    line: int
    state: bytes | None


MAX_STATE_BYTES = 2**20
"""Bytes of states that are remembered before those that decoded rows have superseded are dropped."""

_POINT_BYTES = 100


class CheckpointPolicy:
    """Decides where checkpoints end.

    A checkpoint is due when a limit is reached and a STATE has passed since the last one; it then ends at the last
    STATE that has passed. Every STATE that no committed checkpoint covers is remembered as a safe point, at which the
    run can still end when a later line can't be loaded. Once records of a `replace` stream are read no more STATEs are
    safe points, since those records become visible only when the run ends. All times are monotonic seconds.
    `committed` may be called from another thread.
    """

    def __init__(self, settings: Settings, now_s: float) -> None:
        self._settings = settings
        self._records = 0
        self._bytes = 0
        self._taken_at_s = now_s
        self._taken_line = 0
        self._committed_line = 0
        self._is_held = False
        self._points: list[SafePoint] = []
        self._state_bytes = 0
        self._pending: SafePoint | None = None

    @property
    def latest(self) -> SafePoint | None:
        """The last safe point behind the last checkpoint that was asked for."""
        point = self._points[-1] if self._points else None
        return point if point and point.line > self._taken_line else None

    @property
    def is_crowded(self) -> bool:
        """Whether more states are remembered than there should be."""
        return self._state_bytes > MAX_STATE_BYTES and len(self._points) > 1

    def read(self, records: int, size: int) -> None:
        """Count records that were read."""
        self._records += records
        self._bytes += size

    def pass_state(self, point: SafePoint) -> None:
        """Note a STATE message; it is pending until a checkpoint covers it."""
        self._pending = point
        if not self._is_held:
            self._points.append(point)
            self._state_bytes += len(point.state or b"") + _POINT_BYTES

    def supersede(self, until_line: int) -> None:
        """Forget the safe points up to that line but the last of them: every record up to there is decoded."""
        self._forget(max(0, self._count_before(until_line + 1) - 1))

    def hold(self) -> None:
        """Take no more STATEs for safe points: what is read from here on becomes visible at the end of the run only."""
        self._is_held = True

    def last_before(self, line: int | None) -> SafePoint | None:
        """The last safe point before that line (of all, without one) that isn't committed yet."""
        count = len(self._points) if line is None else self._count_before(line)
        point = self._points[count - 1] if count else None
        return point if point and point.line > self._committed_line else None

    def take(self, point: SafePoint | None) -> bytes | None:
        """End a checkpoint at the safe point, or at the end of the input; gives the state that it makes true."""
        covered = point or self._pending
        if covered == self._pending:
            self._pending = None
        if point is not None:
            self._taken_line = point.line
        return covered.state if covered else None

    def is_taken(self, point: SafePoint) -> bool:
        """Whether a checkpoint that was asked for covers the safe point."""
        return point.line <= self._taken_line

    def retreat(self) -> None:
        """Take back the checkpoints that were asked for and aren't committed."""
        self._taken_line = self._committed_line

    def committed(self, line: int) -> None:
        """Note that a checkpoint up to that line is committed."""
        self._committed_line = line

    def restart(self, records: int, size: int, now_s: float) -> None:
        """Count anew behind a checkpoint, from the records that are left beyond it."""
        self._records = records
        self._bytes = size
        self._taken_at_s = now_s
        self._forget(self._count_before(self._committed_line + 1))

    def is_due(self, now_s: float) -> bool:
        """Whether a checkpoint should end at the latest safe point."""
        return self.latest is not None and self._is_limit_reached(now_s)

    def is_due_without_state(self, now_s: float) -> bool:
        """Whether a checkpoint should end although no STATE has passed since the last one."""
        is_wanted = self._settings.commit_without_state and not self._is_held
        return is_wanted and self.latest is None and self._records > 0 and self._is_limit_reached(now_s)

    def _count_before(self, line: int) -> int:
        """How many safe points stand before that line."""
        return bisect_left(self._points, line, key=lambda point: point.line)

    def _forget(self, count: int) -> None:
        self._state_bytes -= sum(len(point.state or b"") + _POINT_BYTES for point in self._points[:count])
        del self._points[:count]

    def _is_limit_reached(self, now_s: float) -> bool:
        return (
            self._records >= self._settings.checkpoint_rows
            or self._bytes >= self._settings.checkpoint_bytes
            or now_s - self._taken_at_s >= self._settings.checkpoint_age_s
        )


def committed(destination: Destination, retry: Retry, checkpoint: Checkpoint) -> Mapping[str, Published]:
    """What committing the checkpoint did, by stream name.

    A commit whose outcome is unknown is settled by reading the pipeline's checkpoint back. If it has landed, its rows
    count as inserted, since what the destination said of them is lost; if it hasn't, DestinationError is raised.
    """
    try:
        return retry.call(destination.commit, checkpoint)
    except CommitUnknownError as unknown:
        _log.warning("the outcome of a commit is unknown; reading the checkpoint back", number=checkpoint.number)
        last = retry.call(destination.recover, checkpoint.pipeline)
        if not _has_landed(checkpoint, last):
            raise DestinationError(
                f"checkpoint {checkpoint.number} was not committed; run again to load what it covered"
            ) from unknown
        landed: dict[str, Published] = {}
        for receipt in checkpoint.publish:
            name = receipt.stream.name
            landed[name] = landed.get(name, Published()) + Published(inserted=receipt.rows)
        return landed


def _has_landed(checkpoint: Checkpoint, last: Checkpoint | None) -> bool:
    """Whether the pipeline's last checkpoint says that this one was committed, and not another run's of that number.

    A run without a pipeline has no last checkpoint once it has ended well, nor before its first one.
    """
    if last is None:
        return checkpoint.is_forgotten and checkpoint.number > 1
    return (last.number, last.at) == (checkpoint.number, checkpoint.at)
