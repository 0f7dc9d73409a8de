"""Refused records of a block that tailrace-native has judged: each is made when it is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import starmap
from typing import TYPE_CHECKING, overload

import msgspec

from tailrace.blocks import RecordBlock
from tailrace.errors import Violation
from tailrace.model import Refused

if TYPE_CHECKING:
    from tailrace_native import Refusals


class RefusedLines(Sequence[Refused]):
    """Refused records in the order of their lines, all of them UTF-8."""

    def __init__(self, block: RecordBlock, found: Refusals) -> None:
        self._block = block
        self._found = found
        self._violations: list[tuple[Violation, ...]] = []

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, at: int) -> Refused: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Refused]: ...
    def __getitem__(self, at: int | slice) -> Refused | Sequence[Refused]:
        if isinstance(at, slice):
            return tuple(self[each] for each in range(*at.indices(len(self))))
        line, piece, start, end, reasons = self._found.place(range(len(self))[at])
        if not self._violations:
            self._violations = [tuple(starmap(Violation, each)) for each in self._found.reasons()]
        raw = self._block.pieces[piece][start:end]
        return Refused(self._block.stream, line, raw, self._violations[reasons])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def entries(self, **more: str) -> Iterator[bytes]:
        """The records as JSON Lines, some at a time: `record`, `stream`, `line`, `reasons`, and what each has more."""
        stream, rest = msgspec.json.encode(self._block.stream), msgspec.json.encode(more)
        at = 0
        while at < len(self):
            some, at = self._found.entries(self._block.pieces, stream.decode(), rest[1:].decode(), at)
            yield some
