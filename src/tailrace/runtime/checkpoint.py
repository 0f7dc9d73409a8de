"""Checkpoints: when one is due, at which STATE it ends, and how its commit is settled."""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.config import Settings
from tailrace.destination import Destination
from tailrace.errors import CommitUnknownError, DestinationError
from tailrace.log import get_logger
from tailrace.model import Checkpoint, Published
from tailrace.runtime.retry import Retry
from tailrace.runtime.safe_points import SafePoint as SafePoint  # noqa: PLC0414 what a policy is about
from tailrace.runtime.safe_points import SafePoints
from tailrace.singer.states import NO_STATES, StateMessages

_log = get_logger("checkpoint")


MAX_STATE_BYTES = 8 * 2**20
"""Bytes of states that are remembered before those that decoded rows have superseded are dropped."""


class CheckpointPolicy:
    """Decides where checkpoints end.

    A checkpoint is due when a limit is reached and a STATE has passed since the last one; it then ends at the first
    STATE that stands where the limit is reached, or at the last one before. Every STATE that no committed checkpoint
    covers is remembered as a safe point, at which the run can still end when a later line can't be loaded. Once
    records of a `replace` stream are read no more STATEs are safe points, since those records become visible only when
    the run ends. All times are monotonic seconds. `committed` may be called from another thread.
    """

    def __init__(self, settings: Settings, now_s: float) -> None:
        self._settings = settings
        self._read = self._taken = (0, 0)
        self._taken_at_s = now_s
        self._taken_line = 0
        self._committed_line = 0
        self._held_line: int | None = None
        self._points = SafePoints()
        self._pending: SafePoint | None = None

    @property
    def latest(self) -> SafePoint | None:
        """The last safe point behind the last checkpoint that was asked for."""
        point = self._points.last
        return point if point and point.line > self._taken_line else None

    @property
    def is_held(self) -> bool:
        """Whether what is read becomes visible only when the run ends."""
        return self._held_line is not None

    @property
    def is_crowded(self) -> bool:
        """Whether more states are remembered than there should be."""
        return self._points.bytes > MAX_STATE_BYTES and len(self._points) > 1

    def read(self, records: int, size: int, states: StateMessages = NO_STATES) -> None:
        """Count a block's records, and note the states among them; the last is pending until a checkpoint covers it."""
        before, before_bytes = self._read
        self._read = before + records, before_bytes + size
        if not len(states):
            return
        last = states[-1]
        self._pending = SafePoint(last.line, last.value, before + last.records, before_bytes + last.record_bytes)
        safe = states if self._held_line is None else states.until(self._held_line)
        self._points.add(safe, before, before_bytes)

    def supersede(self, until_line: int) -> None:
        """Forget the safe points up to that line but the last of them: every record up to there is decoded."""
        self._points.supersede(until_line)

    def hold(self, line: int) -> None:
        """Take no STATE behind that line for a safe point: what is read from there on becomes visible at the end."""
        self._held_line = line if self._held_line is None else min(line, self._held_line)

    def last_before(self, line: int | None) -> SafePoint | None:
        """The last safe point before that line (of all, without one) that isn't committed yet."""
        point = self._points.last if line is None else self._points.before(line)
        return point if point and point.line > self._committed_line else None

    def take(self, point: SafePoint | None, now_s: float) -> bytes | None:
        """End a checkpoint at the safe point, or at the end of the input; gives the state that it makes true.

        What is counted for the next one begins there.
        """
        covered = point or self._pending
        if self._pending is not None and covered is not None and covered.line >= self._pending.line:
            self._pending = None
        if point is not None:
            self._taken_line = point.line
        self._taken = self._read if point is None or point.state is None else (point.records, point.record_bytes)
        self._taken_at_s = now_s
        self._points.drop_until(self._committed_line)
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

    def due(self, now_s: float) -> SafePoint | None:
        """The safe point at which a checkpoint should end now."""
        latest = self.latest
        if latest is None or not self._is_limit_reached(now_s):
            return None
        records, size = self._taken
        limits = records + self._settings.checkpoint_rows, size + self._settings.checkpoint_bytes
        return self._points.first_past(self._taken_line, *limits) or latest

    def is_due_without_state(self, now_s: float) -> bool:
        """Whether a checkpoint should end although no STATE has passed since the last one."""
        is_wanted = self._settings.commit_without_state and self._held_line is None
        return is_wanted and self.latest is None and self._read > self._taken and self._is_limit_reached(now_s)

    def _is_limit_reached(self, now_s: float) -> bool:
        return (
            self._read[0] - self._taken[0] >= self._settings.checkpoint_rows
            or self._read[1] - self._taken[1] >= self._settings.checkpoint_bytes
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
