"""CSV files: their columns' types are known once the whole file has passed, and every text stays what it says."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, BinaryIO

import pyarrow as pa

from tailrace.errors import ConfigError
from tailrace.inputs.ahead import ahead
from tailrace.inputs.inference import ColumnInference
from tailrace.inputs.places import InputFile
from tailrace.singer.source import decompressed

_BLOCK_BYTES = 4 * 2**20
_HEADER_BYTES = 2**20
_DELIMITERS = (",", ";", "\t", "|")
_MARK = "\ufeff"
_THREADS = 2
_INT64_DIGITS = 19

Refuse = Callable[["RaggedRow"], None]
"""Takes a row that hasn't as many cells as there are columns; raises to end the reading."""


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A row of other cells than columns: its number in the file, None where that isn't known, and what it says."""

    number: int | None
    cells: Sequence[str]
    columns: Sequence[str]
    text: str


@dataclass(frozen=True, slots=True)
class _Header:
    """How a file begins: its columns, what parts its cells, and the lines that this takes."""

    names: tuple[str, ...]
    delimiter: str
    lines: int


def csv_tables(given: InputFile, refuse: Refuse) -> Iterator[pa.Table]:
    """The rows of a file with a header, some at a time, in the types that all of the file's texts have in common.

    An empty cell is null; one of nothing between quotes is an empty text. Raises ConfigError for what isn't CSV.
    """
    header = _header_of(given)
    columns = [ColumnInference() for _ in header.names]
    with tempfile.TemporaryFile() as spool, ThreadPoolExecutor(_THREADS, "tailrace-columns") as threads:
        blocks = []
        for block in ahead(_blocks(given, header, refuse)):
            values = threads.map(ColumnInference.take, columns, block.columns)
            blocks.append(_spooled(spool, pa.record_batch([*values], names=[*header.names])))
        types = [pa.string() if pa.types.is_null(column.type) else column.type for column in columns]
        schema = pa.schema([*zip(header.names, types, strict=True)])
        yield schema.empty_table()
        if all(_is_right(block, schema) for block in blocks):
            spool.flush()
            yield from _unspooled(spool, blocks, schema)
            return
        for block in ahead(_blocks(given, header, _skipped)):
            values = threads.map(ColumnInference.read, columns, block.columns)
            yield _table(pa.record_batch([*values], names=[*header.names]), schema)


def _skipped(row: RaggedRow) -> None:
    """Nothing: it was refused when the file was read first."""
    del row


def _spooled(spool: IO[bytes], block: pa.RecordBatch) -> pa.Schema:
    """Write a block behind the others; its schema."""
    with pa.ipc.new_stream(spool, block.schema) as writer:
        writer.write_batch(block)
    return block.schema


def _unspooled(spool: IO[bytes], blocks: Sequence[pa.Schema], schema: pa.Schema) -> Iterator[pa.Table]:
    spool.seek(0)
    for _ in blocks:
        with pa.ipc.open_stream(spool) as reader:
            for block in reader:
                yield _table(block, schema)


def _is_right(block: pa.Schema, schema: pa.Schema) -> bool:
    """Whether the values of a block, as they were read, say all that their texts do in the types that the file has."""
    return all(_is_whole(had.type, field.type) for had, field in zip(block, schema, strict=True))


def _is_whole(had: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values go from one type to the other as if their texts were read; those of integers and dates do."""
    if had == wanted or pa.types.is_null(had):
        return True
    if pa.types.is_int64(had):
        return not pa.types.is_decimal(wanted) or bool(wanted.precision - wanted.scale >= _INT64_DIGITS)
    return bool(pa.types.is_date(had) and pa.types.is_string(wanted))


def _table(block: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    columns = [
        pa.nulls(len(column), field.type) if pa.types.is_null(column.type) else column.cast(field.type)
        for column, field in zip(block.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema)


def _header_of(given: InputFile) -> _Header:
    """The first row of a file, which names its columns."""
    with decompressed(given.open(), given.name) as source:
        start = source.read(_HEADER_BYTES)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _not_utf8(given.name)
    text = start.decode(errors="replace").removeprefix(_MARK)
    line = text.partition("\n")[0]
    outside = "".join(line.split('"')[::2])
    delimiter = max(_DELIMITERS, key=outside.count) if any(map(outside.count, _DELIMITERS)) else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = next(rows, [])
    wrong = [place for place, name in enumerate(names, start=1) if not name.strip()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if wrong:
        raise ConfigError(f"{given.name}: column {wrong[0]} has no name", key="INPUT", hint="name it in the first row")
    if repeated:
        raise ConfigError(
            f"{given.name} has more than one column of the name {repeated[0]!r}", key="INPUT", hint="rename one"
        )
    return _Header(tuple(names), delimiter, rows.line_num)


def _blocks(given: InputFile, header: _Header, refuse: Refuse) -> Iterator[pa.RecordBatch]:
    """The rows behind the header as texts, block by block."""
    from pyarrow import csv as reading  # noqa: PLC0415 who reads no CSV needs nothing of it

    failures: list[Exception] = []

    def ragged(row: Any) -> str:
        try:
            cells = next(csv.reader([row.text], delimiter=header.delimiter), [])
            refuse(RaggedRow(row.number, cells, header.names, row.text))
        except Exception as error:  # noqa: BLE001 it is raised behind Arrow's reader, which can't pass it on
            failures.append(error)
            return "error"
        return "skip"

    texts = dict.fromkeys(header.names, pa.string())
    converting = reading.ConvertOptions(
        column_types=texts, strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=False
    )
    parsing = reading.ParseOptions(
        delimiter=header.delimiter, newlines_in_values=True, invalid_row_handler=ragged, ignore_empty_lines=True
    )
    with decompressed(given.open(), given.name) as source, _as_config_error(given.name, failures):
        _skip(source, header.lines)
        try:
            reader = reading.open_csv(
                pa.PythonFile(_Quoted(source, given.name), "r"),
                read_options=reading.ReadOptions(
                    column_names=[*header.names], block_size=_BLOCK_BYTES, use_threads=False
                ),
                parse_options=parsing,
                convert_options=converting,
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise
        with reader:
            yield from reader


def _skip(source: BinaryIO, lines: int) -> None:
    """Leave so many lines unread."""
    for _ in range(lines):
        for character in iter(partial(source.read, 1), b""):
            if character == b"\n":
                break


@contextmanager
def _as_config_error(name: str, failures: Sequence[Exception]) -> Iterator[None]:
    """Raise what Arrow says as ConfigError about the file, or what was raised while it read."""
    try:
        yield
    except pa.ArrowInvalid as error:
        if failures:
            raise failures[0] from None
        if "UTF8" in str(error):
            raise _not_utf8(name) from error
        raise ConfigError(f"{name} isn't CSV", key="INPUT", hint="see that its rows and quotes end") from error


def _not_utf8(name: str) -> ConfigError:
    return ConfigError(f"{name} isn't UTF-8 text", key="INPUT", hint="convert it, as with `iconv -f latin1 -t utf-8`")


class _Quoted(io.RawIOBase):
    """A source whose quotes are counted, since one that nothing ends takes in all that is behind it."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self._source = source
        self._name = name
        self._quotes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        self._quotes += data.count(b'"')
        if not data and self._quotes % 2:
            raise ConfigError(f"{self._name} ends within quotes", key="INPUT", hint="get it again, or end them")
        buffer[: len(data)] = data
        return len(data)
