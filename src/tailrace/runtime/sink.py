"""A sink: the open batch of one plan of a stream, from its first record until it is sealed."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import reduce
from typing import ParamSpec, TypeVar

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc
from tailrace.decode import Decoder
from tailrace.model import Decoded, RecordBlock, Stream
from tailrace.runtime.parting import rows_parted

DECODE_BYTES = 4 * 2**20
"""Bytes of one stream's records that are decoded together."""

DECODING_THREADS = min(4, os.cpu_count() or 1)
"""Blocks that are decoded at once, of all streams; more than the reader can keep busy are of no use."""

MAX_AHEAD = 3
"""Blocks of one plan that are decoded at once, while the reader goes on."""

_NICE = 10
_VALUE_BYTES = 8
_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Ahead(Struct, frozen=True):
    """A block that is being decoded, or has been."""

    block: RecordBlock
    decoded: Future[Decoded]


def decoding_threads() -> Executor:
    """The threads in which blocks are decoded; they are started when they are needed."""
    return ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="tailrace-decoder", initializer=_give_way)


def _give_way() -> None:
    """Have what decodes ahead let others go first that stage, where a thread can be nice by itself."""
    if sys.platform == "linux":
        os.nice(_NICE)


class OneByOne(Executor):
    """Decodes blocks as they come, in the thread that hands them on, for a run that is to have one core."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """The result of the call, or its error, once it is done."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 it is raised where the result is asked for
            future.set_exception(error)
        return future


class Sink:
    """Blocks that wait to be decoded, blocks that are being decoded, and rows that wait to be sealed; in this order.

    Rows have the lowest lines, waiting blocks the highest. Blocks are gathered and decoded together, so that streams
    which take turns line by line cost no more than others.
    """

    def __init__(self, stream: Stream, decoder: Decoder, threads: Executor) -> None:
        self.stream = stream
        self.decoder = decoder
        self.waiting_bytes = 0
        self.waiting_count = 0
        self.row_bytes = 0
        self.row_count = 0
        self._threads = threads
        self._waiting: list[RecordBlock] = []
        self._ahead: deque[_Ahead] = deque()
        self._tables: list[pa.Table] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return not self._waiting and not self._ahead and not self._tables

    @property
    def is_decoded(self) -> bool:
        """Whether nothing waits to be decoded, or is being decoded."""
        return not self._waiting and not self._ahead

    @property
    def held_bytes(self) -> int:
        """Bytes of everything that is here."""
        return self.waiting_bytes + sum(ahead.block.size for ahead in self._ahead) + self.row_bytes

    @property
    def has_decoded(self) -> bool:
        """Whether a block that was begun is to be taken: it is decoded, or more can't be begun before it is."""
        return bool(self._ahead) and (len(self._ahead) >= MAX_AHEAD or self._ahead[0].decoded.done())

    @property
    def column_bytes(self) -> int:
        """About what the waiting records take as columns."""
        return self.waiting_count * len(self.stream.columns) * _VALUE_BYTES

    def add(self, block: RecordBlock) -> None:
        """Take in records that aren't decoded yet, later than all that are here."""
        self._waiting.append(block)
        self.waiting_bytes += block.size
        self.waiting_count += block.count

    def decode_ahead(self, until_line: int | None = None) -> None:
        """Begin to decode the records that wait, up to that input line."""
        block = self._take_waiting(until_line)
        if block is not None:
            self._ahead.append(self._begun(block))

    def take_decoded(self, until_line: int | None = None) -> tuple[RecordBlock, Decoded] | None:
        """The next block that was begun, if it begins up to that input line, and what it comes to; they leave the sink.

        What a block says of records beyond that line is held back: it is parted there then.
        """
        if not self._ahead or (until_line is not None and self._ahead[0].block.first_line > until_line):
            return None
        block, decoded = self._ahead[0].block, self._ahead[0].decoded.result()
        self._ahead.popleft()
        if until_line is None or block.last_line <= until_line or not _says_more(decoded, until_line):
            return block, decoded
        self._ahead.extendleft(self._begun(part) for part in reversed(block.until(until_line)) if part is not None)
        return self.take_decoded(until_line)

    def put_back(self, block: RecordBlock) -> None:
        """Take in again the block that was taken last; it waits to be decoded, and so do those that were begun."""
        self.put_back_all()
        self._wait_for([block, *self._waiting])

    def put_back_all(self) -> None:
        """Have all records that were begun wait again."""
        self._wait_for([*(ahead.block for ahead in self._ahead), *self._waiting])
        self._ahead.clear()

    def take_waiting(self) -> RecordBlock | None:
        """The records that wait to be decoded; they leave the sink."""
        return self._take_waiting(None)

    def add_rows(self, decoded: pa.Table) -> int:
        """Take in decoded rows, later than all that are here; gives how many of them aren't worth a row."""
        rows = rows_with_values(self.stream, decoded)
        if rows.num_rows:
            self._tables.append(rows)
            self.row_count += rows.num_rows
            self.row_bytes += rows.nbytes
        return int(decoded.num_rows - rows.num_rows)

    def take_rows(self, until_line: int | None = None) -> pa.Table | None:
        """The decoded rows up to that input line; they leave the sink."""
        if not self._tables:
            return None
        rows = pa.concat_tables(self._tables)
        rest = None
        if until_line is not None:
            rows, rest = rows_parted(rows, until_line)
        self._tables = [rest] if rest is not None and rest.num_rows else []
        self.row_count = sum(table.num_rows for table in self._tables)
        self.row_bytes = sum(table.nbytes for table in self._tables)
        return rows if rows.num_rows else None

    def _begun(self, block: RecordBlock) -> _Ahead:
        return _Ahead(block, self._threads.submit(self.decoder.decode, block))

    def _take_waiting(self, until_line: int | None) -> RecordBlock | None:
        """The records that wait to be decoded, up to that input line, which wait no more."""
        if not self._waiting or (until_line is not None and self._waiting[0].first_line > until_line):
            return None
        block: RecordBlock | None = RecordBlock.join(self._waiting)
        rest = None
        if until_line is not None and block is not None:
            block, rest = block.until(until_line)
        self._wait_for([rest] if rest else [])
        return block

    def _wait_for(self, blocks: list[RecordBlock]) -> None:
        self._waiting = blocks
        self.waiting_bytes = sum(block.size for block in blocks)
        self.waiting_count = sum(block.count for block in blocks)


def rows_with_values(stream: Stream, rows: pa.Table) -> pa.Table:
    """The rows; of a stream whose fields no schema describes, those that have a value in any field.

    So it makes no difference in which batch the first field comes.
    """
    fields = [column for column in stream.columns if column.path]
    if not all(len(column.path) == 1 and column.path[0] in stream.evolved for column in fields):
        return rows
    if not fields:
        return rows.slice(0, 0)
    has_value = reduce(pc.or_, (pc.is_valid(rows[column.name]) for column in fields))
    return rows.filter(has_value)


def _says_more(decoded: Decoded, until_line: int) -> bool:
    """Whether more came of a block than rows, beyond that line."""
    return decoded.growth is not None or (bool(decoded.refused) and decoded.refused[-1].line > until_line)
