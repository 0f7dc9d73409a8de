"""Checkpoints: when a boundary is due, which STATE it is taken at, and how its commit is settled and told."""

from __future__ import annotations

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
class Mark:
    """A STATE message that was passed: a boundary can be taken there as long as nothing later is staged.

    `state` is its value as JSON; None marks a boundary without a STATE.
    """

    line: int
    state: bytes | None


class Boundaries:
    """Decides where checkpoints end.

    A boundary is due when a limit is reached and a STATE has passed since the last one; it is then taken at the
    last STATE that passed. Once records of a `replace` stream are read no more states are marked, since those
    records become visible only when the run ends. All times are monotonic seconds.
    """

    def __init__(self, settings: Settings, now_s: float) -> None:
        self._settings = settings
        self._records = 0
        self._bytes = 0
        self._taken_at_s = now_s
        self._is_held = False
        self.mark: Mark | None = None
        self.pending: Mark | None = None

    def read(self, records: int, size: int) -> None:
        """Count records that were read."""
        self._records += records
        self._bytes += size

    def pass_state(self, mark: Mark) -> None:
        """Note a STATE message; it is pending until a boundary covers it."""
        self.pending = mark
        if not self._is_held:
            self.mark = mark

    def hold(self) -> None:
        """Mark no more states: what is read from here on becomes visible at the end of the run only."""
        self._is_held = True

    def take(self, mark: Mark | None) -> bytes | None:
        """Take the boundary at the mark, or at the end of the input; gives the state that it makes true."""
        covered = mark or self.pending
        if covered == self.pending:
            self.pending = None
        self.mark = None
        return covered.state if covered else None

    def restart(self, records: int, size: int, now_s: float) -> None:
        """Count anew after a boundary, from the records that are left beyond it."""
        self._records = records
        self._bytes = size
        self._taken_at_s = now_s

    def is_due(self, now_s: float) -> bool:
        """Whether a boundary should be taken at the mark."""
        return self.mark is not None and self._is_limit_reached(now_s)

    def is_due_without_state(self, now_s: float) -> bool:
        """Whether a boundary should be taken although no STATE has passed since the last one."""
        is_wanted = self._settings.commit_without_state and not self._is_held
        return is_wanted and self.mark is None and self._records > 0 and self._is_limit_reached(now_s)

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
        if last is None or last.number != checkpoint.number:
            raise DestinationError(
                f"checkpoint {checkpoint.number} was not committed; run again to load what it covered"
            ) from unknown
        landed: dict[str, Published] = {}
        for receipt in checkpoint.publish:
            name = receipt.stream.name
            landed[name] = landed.get(name, Published()) + Published(inserted=receipt.rows)
        return landed
