"""What becomes of the memory that a run has freed."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's mallopt()."""

_KEPT_BYTES, _MORE_BYTES, _BLOCK_BYTES = 16 * 2**20, 4 * 2**20, 2 * 2**20


def keep_freed_memory() -> None:
    """Have glibc keep some of the memory that is freed, where it would have the system clear the same pages anew."""
    with suppress(AttributeError, OSError, TypeError):  # another library of C
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_TOP_PAD, _MORE_BYTES)
        mallopt(_MMAP_THRESHOLD, _BLOCK_BYTES)
