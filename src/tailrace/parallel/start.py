"""An input of many: how it is named and opened, and what its start says of its streams."""

from __future__ import annotations

from contextlib import suppress
from typing import BinaryIO, Protocol

from tailrace.errors import TailraceError
from tailrace.singer.messages import SchemaMessage
from tailrace.singer.reader import Reader
from tailrace.singer.source import decompressed

_START_BYTES = 4 * 2**20


class Input(Protocol):
    """An input of messages; picklable."""

    @property
    def name(self) -> str:
        """Its path or address."""

    def open(self) -> BinaryIO:
        """Its bytes, as they are stored."""


def schemas_at_start(given: Input, max_line_bytes: int) -> list[SchemaMessage]:
    """The first SCHEMA of each stream at the start of an input; what can't be read is for later to say."""
    found: dict[str, SchemaMessage] = {}
    reader, read = Reader(max_line_bytes=max_line_bytes), 0
    with suppress(TailraceError), decompressed(given.open(), given.name) as source:
        while read < _START_BYTES and (chunk := source.read(2**20)):
            read += len(chunk)
            for block in reader.feed(chunk):
                for message in block.messages:
                    if isinstance(message, SchemaMessage):
                        found.setdefault(message.stream, message)
    return [*found.values()]
