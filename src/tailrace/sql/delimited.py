"""Rows as delimited text, as bulk verbs read it: quotes are doubled, and nothing is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from tailrace import compute as pc
from tailrace.model import Kind
from tailrace.native import native
from tailrace.schema.texts import TEXTS

_STRING = pa.large_string()
_NOTHING, _COMMA, _QUOTE, _LINE_END = (pa.scalar(text, _STRING) for text in ("", ",", '"', "\n"))
_ROWS_AT_ONCE = 10_000


def delimited(rows: pa.Table) -> Iterator[bytes]:
    """The rows as text, some at a time; see delimited_lines. It is tailrace-native that writes what it is sure of."""
    write: Callable[[pa.RecordBatch], bytes | None] | None = native("delimited_lines")
    for part in rows.to_batches(_ROWS_AT_ONCE):
        text = write(part) if write else None
        yield b"".join(contents(delimited_lines(pa.table(part).columns))) if text is None else text


def delimited_lines(columns: Sequence[pa.ChunkedArray], null: str = "NULL") -> pa.ChunkedArray:
    """The rows as lines, with their ends: fields between commas, texts in quotes, `null` bare.

    Booleans are 0 and 1, bytes hexadecimal digits, times in UTC without saying so.
    """
    texts = [_text(column) for column in columns]
    return _joined([*texts[:-1], _joined([texts[-1], _LINE_END], _NOTHING, null)], _COMMA, null)


def contents(lines: pa.ChunkedArray) -> list[pa.Buffer]:
    """The lines, one right behind the other, as one piece for each chunk."""
    return [_content(chunk) for chunk in lines.chunks]


def _joined(texts: Sequence[pa.ChunkedArray | pa.Scalar], between: pa.Scalar, null: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(*texts, between, null_handling="replace", null_replacement=null)


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    of = values.type
    if pa.types.is_string(of):
        quoted = pc.replace_substring(values.cast(_STRING), '"', '""')
        return pc.binary_join_element_wise(_QUOTE, quoted, _QUOTE, _NOTHING)
    if pa.types.is_binary(of):
        return pa.chunked_array([pa.array([None if v is None else v.hex() for v in values.to_pylist()], _STRING)])
    if pa.types.is_boolean(of):
        return values.cast(pa.int8()).cast(_STRING)
    if pa.types.is_timestamp(of):
        return values.cast(pa.timestamp("us")).cast(_STRING)
    return (TEXTS[Kind.DECIMAL](values) if pa.types.is_decimal(of) else values).cast(_STRING)


def _content(chunk: pa.Array) -> pa.Buffer:
    """The texts of an array, one right behind the other."""
    _, offsets, data = chunk.buffers()
    bounds = pa.Array.from_buffers(pa.int64(), len(chunk) + 1, [None, offsets], offset=chunk.offset)
    start, end = bounds[0].as_py(), bounds[-1].as_py()
    return data.slice(start, end - start)
