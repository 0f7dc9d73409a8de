"""Rows as a file of this machine: Parquet, CSV or JSON Lines, compressed."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Protocol, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import zstandard

from tailrace import compute as pc
from tailrace.lake.tables import Layout
from tailrace.model import Kind
from tailrace.schema.texts import JSON_TEXTS
from tailrace.sql.delimited import contents, delimited_lines

_BUFFER_BYTES = 256 * 2**10
"""What is written to a file at once: each write waits for the interpreter, and a row group takes several a column."""

_ZSTD_LEVEL = 3
_LARGE = pa.large_string()
_EMPTY_LINE = re.compile(rb"^\n", re.MULTILINE)


class RowsFile(Protocol):
    """Writes rows into a file, which stays open."""

    @property
    def size(self) -> int:
        """The bytes that are written so far."""

    def write(self, rows: pa.Table) -> None:
        """Write the rows, which have the file's columns."""

    def close(self) -> None:
        """Write the end of the file; nothing can be written after that. Repeatable."""


def suffix(layout: Layout) -> str:
    """The ending of files' names."""
    if layout.format == "parquet":
        return ".parquet"
    return f".{layout.format}" + {"gzip": ".gz", "zstd": ".zst"}.get(layout.compression, "")


def written_to(file: IO[bytes], layout: Layout) -> RowsFile:
    """Rows into an empty file, in the layout's format."""
    if layout.format == "parquet":
        return ParquetFile(file, layout)
    return CsvFile(file, layout) if layout.format == "csv" else JsonLinesFile(file, layout)


class ParquetFile:
    """RowsFile as Parquet; each write is a row group."""

    def __init__(self, file: IO[bytes], layout: Layout) -> None:
        self._sink = pa.BufferedOutputStream(pa.PythonFile(file, mode="w"), _BUFFER_BYTES)
        self._writer = pa.parquet.ParquetWriter(
            self._sink, _file_schema(layout), compression=layout.compression, store_schema=False
        )

    @property
    def size(self) -> int:
        """The bytes so far; see RowsFile."""
        return int(self._sink.tell())

    def write(self, rows: pa.Table) -> None:
        """Write a row group; see RowsFile."""
        self._writer.write_table(rows, row_group_size=max(rows.num_rows, 1))

    def close(self) -> None:
        """Write the footer; see RowsFile."""
        if not self._writer.is_open:
            return
        try:
            self._writer.close()
            self._sink.detach()
        except Exception:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Have neither the writer nor the buffer try again when it goes: they would say on stderr that they can't."""
        self._writer.is_open = False
        with suppress(OSError, pa.ArrowException):
            self._sink.close()


class CsvFile:
    """RowsFile as CSV with a header: texts are in quotes, null is nothing, bytes are base64.

    Readers skip empty lines. So in a file of one column, null is NULL in a column of texts and `""` in any other.
    """

    def __init__(self, file: IO[bytes], layout: Layout) -> None:
        self._file = file
        self._stream = _compressed(self._file, layout.compression)
        names = [_HEADERS[layout.header](name) for name in _file_schema(layout).names]
        header = pa.table([pa.array([name]) for name in names], names=names)
        self._write(header)

    @property
    def size(self) -> int:
        """The bytes so far; see RowsFile."""
        return self._file.tell()

    def write(self, rows: pa.Table) -> None:
        """Write lines; see RowsFile."""
        columns = [_base64(column) if pa.types.is_binary(column.type) else column for column in rows.columns]
        if len(columns) == 1 and columns[0].null_count and pa.types.is_string(columns[0].type):
            for content in contents(delimited_lines(columns)):
                self._stream.write(content)
        else:
            self._write(pa.table(columns, names=rows.column_names))

    def close(self) -> None:
        """Flush the compressor; see RowsFile."""
        if self._stream is not self._file:
            self._stream.close()

    def _write(self, rows: pa.Table) -> None:
        options = pa.csv.WriteOptions(include_header=False)
        sink = pa.BufferOutputStream()
        pa.csv.write_csv(rows, sink, options)
        content = sink.getvalue()
        is_bare = rows.num_columns == 1 and rows[0].null_count and not pa.types.is_string(rows[0].type)
        self._stream.write(_EMPTY_LINE.sub(b'""\n', content) if is_bare else content)


class JsonLinesFile:
    """RowsFile as JSON Lines: an object for each row, with every column; bytes are base64, JSON is as it was sent."""

    def __init__(self, file: IO[bytes], layout: Layout) -> None:
        self._file = file
        self._stream = _compressed(self._file, layout.compression)
        self._kinds = {field.name: _kind(field) for field in _file_schema(layout)}

    @property
    def size(self) -> int:
        """The bytes so far; see RowsFile."""
        return self._file.tell()

    def write(self, rows: pa.Table) -> None:
        """Write lines; see RowsFile."""
        pieces: list[pa.ChunkedArray | pa.Scalar] = []
        between = "{"
        for name in rows.column_names:
            quoted = JSON_TEXTS[Kind.TEXT](pa.chunked_array([[name]]))[0].as_py()
            pieces += [pa.scalar(f"{between}{quoted}:", _LARGE), _json(rows[name], self._kinds[name])]
            between = ","
        pieces.append(pa.scalar("}\n", _LARGE))
        lines = pc.binary_join_element_wise(
            *pieces, pa.scalar("", _LARGE), null_handling="replace", null_replacement="null"
        )
        for content in contents(lines):
            self._stream.write(content)

    def close(self) -> None:
        """Flush the compressor; see RowsFile."""
        if self._stream is not self._file:
            self._stream.close()


def _file_schema(layout: Layout) -> pa.Schema:
    """The columns that files have."""
    if not layout.drops_partitions:
        return layout.schema
    return pa.schema([field for field in layout.schema if field.name not in layout.partition_by])


def _compressed(file: IO[bytes], compression: str) -> IO[bytes]:
    if compression == "gzip":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="wb", mtime=0))
    if compression == "zstd":
        return cast("IO[bytes]", zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(file, closefd=False))
    return file


def _kind(field: pa.Field) -> Kind:
    """The kind of a column, by the mark on its field in the layout."""
    return Kind((field.metadata or {}).get(KIND, b"TEXT").decode())


def _json(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    if kind is Kind.BINARY:
        return JSON_TEXTS[Kind.TEXT](_base64(values)).cast(_LARGE)
    return (values if kind is Kind.JSON else JSON_TEXTS[kind](values)).cast(_LARGE)


def _base64(values: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = [None if value is None else base64.b64encode(value).decode() for value in values.to_pylist()]
    return pa.chunked_array([texts], pa.string())


KIND = b"tailrace.kind"
"""The field metadata that holds a column's kind."""

_HEADERS: Mapping[str, Callable[[str], str]] = {"original": str, "lower": str.lower, "upper": str.upper}
