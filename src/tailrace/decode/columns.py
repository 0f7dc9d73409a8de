"""Rows that are given as columns rather than records, brought into a stream's Arrow schema."""

from __future__ import annotations

import pyarrow as pa

from tailrace.decode.metadata import Facts, filled
from tailrace.errors import RecordError
from tailrace.model import LINE, Clock, Stream
from tailrace.schema.arrow import conformed


def rows_of(table: pa.Table, stream: Stream, first_line: int, clock: Clock) -> pa.Table:
    """A table whose columns are named by fields as rows of the stream, metadata filled; lines count from the first.

    Raises RecordError for the first value that its column can't hold unchanged.
    """
    try:
        given = conformed(table, stream.columns, stream.name)
    except RecordError as error:
        raise RecordError(stream.name, first_line - 1 + error.line, error.violations) from error.__cause__
    lines = pa.arange(first_line, first_line + len(table))
    facts = Facts(
        now=clock.now(),
        lines=lines,
        versions=pa.nulls(len(table), pa.int64()),
        extracted_at=pa.nulls(len(table), pa.timestamp("us", tz="UTC")),
    )
    columns = filled(stream, clock, facts) | {name: given[name] for name in given.column_names} | {LINE: lines}
    return pa.table([columns[name] for name in stream.arrow.names], schema=stream.arrow)
