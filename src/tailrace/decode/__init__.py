"""Decoding: blocks of RECORD lines to Arrow tables, natively where that can be, else by the reference."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from tailrace.model import Clock, Decoded, RecordBlock, Stream
from tailrace.native import is_installed

if TYPE_CHECKING:
    from tailrace.decode.layout import RecordLayout

IS_NATIVE = is_installed()
"""Whether this installation has the package tailrace-native."""

IMPLEMENTATION = "native" if IS_NATIVE else "reference"
"""What decodes in this installation: the package tailrace-native when it is there, else the reference, in Python."""


class Decoder(Protocol):
    """Decodes the blocks of one stream, several threads at once. All give the same answer for a block."""

    def decode(self, block: RecordBlock) -> Decoded:
        """The block as columns: rows in line order, and every other record refused with all its reasons.

        Raises nothing that depends on the records.
        """

    def decode_bare(self, block: RecordBlock) -> Decoded:
        """The same for a block whose lines are records alone, without messages around them."""


def decoder(stream: Stream, clock: Clock) -> Decoder:
    """The decoder of a stream; SchemaError when `validation: full` can't follow the stream's schema."""
    from tailrace.decode.layout import RecordLayout  # noqa: PLC0415 a load of no records decodes none

    return implementation(RecordLayout(stream), is_native=IS_NATIVE)(stream, clock)


def implementation(layout: RecordLayout, *, is_native: bool) -> Callable[[Stream, Clock], Decoder]:
    """What decodes the records of that layout, where the package tailrace-native is there or isn't."""
    from tailrace.decode.reference import Reference  # noqa: PLC0415 as above

    if not is_native:
        return Reference
    native = import_module("tailrace.decode.native")
    return native.Native if native.is_eligible(layout) else Reference
