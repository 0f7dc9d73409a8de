"""BATCH messages: the records of their files come in the messages' places, as if the tap had sent them itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa
from msgspec import Struct

from tailrace.config import Settings
from tailrace.errors import MessageError, TailraceError
from tailrace.inputs.roots import Roots
from tailrace.runtime.feed import Parser
from tailrace.runtime.target import Target
from tailrace.singer.messages import BatchMessage, Block
from tailrace.singer.states import NO_STATES

_REMEMBERED = 10_000
_T = TypeVar("_T")


class _Origin(Struct, frozen=True):
    """Where the lines from the first one on come from: a file's records, or lines of the input, counted from there."""

    first: int
    line: int
    file: str | None


class Batches:
    """Puts the records of BATCH files in their places, for all inputs of a run.

    They count as lines of the input: those behind are so many lines later. Which line is which is remembered of the
    last files, so that errors can say it. Raises ConfigError for a root that is none.
    """

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target
        self._max_line_bytes = settings.max_line_bytes
        self._roots = Roots(settings.batch_roots, settings.input_store)
        self._origins: deque[_Origin] = deque(maxlen=_REMEMBERED)

    def reading(self, parser: Parser) -> Parser:
        """The parser of an input, with the records of its BATCH files."""
        return _Reading(self, parser)

    def origin_of(self, position: int) -> tuple[str | None, int] | None:
        """The file and the number of the record in it, or None and the input's line; None where they are the same."""
        origin = next((each for each in reversed(self._origins) if each.first <= position), None)
        return None if origin is None else (origin.file, position - origin.first + origin.line)

    @contextmanager
    def naming_origins(self) -> Iterator[None]:
        """Have an error about a line that was counted so say which it is."""
        try:
            yield
        except TailraceError as error:
            line: int | None = getattr(error, "line", None)
            origin = self.origin_of(line or 0)
            if origin is not None and f"line {line}" in str(error):
                error.add_note(f"line {line} is " + _named(*origin))
            raise

    def records(self, batch: BatchMessage, position: int) -> Iterator[Block | int]:
        """The records of a message in that position, and at last the position of the last of them.

        Rows that are sure to be the stream's go to the target at once.
        """
        from tailrace.inputs.columnar import arrow_tables, parquet_tables  # noqa: PLC0415 few taps send such messages
        from tailrace.inputs.jsonl import record_blocks  # noqa: PLC0415 as above

        last = position
        for file in self._roots.files(batch.manifest, position):
            self._origins.append(_Origin(last + 1, 1, file.name))
            if batch.format == "jsonl":
                longest = self._max_line_bytes
                found = record_blocks(file, batch.stream, last, max_line_bytes=longest, version=batch.version)
                for block in _read(found, position):
                    yield Block([block], NO_STATES)
                    last = block.last_line
                continue
            tables = parquet_tables(file) if batch.format == "parquet" else arrow_tables(file)
            for table in _read(map(_sound, tables), position):
                yield from self._rows(batch, position, table, last)
                last += table.num_rows
        self._origins.append(_Origin(last + 1, batch.line + 1, None))
        yield last

    def _rows(self, batch: BatchMessage, position: int, table: pa.Table, before: int) -> Iterator[Block]:
        """The rows of a table that is counted from behind a position, but those that the target has taken at once."""
        from tailrace.inputs.rows import is_sure, record_blocks_of  # noqa: PLC0415 as above

        plan = self._target.plan_of(batch.stream)
        if plan is not None and batch.version is None and is_sure(table, plan):
            self._target.count_from(before)
            self._target.accept_rows(batch.stream, table)
            yield Block([], NO_STATES)
            return
        for records in _read(record_blocks_of(table, batch.stream, plan, before, batch.version), position):
            yield Block([records], NO_STATES)


class _Reading:
    """A parser's blocks, with the records of BATCH files among them."""

    def __init__(self, batches: Batches, parser: Parser) -> None:
        self._batches = batches
        self._parser = parser
        self._shift = 0

    def feed(self, chunk: bytes) -> Iterator[Block]:
        """See Parser."""
        return self._expanded(self._parser.feed(chunk))

    def finish(self) -> Iterator[Block]:
        """See Parser."""
        return self._expanded(self._parser.finish())

    def _expanded(self, blocks: Iterator[Block]) -> Iterator[Block]:
        while (block := self._next(blocks)) is not None:
            batches = [message for message in block.messages if isinstance(message, BatchMessage)]
            for batch in sorted(batches, key=lambda batch: batch.line):
                yield from _worth(block.before(batch.line).shifted(self._shift))
                block = block.after(batch.line)
                for records in self._batches.records(batch, batch.line + self._shift):
                    if isinstance(records, int):
                        self._shift = records - batch.line
                    else:
                        yield records
            yield from _worth(block.shifted(self._shift))

    def _next(self, blocks: Iterator[Block]) -> Block | None:
        """The parser's next block; what it raises is about a later line."""
        try:
            return next(blocks, None)
        except MessageError as error:
            error.line += self._shift
            raise


def _sound(table: pa.Table) -> pa.Table:
    """The table, if its buffers hold what they should: Arrow trusts them otherwise."""
    table.validate(full=True)
    return table


def _worth(block: Block) -> Iterator[Block]:
    """The block, if there is anything in it."""
    if block.messages or len(block.states):
        yield block


def _read(found: Iterator[_T], position: int) -> Iterator[_T]:
    """What is read of a file; where it can't be read, MessageError about the message in that position."""
    try:
        yield from found
    except (TailraceError, ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise MessageError(f"a file of the BATCH message can't be loaded: {error}", line=position) from error


def _named(file: str | None, number: int) -> str:
    return f"line {number} of the input" if file is None else f"record {number} of {file}"
