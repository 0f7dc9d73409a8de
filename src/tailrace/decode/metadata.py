"""The metadata columns of decoded rows, as Arrow arrays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc
from tailrace.model import Clock, Column, Fill, Stream

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = pa.int64()
_LINES_PER_MS = 1_000_000


class Facts(Struct, frozen=True):
    """What metadata columns are filled from: the time of decoding, and each row's line, version, time of extraction."""

    now: datetime
    lines: pa.Array
    versions: pa.Array
    extracted_at: pa.Array


def filled(stream: Stream, clock: Clock, facts: Facts) -> dict[str, pa.Array]:
    """The metadata columns of the rows by name.

    A sequence number is the run's start in milliseconds, times a million, plus the line: later lines and later runs
    have higher ones.
    `_sdc_deleted_at` is empty here; what a record says of its deletion comes with its fields.
    """
    return {column.name: _filled(column, clock, facts) for column in stream.columns if column.fill is not None}


def _filled(column: Column, clock: Clock, facts: Facts) -> pa.Array:
    if column.fill is Fill.EXTRACTED_AT:
        return facts.extracted_at
    if column.fill is Fill.TABLE_VERSION:
        return facts.versions
    if column.fill is Fill.SEQUENCE:
        return pc.add_checked(facts.lines, pa.scalar(_epoch_ms(clock.started_at) * _LINES_PER_MS, _INT64))
    count = len(facts.lines)
    if column.fill is Fill.DELETED_AT:
        return _nulls(column.arrow, 1 << count.bit_length())[:count]
    return pa.repeat(_same_in_all(column, clock, facts), count)


@lru_cache(4)
def _nulls(of: pa.DataType, count: int) -> pa.Array:
    """Nulls that all batches share, since memory for each one's own would have to be cleared."""
    return pa.nulls(count, of)


def _same_in_all(column: Column, clock: Clock, facts: Facts) -> pa.Scalar:
    if column.fill is Fill.SYNC_STARTED_AT:
        return pa.scalar(_epoch_ms(clock.started_at), _INT64)
    if column.fill is Fill.CONSTANT:
        return pa.scalar(column.constant, pa.string()).cast(column.arrow)
    return pa.scalar(facts.now, column.arrow)


def _epoch_ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
