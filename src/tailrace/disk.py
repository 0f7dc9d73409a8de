"""Files and folders of this machine: written whole, taken in by the disk, and locked for a while."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO

_AT_ONCE = 8
"""Files that are synced at once: the disk writes out all that it has for each of them, or once for several."""

_COPIED_BYTES = 256 * 2**10


def sync(path: Path) -> None:
    """Have the disk take in a file's content, or the names of a folder's files; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(paths: Collection[Path]) -> None:
    """Sync several files and folders, one at least; see sync()."""
    with ThreadPoolExecutor(min(len(paths), _AT_ONCE)) as threads:
        for _ in threads.map(sync, paths):
            pass


def write_whole(path: Path, content: IO[bytes]) -> None:
    """Write an open file from its position on, so that the path is never a part of it; raises OSError.

    Until it is whole, its name ends with `#1`, as those do that object stores don't list. Folders are made as need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}#1")
    try:
        with beside.open("wb") as file:
            shutil.copyfileobj(content, file, _COPIED_BYTES)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


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
