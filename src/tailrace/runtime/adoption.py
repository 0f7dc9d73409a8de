"""Adoption: an input that a worker has staged becomes part of the run, as if it had been read there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.model import Receipt
from tailrace.runtime.report import StreamReport


@dataclass(frozen=True, slots=True)
class StagedInput:
    """What a worker has staged of an input: receipts by plans with revision 0, and what became of its records.

    Lines are positions among those of all inputs, and `last_line` is the last. `state` is the input's last STATE value,
    as sent, None if it has none.
    """

    receipts: tuple[Receipt, ...]
    streams: Mapping[str, StreamReport]
    state: bytes | None
    last_line: int

    @property
    def records(self) -> int:
        """The records that were read."""
        return sum(found.read for found in self.streams.values())

    @property
    def bytes(self) -> int:
        """The bytes of these records."""
        return sum(found.bytes for found in self.streams.values())
