"""CSV files: their columns' types are known once the whole file has passed, and every text stays what it says."""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
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
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
_MARK = "\ufeff"
_THREADS = 2
_INT64_DIGITS = 19

Refuse = Callable[["RaggedRow"], None]
"""Takes a row that hasn't as many cells as there are columns; raises to end the reading."""


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A row of other cells than columns: its number behind the header, None where that isn't known, and its text."""

    given: InputFile
    number: int | None
    columns: Sequence[str]
    text: str
    delimiter: str

    @property
    def cells(self) -> list[str]:
        """What the row says."""
        try:
            return next(csv.reader([self.text], delimiter=self.delimiter), [])
        except csv.Error:  # a cell that is too long for this reader
            return self.text.split(self.delimiter)

    def line(self) -> int:
        """The line that it begins in, for which the file is read once more."""
        rows = _rows_with_lines(self.given, self.delimiter)
        return next((line for line, _ in islice(rows, self.number, None)), 0) if self.number else 0


@dataclass(frozen=True, slots=True)
class _Header:
    """How a file begins: its columns, what parts its cells, and the bytes that this takes."""

    names: tuple[str, ...]
    delimiter: str
    bytes: int


def csv_tables(given: InputFile, refuse: Refuse) -> Iterator[pa.Table]:
    """The rows of a file with a header, some at a time, in the types that all of the file's texts have in common.

    An empty cell is null; one of nothing between quotes is an empty text. An empty file gives nothing. Raises
    ConfigError for what isn't CSV.
    """
    header = _header_of(given)
    if not header.names:
        return
    columns = [ColumnInference() for _ in header.names]
    with tempfile.TemporaryFile() as spool, ThreadPoolExecutor(_THREADS, "tailrace-columns") as threads:
        blocks = []
        for block in ahead(_blocks(given, header, refuse)):
            values = threads.map(ColumnInference.take, columns, block.columns)
            blocks.append(_spooled(spool, pa.record_batch([*values], names=[*header.names])))
        schema = pa.schema([*zip(header.names, (column.type for column in columns), strict=True)])
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
    """The first row of a file, which names its columns; no columns if there is none."""
    with decompressed(given.open(), given.name) as source:
        start = source.read(_HEADER_BYTES)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _not_utf8(given.name, "utf-16")
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # which may end within a character
    except UnicodeDecodeError as error:
        raise _not_utf8(given.name) from error
    mark = len(_MARK.encode()) if text.startswith(_MARK) else 0
    lines = _Counted(io.StringIO(text.removeprefix(_MARK), newline=""))
    delimiter = _delimiter_of(given.name, text)
    try:
        names = next(filter(None, csv.reader(lines, delimiter=delimiter, strict=True)), [])
    except csv.Error as error:
        raise ConfigError(f"{given.name}: its first row is no header ({error})", key="INPUT", hint="mend it") from error
    _require_names(given.name, names)
    return _Header(tuple(names), delimiter, mark + lines.bytes)


class _Counted:
    """Lines, whose bytes are counted as they are taken."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.bytes = 0
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.bytes += len(line.encode())
        return line


def _delimiter_of(name: str, text: str) -> str:
    """What parts the cells of the header the most; a tab, where the file's name says so and there is one."""
    outside = "".join(text.lstrip().partition("\n")[0].split('"')[::2])
    if re.search(r"\.(tsv|tab)(\.|$)", name.lower()) and "\t" in outside:
        return "\t"
    return max(_DELIMITERS, key=outside.count)


def _require_names(file: str, names: Sequence[str]) -> None:
    """Raise ConfigError unless each column has a name of its own."""
    wrong = [place for place, name in enumerate(names, start=1) if not name.strip()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if any(map(_CONTROLS.search, names)):
        raise ConfigError(f"{file} isn't CSV, but binary", key="INPUT", hint="export it as CSV or Parquet")
    if wrong:
        raise ConfigError(f"{file}: column {wrong[0]} has no name", key="INPUT", hint="name it in the first row")
    if repeated:
        raise ConfigError(
            f"{file} has more than one column of the name {repeated[0]!r}", key="INPUT", hint="rename one"
        )


def _blocks(given: InputFile, header: _Header, refuse: Refuse) -> Iterator[pa.RecordBatch]:
    """The rows behind the header as texts, block by block."""
    from pyarrow import csv as reading  # noqa: PLC0415 who reads no CSV needs nothing of it

    failures: list[Exception] = []

    def ragged(row: Any) -> str:
        try:
            refuse(RaggedRow(given, row.number, header.names, row.text, header.delimiter))
        except Exception as error:  # noqa: BLE001 it is raised behind Arrow's reader, which can't pass it on
            failures.append(error)
            return "error"
        return "skip"

    converting = reading.ConvertOptions(
        column_types=dict.fromkeys(header.names, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
        quoted_strings_can_be_null=False,
    )
    blocks = reading.ReadOptions(column_names=[*header.names], block_size=_BLOCK_BYTES, use_threads=False)
    parsing = reading.ParseOptions(
        delimiter=header.delimiter, newlines_in_values=True, invalid_row_handler=ragged, ignore_empty_lines=True
    )
    with decompressed(given.open(), given.name) as source, _as_config_error(given.name, failures):
        _skip(source, header.bytes)
        counted = _Quoted(source)
        try:
            reader = reading.open_csv(pa.PythonFile(counted, "r"), blocks, parsing, converting)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise
        is_open = False
        with reader:
            for block in reader:
                is_open = len(block) > 0 and "\n" in (block.columns[-1][-1].as_py() or "")
                yield block
        if is_open or counted.quotes % 2:
            _require_ended_quotes(given, header.delimiter)


def _skip(source: BinaryIO, size: int) -> None:
    """Leave so many bytes unread."""
    while size and (data := source.read(size)):
        size -= len(data)


def _rows_with_lines(given: InputFile, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file, header and all, as Python's reader parts them: the line each begins in, and its lines."""
    lines: list[str] = []
    with decompressed(given.open(), given.name) as source:
        text = io.TextIOWrapper(source, "utf-8-sig", errors="replace", newline="")
        reader = csv.reader(_kept(text, lines), delimiter=delimiter)
        try:
            for row in reader:
                if row:
                    yield reader.line_num - len(lines) + 1, [*lines]
                lines.clear()
        except csv.Error:  # a cell that is too long for this reader
            return


def _kept(items: Iterable[str], kept: list[str]) -> Iterator[str]:
    for item in items:
        kept.append(item)
        yield item


def _require_ended_quotes(given: InputFile, delimiter: str) -> None:
    """Raise ConfigError where quotes that begin a cell never end."""
    last: list[str] = []
    for _, lines in _rows_with_lines(given, delimiter):
        last = lines
    try:
        all(csv.reader(last, delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "end of data" in str(error):
            raise ConfigError(
                f"{given.name} ends within quotes", key="INPUT", hint="end them, or get it again"
            ) from None


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


def _not_utf8(name: str, encoding: str = "latin1") -> ConfigError:
    hint = f"convert it, as with `iconv -f {encoding} -t utf-8`"
    return ConfigError(f"{name} isn't UTF-8 text", key="INPUT", hint=hint)


class _Quoted(io.RawIOBase):
    """A source whose quotes are counted, since one that nothing ends takes in all that is behind it.

    Those within a cell that doesn't begin with one are text, so that an odd number says nothing yet.
    """

    def __init__(self, source: BinaryIO) -> None:
        self.quotes = 0
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        self.quotes += data.count(b'"')
        buffer[: len(data)] = data
        return len(data)
