"""Writes rows of one stream into a lake's files in another process than the one that commits them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from tailrace.errors import DestinationError
from tailrace.lake.entries import Part, part_name
from tailrace.lake.mapping import LakeMapping
from tailrace.lake.parts import Parts
from tailrace.lake.rows import read_rows
from tailrace.model import Batch, Stream


class LakeStager:
    """A Stager whose token lists the files, which are named for an entry of the pipeline's journal.

    A file that nobody adopts is of no table; a later run of the pipeline removes it as it removes its own.
    """

    def __init__(self, stream: Stream, mapping: LakeMapping, entry: tuple[str, int]) -> None:
        self._made_from = (stream, mapping, entry)
        self._mapping = mapping
        self._parts: Parts | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def stage(self, batch: Batch) -> None:
        """Write the batch's rows; see Stager. What is to be said of values is left to the driver."""
        if self._parts is None:
            pipeline, sequence = self._made_from[2]
            start = secrets.token_hex(8)
            self._parts = Parts(self._mapping.layout, lambda number: part_name(pipeline, sequence, f"{start}-{number}"))
        read = read_rows(batch, self._mapping, self._parts.schema)
        if read.inexact or read.coerced:
            raise DestinationError("values within structs come otherwise than the schema says")
        self._parts.add(read.rows)

    def seal(self) -> str:
        """Upload everything; see Stager."""
        return msgspec.json.encode(self._parts.seal() if self._parts else []).decode()

    def discard(self) -> None:
        """Remove the files; see Stager."""
        if self._parts is not None:
            with suppress(DestinationError):
                self._parts.discard()


def parts_of_token(token: str) -> Sequence[Part]:
    """The files that a stager's token lists."""
    return msgspec.json.decode(token, type=list[Part])
