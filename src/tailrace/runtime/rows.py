"""Rows given from Python: mappings, or columns that speak the Arrow C stream interface, straight into a target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from tailrace.errors import ConfigError
from tailrace.model import Column
from tailrace.runtime.frames import array_of, table_of_frame
from tailrace.runtime.report import Report
from tailrace.runtime.target import Target
from tailrace.schema.arrow import columns_of_arrow

ROWS_AT_ONCE = 50_000


def feed_rows(target: Target, stream: str, source: Any, key: Sequence[str]) -> Report:
    """The report of a run over the rows of one stream, which are its only checkpoint.

    Where later rows have other types or fields than the ones before, the stream changes as with a new SCHEMA message.
    """
    columns: tuple[Column, ...] | None = None
    for table in _tables(source, stream):
        found = columns_of_arrow(table.schema, stream)
        if found != columns:
            columns = found
            target.open_stream(stream, columns, tuple(key))
        target.accept_rows(stream, table)
    return target.end()


def _tables(source: Any, stream: str) -> Iterator[pa.Table]:
    """The source's rows, some at a time."""
    source = frame if (frame := table_of_frame(source, stream)) is not None else source
    if hasattr(source, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(source)
        yield reader.schema.empty_table()
        for batch in reader:
            for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                yield pa.Table.from_batches([batch.slice(start, ROWS_AT_ONCE)])
        return
    if not isinstance(source, Iterable):
        raise ConfigError(f"{type(source).__name__} holds no rows", key="source", hint="give mappings or a data frame")
    rows = iter(source)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield _table_of_mappings(some, stream)


def _table_of_mappings(rows: list[Any], stream: str) -> pa.Table:
    for row in rows:
        if not isinstance(row, Mapping):
            raise ConfigError(f"a row is a {type(row).__name__}", key="source", hint="rows are mappings")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [array_of([row.get(name) for row in rows], name, stream) for name in names]
    return pa.Table.from_arrays(columns, names=names)
