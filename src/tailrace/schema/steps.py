"""What a checkpoint does to its tables, as pure steps in their order, which every destination takes in its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from tailrace.model import Activation, Column, Fill, Receipt, Stream

LAST_LINE = 2**63 - 1
"""Beyond every line."""


class Staged(Protocol):
    """Rows of one revision of a stream, wherever they wait."""

    @property
    def stream(self) -> Stream:
        """The revision."""


S = TypeVar("S", bound=Staged)


class Segment(Struct, Generic[S], frozen=True):
    """Staged rows that go into the table: those from line `first` to before line `end`."""

    staged: S
    first: int
    end: int


class TableSteps(Struct, Generic[S], frozen=True):
    """What happens to the table of the stream of that name: merges and activations, in the order of lines.

    An activation is left out where a later one does to all rows what it would have done to some.
    """

    name: str
    staged: tuple[S, ...]
    activations: tuple[Activation, ...]

    def __iter__(self) -> Iterator[Segment[S] | Activation]:
        first = 0
        staged = sorted(self.staged, key=lambda each: each.stream.revision)
        for activation in _needed(self.staged, sorted(self.activations, key=lambda each: each.line)):
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


def _needed(staged: Iterable[Staged], activations: Sequence[Activation]) -> Sequence[Activation]:
    """The activations, in the order of lines, without those that one of at least their version follows.

    Between the two, rows are only inserted: what the earlier one takes, the later one takes too, at the same time.
    Where rows are merged instead, they may be updated in between, and all activations are needed.
    """
    effects = {_effect(stream) for stream in {id(each.stream): each.stream for each in activations}.values()}
    if len(effects) > 1 or any(each.stream.is_merged for each in staged):
        return activations
    needed: list[Activation] = []
    for activation in reversed(activations):
        if not needed or activation.version > needed[-1].version:
            needed.append(activation)
    return needed[::-1]


def _effect(stream: Stream) -> tuple[bool, Column | None, Column | None]:
    """What an activation of the stream does to older rows: whether they go, and the columns that it is about."""
    return stream.hard_delete, stream.filled_with(Fill.TABLE_VERSION), stream.deletion


def rows_by_token(receipts: Iterable[Receipt]) -> Counter[str]:
    """How many rows were staged by the receipts' tokens. A checkpoint may only publish just what is staged."""
    rows = Counter[str]()
    for receipt in receipts:
        rows[receipt.token] += receipt.rows
    return rows


def lines_by_token(receipts: Iterable[Receipt]) -> dict[str, tuple[int, int]]:
    """The first and the last line of the rows that were staged, by the receipts' tokens."""
    lines: dict[str, tuple[int, int]] = {}
    for receipt in receipts:
        first, last = lines.get(receipt.token, (receipt.first_line, receipt.last_line))
        lines[receipt.token] = min(first, receipt.first_line), max(last, receipt.last_line)
    return lines


def as_replaced(stream: Stream, loaded: Collection[str]) -> Stream:
    """The stream as its new table takes it: without what its contract leaves out of the present one."""
    columns = tuple(column for column in stream.columns if column.name in loaded)
    return replace(stream, columns=columns, contract="evolve")
