"""A process and all that it has started, as one thing to end: its process group, which doesn't outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

END_WAIT_S = 10.0
"""How long a process group may take to end when asked, before it is killed."""

_KILL_WAIT_S = 10.0
"""How long a process that is killed may take to be gone: the system does that in its own time."""

_LOOK_EVERY_S = 0.02

# Reads a line when the group has ended, and the end of its stdin, without one, when we are gone ourselves.
_WATCH = """
read -r ended && exit
kill -s TERM -- "-$1"
waited=0
while [ "$waited" -lt "$2" ] && kill -s 0 -- "-$1"; do sleep 1; waited=$((waited + 1)); done
kill -s KILL -- "-$1"
"""


class Group:
    """The process group of a child that leads its own session.

    A small process watches over it: it ends the group when this process is gone, as when it was killed.
    """

    def __init__(self, leader: int) -> None:
        self._id = leader
        self._watch: subprocess.Popen[bytes] | None = None
        with suppress(OSError):  # there may be no shell; then what a killed run has started ends by itself
            self._watch = subprocess.Popen(  # noqa: S603 our own words
                ["/bin/sh", "-c", _WATCH, "sh", str(leader), str(round(END_WAIT_S))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._lock = threading.Lock()
        self._has_ended = False

    def ask(self) -> None:
        """Ask every process of the group to end."""
        self._send(signal.SIGTERM)

    def end(self, poll: Callable[[], int | None]) -> None:
        """Have every process of the group end; `poll` gives the leader's exit code once it has one.

        Repeatable, from any thread. The leader was asked to end, or has ended. What it has left running is asked, too;
        what then stays is killed.
        """
        with self._lock:
            if self._has_ended:
                return
            if poll() is not None and self._is_running():
                self.ask()
            if not self._has_gone(poll, END_WAIT_S):
                self._send(signal.SIGKILL)
                self._has_gone(poll, _KILL_WAIT_S)
            self._has_ended = True
            self._end_watch()

    def _has_gone(self, poll: Callable[[], int | None], wait_s: float) -> bool:
        """Whether no process of the group runs any more, within that time."""
        deadline_s = time.monotonic() + wait_s
        while poll() is None or self._is_running():
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    def _is_running(self) -> bool:
        """Whether a process of the group runs; what has ended and nobody has asked for doesn't count."""
        if not Path("/proc/self/stat").exists():
            return self._send(0)
        return self._send(0) and any(group == self._id and state not in "ZX" for state, group in _processes())

    def _send(self, number: int) -> bool:
        try:
            os.killpg(self._id, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # they are there, and have become somebody else's
            return True
        return True

    def _end_watch(self) -> None:
        if self._watch is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                self._watch.communicate(b"ended\n", timeout=END_WAIT_S)


def _processes() -> Iterator[tuple[str, int]]:
    """State and process group of every process that can be seen."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name before may have blanks and parentheses in it.
            state, _parent, group = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:3]
            yield state, int(group)
