"""The law of two runs: of two processes that load one pipeline the older one's commit is refused."""

from __future__ import annotations

from tailrace.testing.crashes import LARGE, CrashLaw
from tailrace.testing.forked import loading
from tailrace.testing.replay import Replay
from tailrace.testing.subject import Subject

_ONE_CHECKPOINT = {**LARGE, "checkpoint_rows": 1_000_000}
_ROWS, _PAUSE_AT = 1500, 900


def the_older_of_two_runs_is_fenced(subject: Subject) -> None:
    """Whether it has committed something before the newer one took the pipeline over, or nothing."""
    newer = CrashLaw(subject, LARGE)
    for prefix, settings in (("first_", _ONE_CHECKPOINT), ("later_", LARGE)):
        _overtake(
            CrashLaw(subject, settings), newer, Replay(seed=7, rows=_ROWS, state_every=40, people=60, prefix=prefix)
        )


def _overtake(older: CrashLaw, newer: CrashLaw, source: Replay) -> None:
    with loading(older.order(source, pause_at=_PAUSE_AT)) as load:
        load.wait_until_paused()
        with loading(newer.order(source)) as load_of_newer:
            whole = load_of_newer.end()
        assert not whole.error, whole.error
        ended = load.end()
    assert "FencedError" in ended.error, ended.error or "the older run was not refused"
    position = newer.require_truth(source, sorted({*ended.told, *whole.told}), was_interrupted=False)
    newer.require_whole(source, position)
    newer.require_nothing_left()
