"""What a checkpoint does to its tables, as pure steps in their order, which every destination takes in its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from tailrace.model import Activation, Receipt, Stream

LAST_LINE = 2**63 - 1
"""Beyond every line."""


class Staged(Protocol):
    """Rows of one revision of a stream, wherever they wait."""

    @property
    def stream(self) -> Stream:
        """The revision."""


S = TypeVar("S", bound=Staged)


@dataclass(frozen=True, slots=True)
class Segment(Generic[S]):
    """Staged rows that go into the table: those from line `first` to before line `end`."""

    staged: S
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class TableSteps(Generic[S]):
    """What happens to the table of the stream of that name: merges and activations, in the order of lines."""

    name: str
    staged: tuple[S, ...]
    activations: tuple[Activation, ...]

    def __iter__(self) -> Iterator[Segment[S] | Activation]:
        first = 0
        staged = sorted(self.staged, key=lambda each: each.stream.revision)
        for activation in sorted(self.activations, key=lambda each: each.line):
            yield from (Segment(each, first, activation.line) for each in staged)
            yield activation
            first = activation.line
        yield from (Segment(each, first, LAST_LINE) for each in staged)


def steps_of(staged: Sequence[S], activations: Sequence[Activation]) -> list[TableSteps[S]]:
    """The steps of each table, one after the other; tables that are replaced are exchanged after these."""
    names = dict.fromkeys([*(each.stream.name for each in staged), *(each.stream.name for each in activations)])
    return [
        TableSteps(
            name,
            tuple(each for each in staged if each.stream.name == name),
            tuple(each for each in activations if each.stream.name == name),
        )
        for name in names
    ]


def rows_by_token(receipts: Iterable[Receipt]) -> Counter[str]:
    """How many rows were staged by the receipts' tokens. A checkpoint may only publish just what is staged."""
    rows = Counter[str]()
    for receipt in receipts:
        rows[receipt.token] += receipt.rows
    return rows


def as_replaced(stream: Stream, loaded: Collection[str]) -> Stream:
    """The stream as its new table takes it: without what its contract leaves out of the present one."""
    columns = tuple(column for column in stream.columns if column.name in loaded)
    return replace(stream, columns=columns, contract="evolve")
