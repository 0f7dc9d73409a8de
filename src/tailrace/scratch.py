"""Temporary folders that a run locks: what a killed run has left there, the next one of the machine removes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tailrace.disk import try_lock

_ABANDONED_S = 60
"""A folder that is younger may be one that its run is about to lock."""


class ScratchFolder:
    """A temporary folder that its owner alone can read, gone when it is closed; raises OSError if none can be made."""

    def __init__(self, purpose: str, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=f"tailrace-{purpose}-{_machine()}-", dir=parent))
        self._removal = weakref.finalize(self, _remove, self.path, _locked(self.path))

    def close(self) -> None:
        """Remove it and what is in it."""
        self._removal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def remove_abandoned(parent: Path) -> None:
    """Remove the scratch folders in this one whose runs have ended without doing so, as far as they are ours."""
    with suppress(OSError):
        for path in [*parent.glob(f"tailrace-*-{_machine()}-*")]:
            with suppress(OSError), _opened(path) as number:
                found = os.fstat(number)
                is_ours = found.st_uid == os.geteuid() and time.time() - found.st_mtime > _ABANDONED_S
                if is_ours and try_lock(number):
                    shutil.rmtree(path, ignore_errors=True)


def _machine() -> str:
    """What tells folders of this machine from those of others, whose locks may not be seen from here."""
    return f"{zlib.crc32(os.uname().nodename.encode()):08x}" if hasattr(os, "uname") else "here"


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A folder as a file that can be locked; raises OSError where it is a link, or belongs to somebody else."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0))
    try:
        yield number
    finally:
        os.close(number)


def _locked(path: Path) -> ExitStack:
    """The folder, open and locked until the stack is closed; where it can't be, others don't remove it either."""
    lock = ExitStack()
    with suppress(OSError):
        try_lock(lock.enter_context(_opened(path)))
    return lock


def _remove(path: Path, lock: ExitStack) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lock.close()
