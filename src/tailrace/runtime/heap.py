"""Memory that was freed and that allocators keep: a long run gives it back now and then, or its peak would creep up."""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa

_STAGED_BYTES, _COMMITTED_BYTES = 64 * 2**20, 16 * 2**20
"""Bytes of rows, since memory was given back, for which that is worth its time: while they are staged, and once they
are committed."""


class Heap:
    """Counts the bytes that have passed, and gives freed memory back where there were many. Not thread-safe."""

    def __init__(self) -> None:
        self._bytes = 0

    def staged(self, size: int) -> None:
        """Count rows that were staged."""
        self._bytes += size
        self._release(_STAGED_BYTES)

    def committed(self) -> None:
        """Note that what was staged is committed."""
        self._release(_COMMITTED_BYTES)

    def _release(self, worth_bytes: int) -> None:
        if self._bytes >= worth_bytes:
            self._bytes = 0
            release()


def release() -> None:
    """Give back what Arrow's allocator keeps, and where there is glibc's, what that keeps in the midst of its heaps."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError, TypeError):  # another library of C
        ctypes.CDLL(None).malloc_trim(0)
