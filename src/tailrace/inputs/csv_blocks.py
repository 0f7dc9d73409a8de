"""The rows of a CSV file, block by block: natively up to the first quote, and by Arrow's reader from there on."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import Any, BinaryIO

import pyarrow as pa
from msgspec import Struct

from tailrace.errors import ConfigError
from tailrace.inputs.places import InputFile
from tailrace.native import native
from tailrace.singer.source import decompressed

_READ_BYTES = 2**20
_PIECE_BYTES = 4 * 2**20
_LONGEST_LINE_BYTES = 16 * 2**20
_BLOCK_BYTES = 4 * 2**20
_AHEAD = 3
"""Blocks that are read natively at once, or wait for those before."""

Refuse = Callable[["RaggedRow"], None]
"""Takes a row that hasn't as many cells as there are columns; raises to end the reading."""


class RaggedRow(Struct, frozen=True):
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


class Header(Struct, frozen=True):
    """How a file begins: its columns, what parts its cells, and the bytes that this takes."""

    names: tuple[str, ...]
    delimiter: str
    bytes: int


def csv_blocks(
    given: InputFile, header: Header, refuse: Refuse, forms: Callable[[], bytes], threads: Executor
) -> Iterator[pa.RecordBatch]:
    """The rows behind the header, block by block, in columns of texts.

    `forms` has a letter for each column, by which a block may have values instead where all of its texts are written as
    such always are: i for integers, d for days, t and z for times in no zone and in UTC. Raises ConfigError for what
    isn't CSV.
    """
    failures: list[Exception] = []
    with decompressed(given.open(), given.name) as source, _as_config_error(given.name, failures):
        _skip(source, header.bytes)
        pieces, rows = _pieces(source), 0
        if columns := native("csv_columns"):
            of_header = partial(columns, delimiter=ord(header.delimiter), names=header.names)
            reading = _Reading(pieces, of_header, forms, threads)
            for block in reading.blocks():
                rows += block.num_rows
                yield block
            pieces = reading.left
        if (first := next(pieces, None)) is not None:
            bytes_ = (piece.data for piece in chain([first], pieces))
            yield from _by_arrow(given, header, bytes_, _refusing(given, header, refuse, rows, failures))


class _Piece(Struct, frozen=True):
    """Bytes of a file; `is_whole` says that they end where a line does, unless that is within quotes."""

    data: bytes
    is_whole: bool


def _pieces(source: BinaryIO) -> Iterator[_Piece]:
    """What is left of a source, in whole lines as long as these are no longer than anybody's."""
    kept: list[bytes] = []
    while data := source.read(_READ_BYTES):
        kept.append(data)
        size = sum(map(len, kept))
        end = data.rfind(b"\n") + 1
        if size >= _PIECE_BYTES and end:
            yield _Piece(b"".join([*kept[:-1], data[:end]]), is_whole=True)
            kept = [data[end:]]
        elif size >= _LONGEST_LINE_BYTES:
            yield _Piece(b"".join(kept), is_whole=False)
            kept = []
    if any(kept):
        yield _Piece(b"".join(kept), is_whole=True)


class _Reading:
    """Reads pieces natively, several at once, as long as that can be; the others are `left` then."""

    def __init__(
        self, pieces: Iterator[_Piece], columns: Callable[..., Any], forms: Callable[[], bytes], threads: Executor
    ) -> None:
        self.left = pieces
        self._columns = columns
        self._forms = forms
        self._threads = threads

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The rows, in their order."""
        pieces, waiting = self.left, deque[tuple[_Piece, Future[pa.RecordBatch | None]]]()
        while True:
            for piece in islice(pieces, _AHEAD - len(waiting)):
                waiting.append((piece, self._threads.submit(self._block, piece, self._forms())))
            if not waiting:
                return
            piece, read = waiting.popleft()
            if (block := read.result()) is None:
                self.left = chain([piece], [other for other, _ in waiting], pieces)
                return
            yield block

    def _block(self, piece: _Piece, forms: bytes) -> pa.RecordBatch | None:
        """The rows of a piece; None where Arrow's reader is to say what they are."""
        if not piece.is_whole:
            return None
        found = self._columns(piece.data, forms=forms)
        return None if found is None else pa.record_batch(found)


def _refusing(
    given: InputFile, header: Header, refuse: Refuse, before: int, failures: list[Exception]
) -> Callable[[Any], str]:
    """What Arrow's reader asks about a row of other cells than columns, behind so many rows that it doesn't see."""

    def ragged(row: Any) -> str:
        number = None if row.number is None else before + row.number
        try:
            refuse(RaggedRow(given, number, header.names, row.text, header.delimiter))
        except Exception as error:  # noqa: BLE001 it is raised behind Arrow's reader, which can't pass it on
            failures.append(error)
            return "error"
        return "skip"

    return ragged


def _by_arrow(
    given: InputFile, header: Header, pieces: Iterator[bytes], ragged: Callable[[Any], str]
) -> Iterator[pa.RecordBatch]:
    """The rows as Arrow's reader sees them, in columns of texts."""
    from pyarrow import csv as reading  # noqa: PLC0415 who reads no CSV needs nothing of it

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
    counted = _Quoted(pieces)
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
            raise not_utf8(name) from error
        raise ConfigError(f"{name} isn't CSV", key="INPUT", hint="see that its rows and quotes end") from error


def not_utf8(name: str, encoding: str = "latin1") -> ConfigError:
    """What is said of a file in another encoding."""
    hint = f"convert it, as with `iconv -f {encoding} -t utf-8`"
    return ConfigError(f"{name} isn't UTF-8 text", key="INPUT", hint=hint)


class _Quoted(io.RawIOBase):
    """Pieces as a source whose quotes are counted, since one that nothing ends takes in all that is behind it.

    Those within a cell that doesn't begin with one are text, so that an odd number says nothing yet.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.quotes = 0
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill all of the buffer: rows mustn't be longer than what Arrow reads at once."""
        filled = 0
        while filled < len(buffer) and (self._rest or self._take()):
            size = min(len(buffer) - filled, len(self._rest))
            buffer[filled : filled + size] = self._rest[:size]
            self._rest = self._rest[size:]
            filled += size
        return filled

    def _take(self) -> bool:
        """Take the next piece; whether there is one."""
        piece = next(self._pieces, b"")
        self.quotes += piece.count(b'"')
        self._rest = memoryview(piece)
        return bool(piece)
