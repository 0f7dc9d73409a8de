"""COPY: the statement, rows as the text that it reads, and which of them an error is about."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg
import pyarrow as pa
from pyarrow import csv

from tailrace import compute as pc
from tailrace.model import TableName
from tailrace.sql.quoting import quoted, quoted_table

ROWS_AT_ONCE = 10_000
_HEADER = b"\n"
"""An empty first line, from which PostgreSQL learns what ends a line; until then it miscounts lines within quotes."""
_CSV = csv.WriteOptions(include_header=False)
_LINE_OF = re.compile(r"^COPY .*?, line (\d+)", re.DOTALL)


def copy_rows(connection: psycopg.Connection[tuple[object, ...]], copy: bytes, rows: pa.Table) -> None:
    """Copy the rows, some at a time."""
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        stream.write(_HEADER)
        for part in rows.to_batches(ROWS_AT_ONCE):
            text = pa.BufferOutputStream()
            csv.write_csv(part, text, _CSV)
            stream.write(text.getvalue().to_pybytes())


def refused_row(error: BaseException | None, rows: pa.Table) -> int | None:
    """The row that the error is about, by the line of the text that it names; line ends in values are lines too."""
    context = error.diag.context if isinstance(error, psycopg.Error) else None
    line = _LINE_OF.search(context or "")
    if line is None:
        return None
    ends = pa.chunked_array([pa.array([1] * rows.num_rows, pa.int32())])
    for values in rows.columns:
        if pa.types.is_string(values.type):
            ends = pc.add(ends, pc.fill_null(pc.count_substring(values, "\n"), 0))
    reached = pc.greater_equal(pc.cumulative_sum(ends.cast(pa.int64())), int(line[1]) - 1)
    row = pc.index(reached, True).as_py()
    return None if row < 0 else int(row)


def copy_statement(table: TableName, columns: Sequence[str], *, is_binary: bool = False) -> bytes:
    """COPY of these columns, from text or from binary."""
    names = ", ".join(quoted(name, "postgres") for name in columns)
    how = "FORMAT binary" if is_binary else "FORMAT csv, HEADER"
    return f"COPY {quoted_table(table, 'postgres')} ({names}) FROM STDIN ({how})".encode()


def written(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's values in a type that is written as PostgreSQL reads it: bytes as hexadecimal digits, times in UTC."""
    if pa.types.is_timestamp(values.type):  # the session's zone is UTC, and times without a zone are written faster
        return values.cast(pa.timestamp("us"))
    if not pa.types.is_binary(values.type):
        return values
    texts = [None if value is None else f"\\x{value.hex()}" for value in values.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])
