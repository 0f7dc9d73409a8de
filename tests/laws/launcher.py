"""Runs the command line of tailrace until SIGKILL ends it at the n-th step of that name: `launcher.py STEP N run`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

from tailrace.cli import main, options
from tailrace.destination import Destination
from tailrace.destinations import open_destination

STEPS = ("stage", "merge", "checkpoint", "before_commit", "after_commit")
"""What a destination on SQL does for each checkpoint, in this order; the first as often as there are batches.

On a lake before_commit comes before checkpoint, and merge after it, once for each table.
"""


def open_doomed(to: str, settings: Mapping[str, object], step: str, nth: int) -> Destination:
    """The destination, whose process ends when it gets to that step for the n-th time."""
    destination = open_destination(to, settings)
    left = nth

    def on_step(name: str) -> None:
        nonlocal left
        if name == step:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    destination.on_step = on_step
    return destination


if __name__ == "__main__":
    fatal_step, fatal_nth = sys.argv[1], int(sys.argv[2])
    del sys.argv[1:3]
    options.open_destination = lambda to, settings: open_doomed(to, settings, fatal_step, fatal_nth)
    main()
