"""Memory that was freed and that allocators keep: a long run gives it back now and then, or its peak would creep up."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pyarrow as pa

_STAGED_BYTES, _COMMITTED_BYTES = 64 * 2**20, 16 * 2**20
"""Bytes of rows, since memory was given back, for which that is worth its time: while they are staged, and once they
are committed."""


_M_ARENA_MAX, _ARENAS = -8, 2


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


def limit_arenas() -> None:
    """Have glibc's allocator, if that is the process's, keep few heaps: each of them keeps what threads have freed.

    For a process that is tailrace's own, before it has threads.
    """
    if (mallopt := _function("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def release() -> None:
    """Give back what Arrow's allocator keeps, and where there is glibc's, what that keeps in the midst of its heaps."""
    pa.default_memory_pool().release_unused()
    if (trim := _function("malloc_trim")) is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where that is another system's, or another one."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, TypeError, OSError):
        return None
    return found
