"""Blocks of whole lines cut into stretches: RECORD lines that begin alike, and every other line by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec

from tailrace.singer.envelope import RECORD_PREFIX

Stretch = tuple[int, int, int, int | None]
"""Where lines start and end, how many they are, and where the record of the first one starts.

The last is None for a line by itself. Up to there a line says that it is a RECORD and of what stream, and nothing else,
and the others of the stretch begin with the same bytes.
"""

_MAX_KNOWN = 10_000


def splitter() -> Callable[[bytes], Iterable[Stretch]]:
    """What cuts blocks of lines that end in a line feed each: tailrace-native where it is installed."""
    if find_spec("tailrace_native") is None:
        return Splitter().split
    native: Callable[[bytes], Iterable[Stretch]] = import_module("tailrace_native").split
    return native


class Splitter:
    """Cuts blocks by regular expressions, and remembers how RECORD lines begin."""

    def __init__(self) -> None:
        self._known: dict[bytes, re.Pattern[bytes]] = {}

    def split(self, block: bytes) -> Iterator[Stretch]:
        """The stretches of the block, in order."""
        at = 0
        while at < len(block):
            start = RECORD_PREFIX.match(block, at)
            if start is None:
                end = block.index(b"\n", at) + 1
                yield at, end, 1, None
            else:
                end, count = self._stretch(block, start)
                yield at, end, count, start.end()
            at = end

    def _stretch(self, block: bytes, start: re.Match[bytes]) -> tuple[int, int]:
        """Where the lines end that begin as this one does, and how many they are.

        JSON has no line feed within a line, so the prefix behind a line feed always is a line's.
        """
        end = block.index(b"\n", start.end()) + 1
        if not block.startswith(start[0], end):
            return end, 1
        last = self._last_line_end(start[0]).search(block, end)
        end = len(block) if last is None else last.end()
        return end, block.count(b"\n", start.start(), end)

    def _last_line_end(self, prefix: bytes) -> re.Pattern[bytes]:
        """A line end that the prefix doesn't follow."""
        if prefix not in self._known:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[prefix] = re.compile(rb"\n(?!" + re.escape(prefix) + rb")")
        return self._known[prefix]
