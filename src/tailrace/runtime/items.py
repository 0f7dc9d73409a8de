"""What the drain is given to do: streams to prepare, rows to stage or to adopt, and checkpoints to commit."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from tailrace.model import Activation, Batch, Receipt, Stream
from tailrace.runtime.parting import batch_until


class Preparation(Struct, frozen=True):
    """A stream to prepare, and the input line that makes it so. Without columns for records it has no table yet."""

    stream: Stream
    line: int


class CheckpointRequest(Struct, frozen=True):
    """The end of a checkpoint, as the reader sees it; the drain adds the receipts and the number.

    `state` is None when the checkpoint makes no new state true; the destination then keeps the one that it has.
    """

    until_line: int
    state: bytes | None
    activate: tuple[Activation, ...] = ()
    replace: tuple[Stream, ...] = ()
    final: bool = False


class Adoption(Struct, frozen=True):
    """Rows of one stream that a stager of the destination's has staged elsewhere; the receipt has its token."""

    receipt: Receipt


Item = Preparation | Batch | Adoption | CheckpointRequest


def item_until(item: Item, until_line: int, checkpoint: int) -> Item | None:
    """What is left of an item when that checkpoint ends at that line."""
    match item:
        case Batch() as batch:
            return batch_until(batch, until_line, checkpoint)
        case Preparation() as preparation:
            return preparation if preparation.line <= until_line else None
        case Adoption(receipt) as adoption:
            return adoption if receipt.last_line <= until_line else None
    return None


def held_bytes(items: Iterable[Item]) -> int:
    """The bytes of the rows that items hold in memory."""
    return sum(item.rows.nbytes for item in items if isinstance(item, Batch))
