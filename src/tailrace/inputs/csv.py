"""CSV files: their columns' types are known once the whole file has passed, and every text stays what it says."""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import pyarrow as pa

from tailrace.errors import ConfigError
from tailrace.inputs.ahead import ahead
from tailrace.inputs.csv_blocks import Header, RaggedRow, Refuse, csv_blocks, not_utf8
from tailrace.inputs.inference import ColumnInference
from tailrace.inputs.places import InputFile
from tailrace.singer.source import decompressed

_HEADER_BYTES = 2**20
_DELIMITERS = (",", ";", "\t", "|")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
_MARK = "\ufeff"
_THREADS = 2
_INT64_DIGITS = 19


Columns = dict[str, ColumnInference]
"""What the columns of a stream's files are, by their names."""


def csv_tables(given: InputFile, refuse: Refuse) -> Iterator[pa.Table]:
    """The rows of a file with a header, some at a time, in the types that all of the file's texts have in common.

    An empty cell is null; one of nothing between quotes is an empty text. An empty file gives nothing. Raises
    ConfigError for what isn't CSV.
    """
    header = _header_of(given)
    columns: Columns = {name: ColumnInference() for name in header.names}
    if not columns:
        return
    with tempfile.TemporaryFile() as spool:
        blocks = [_spooled(spool, block) for block in _read(ColumnInference.take, given, header, refuse, columns)]
        schema = _schema(header, columns)
        yield schema.empty_table()
        if all(_is_right(block, schema) for block in blocks):
            spool.flush()
            yield from _unspooled(spool, blocks, schema)
            return
    for block in _read(ColumnInference.read, given, header, _skipped, columns):
        yield _table(block, schema)


def look_at(given: InputFile, columns: Columns) -> None:
    """Have columns know all texts of a file, too; raises ConfigError for what isn't CSV."""
    header = _header_of(given)
    for name in header.names:
        columns.setdefault(name, ColumnInference())
    for _ in _read(ColumnInference.take, given, header, _skipped, columns):
        pass


def csv_tables_as(given: InputFile, refuse: Refuse, columns: Columns) -> Iterator[pa.Table]:
    """The rows of a file as csv_tables gives them, in the types of columns that have looked at the file."""
    header = _header_of(given)
    if not header.names:
        return
    schema = _schema(header, columns)
    yield schema.empty_table()
    for block in _read(ColumnInference.read, given, header, refuse, columns):
        yield _table(block, schema)


def _read(
    values_of: Callable[[ColumnInference, pa.Array], pa.Array],
    given: InputFile,
    header: Header,
    refuse: Refuse,
    columns: Columns,
) -> Iterator[pa.RecordBatch]:
    """The blocks of a file as their columns give their values."""
    own = [columns[name] for name in header.names]

    def forms() -> bytes:
        return "".join(column.form for column in own).encode()

    with ThreadPoolExecutor(_THREADS, "tailrace-columns") as threads:
        for block in ahead(csv_blocks(given, header, refuse, forms, threads)):
            found = [*zip(own, block.columns, strict=True)]
            is_light = all(column.is_text or not pa.types.is_string(given.type) for column, given in found)
            mapped = map if is_light else threads.map
            yield pa.record_batch([*mapped(values_of, own, block.columns)], names=[*header.names])


def _schema(header: Header, columns: Columns) -> pa.Schema:
    return pa.schema([(name, columns[name].type) for name in header.names])


def _skipped(row: RaggedRow) -> None:
    """Nothing: it is refused when the file is read another time."""
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
    if pa.types.is_integer(had):
        return not pa.types.is_decimal(wanted) or bool(wanted.precision - wanted.scale >= _INT64_DIGITS)
    return bool(pa.types.is_date(had) and pa.types.is_string(wanted))


def _table(block: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    columns = [
        pa.nulls(len(column), field.type) if pa.types.is_null(column.type) else column.cast(field.type)
        for column, field in zip(block.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema)


def _header_of(given: InputFile) -> Header:
    """The first row of a file, which names its columns; no columns if there is none."""
    with decompressed(given.open(), given.name) as source:
        start = source.read(_HEADER_BYTES)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise not_utf8(given.name, "utf-16")
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # which may end within a character
    except UnicodeDecodeError as error:
        raise not_utf8(given.name) from error
    mark = len(_MARK.encode()) if text.startswith(_MARK) else 0
    lines = _Counted(io.StringIO(text.removeprefix(_MARK), newline=""))
    delimiter = _delimiter_of(given.name, text)
    try:
        names = next(filter(None, csv.reader(lines, delimiter=delimiter, strict=True)), [])
    except csv.Error as error:
        raise ConfigError(f"{given.name}: its first row is no header ({error})", key="INPUT", hint="mend it") from error
    _require_names(given.name, names)
    return Header(tuple(names), delimiter, mark + lines.bytes)


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
