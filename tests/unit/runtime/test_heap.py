"""Memory that was freed goes back to the system, though what is still held lies in between."""

import platform
from pathlib import Path

import pytest

from tailrace.runtime import heap
from tailrace.runtime.heap import Heap, release

MIB = 2**20


def resident_bytes():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no such function")
def test_freed_memory_between_what_is_held_is_given_back():
    blocks = [bytes(12_000) for _ in range(10_000)]
    held = blocks[::100]
    blocks.clear()
    before = resident_bytes()
    release()
    assert before - resident_bytes() > 80 * MIB
    assert len(held) == 100


def test_it_is_given_back_while_much_is_staged_and_behind_a_commit_of_enough(monkeypatch):
    released = []
    monkeypatch.setattr(heap, "release", lambda: released.append(at))
    counted = Heap()
    for at, size in enumerate([40, 40, 10, 10, 10]):
        counted.staged(size * MIB)
        if at in {2, 4}:
            counted.committed()
    assert released == [1, 4]
