"""Files and folders of this machine: what the disk has taken in of them, and whose they are for a while."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def sync(path: Path) -> None:
    """Have the disk take in a file's content, or the names of a folder's files; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def try_lock(number: int, *, shared: bool = False) -> bool | None:
    """Whether the open file is locked for us now, alone or with others that share it; None where a system has no locks.

    Raises OSError, as where a file system has none.
    """
    if find_spec("fcntl") is None:
        return None
    fcntl = import_module("fcntl")
    try:
        fcntl.flock(number, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
