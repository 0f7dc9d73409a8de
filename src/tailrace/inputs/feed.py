"""Feeding inputs: one after the other, or several at once by workers; they count in their order all the same."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
from msgspec import Struct, structs

from tailrace.config import Settings
from tailrace.errors import ConfigError, RecordError, TailraceError, Violation
from tailrace.inputs.ahead import ahead
from tailrace.inputs.batches import Batches
from tailrace.inputs.columnar import arrow_tables, parquet_tables
from tailrace.inputs.formats import Format, format_of, name_of
from tailrace.inputs.jsonl import inferred_schema, record_blocks
from tailrace.inputs.loaded import LoadedFiles
from tailrace.inputs.places import InputFile
from tailrace.log import get_logger
from tailrace.model import Refused
from tailrace.parallel.driver import opened_inputs
from tailrace.parallel.executors import Executor, executor_of
from tailrace.parallel.positions import base_of, input_and_line
from tailrace.parallel.start import schemas_at_start
from tailrace.parallel.task import Left
from tailrace.runtime.adoption import StagedInput
from tailrace.runtime.feed import Parser, committing_what_has_a_state, read_chunks
from tailrace.runtime.report import Report
from tailrace.runtime.target import Target
from tailrace.schema.arrow import columns_of_arrow
from tailrace.singer.messages import Block
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, decompressed
from tailrace.singer.states import NO_STATES, PassedState, StateMessages

if TYPE_CHECKING:
    from tailrace.inputs.csv import Columns
    from tailrace.inputs.csv_blocks import RaggedRow

_log = get_logger("inputs")
_ROWS_AT_ONCE = 50_000
_SHOWN = 80


class Rows(Struct, frozen=True):
    """What files of rows are: the stream (else the file's own name), its key, and their format (else what they say)."""

    stream: str | None = None
    key: tuple[str, ...] = ()
    format: Format | None = None


class _Messages:
    """A reader's blocks, with their states or without; the last one is remembered."""

    def __init__(self, reader: Parser, has_states: bool) -> None:  # noqa: FBT001 private
        self.last_state: bytes | None = None
        self._reader = reader
        self._has_states = has_states

    def feed(self, chunk: bytes) -> Iterator[Block]:
        return map(self._seen, self._reader.feed(chunk))

    def finish(self) -> Iterator[Block]:
        return map(self._seen, self._reader.finish())

    def _seen(self, block: Block) -> Block:
        if len(block.states):
            self.last_state = block.states[-1].value
        return block if self._has_states else structs.replace(block, states=NO_STATES)


class InputFeed:
    """Feeds inputs into a target, whose tables are then as if the inputs were one.

    Checkpoints end where a STATE stands, and between inputs that workers have staged. What only a run in order can do
    with an input is done here, in its turn. Workers are the executor's, which is closed behind the last input, or else
    those of `settings.parallel`. With `loaded`, files that are loaded are left out, and states say which those are
    after each file.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        inputs: Sequence[InputFile],
        *,
        stopping: threading.Event,
        rows: Rows | None = None,
        loaded: LoadedFiles | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._target = target
        self._settings = settings
        self._inputs = [each for each in inputs if loaded is None or not loaded.has(each)]
        self._stopping = stopping
        self._rows = rows or Rows()
        self._loaded = loaded
        self._executor = executor
        self._pump: ChunkPump | None = None
        self._at = 0
        self._given = len(inputs)
        self._last_state: bytes | None = None
        self._refused: deque[Refused] = deque()
        self._columns: dict[str, Columns | None] = {}
        self._batches = Batches(target, settings)

    @property
    def share(self) -> float | None:
        """How much of the inputs is read, by their bytes, from 0 to 1."""
        total = sum(each.size for each in self._inputs)
        begun = self._inputs[self._at].size if self._at < len(self._inputs) else 0
        within = (self._pump.share or 0.0) * begun if self._pump else 0.0
        return (sum(each.size for each in self._inputs[: self._at]) + within) / total if total else None

    def run(self) -> Report:
        """The report of a run over all inputs."""
        with self._naming_input(), committing_what_has_a_state(self._target):
            if len(self._inputs) < self._given:
                _log.info("files are loaded already, and left out", files=self._given - len(self._inputs))
            if not self._inputs:
                return self._target.report()
            workers = self._executor or self._workers()
            is_whole = self._read_by_workers(workers) if workers else self._read_all()
            return self._target.end() if is_whole else self._target.stop()

    def _workers(self) -> Executor | None:
        """The workers that the settings ask for, where files may be Singer messages."""
        parallel = self._settings.parallel if self._rows.format in {None, Format.SINGER} else None
        return executor_of(parallel) if parallel else None

    def _read_all(self) -> bool:
        return all(self._read(number, given) for number, given in enumerate(self._inputs, start=1))

    def _read_by_workers(self, executor: Executor) -> bool:
        with opened_inputs(self._target, self._settings, executor) as workers:
            workers.plan(schemas_at_start(self._inputs[0], self._settings.max_line_bytes))
            for number, result in workers.staged(self._inputs):
                given = self._inputs[number - 1]
                if self._stopping.is_set():
                    return False
                if isinstance(result, Left):
                    _log.debug("an input is read in order", input=given.name, since=result.reason)
                elif workers.adopt(self._remembering(given, result)):
                    self._at = number
                    continue
                if not self._read(number, given):
                    return False
                workers.plan(())
        return True

    def _read(self, number: int, given: InputFile) -> bool:
        """Read an input in this process; whether all of it was read."""
        self._at = number - 1
        before = base_of(number) if len(self._inputs) > 1 else 0
        format_ = self._format_of(given)
        match format_:
            case Format.SINGER:
                is_whole = self._read_messages(given, before)
            case Format.JSONL:
                is_whole = self._read_records(given, before)
            case _:
                is_whole = self._read_tables(given, format_, before)
        self._at = number
        if is_whole and self._loaded is not None:
            state = self._loaded.add(given, self._last_state)
            line = max(self._target.line, before + 1)
            self._target.accept(Block([], StateMessages.of([PassedState(line, state)])))
        self._last_state = None
        return is_whole

    def _remembering(self, given: InputFile, staged: StagedInput) -> StagedInput:
        """A staged input, whose end makes true that it is loaded where that is remembered."""
        return structs.replace(staged, state=self._loaded.add(given, staged.state)) if self._loaded else staged

    def _read_messages(self, given: InputFile, before: int) -> bool:
        parser = self._batches.reading(Reader(max_line_bytes=self._settings.max_line_bytes, before=before))
        reader = _Messages(parser, self._loaded is None)
        with decompressed(given.open(), given.name, given.size) as source, ChunkPump(source) as self._pump:
            is_whole = read_chunks(self._target, reader, self._pump, self._stopping)
        self._pump = None
        self._last_state = reader.last_state
        return is_whole

    def _read_records(self, given: InputFile, before: int) -> bool:
        stream = self._stream_of(given)
        found = inferred_schema(given, stream, before, self._settings, self._target.destination.traits)
        schema = structs.replace(found, line=before, key_properties=self._rows.key)
        self._target.accept(Block([schema], NO_STATES))
        for block in record_blocks(given, stream, before, self._settings.max_line_bytes):
            if self._stopping.is_set():
                return False
            self._target.accept(Block([block], NO_STATES))
        return True

    def _read_tables(self, given: InputFile, format_: Format, before: int) -> bool:
        stream = self._stream_of(given)
        columns, last = None, before
        for table in ahead(self._tables(given, format_, stream, before)):
            if self._stopping.is_set():
                return False
            if columns is None:
                columns = columns_of_arrow(table.schema, stream)
                self._require_key(given, table.schema.names)
                self._target.count_from(before + (format_ is Format.CSV))
                self._target.open_stream(stream, columns, self._rows.key)
            last = max(last, self._refuse_found(stream))
            for start in range(0, table.num_rows, _ROWS_AT_ONCE):
                self._target.accept_rows(stream, table.slice(start, _ROWS_AT_ONCE))
        self._target.count_from(max(self._target.line, last, self._refuse_found(stream)))
        return True

    def _tables(self, given: InputFile, format_: Format, stream: str, before: int) -> Iterator[pa.Table]:
        if format_ is Format.PARQUET:
            return parquet_tables(given)
        if format_ is Format.ARROW:
            return arrow_tables(given)
        from tailrace.inputs.csv import csv_tables, csv_tables_as  # noqa: PLC0415 who reads no CSV needs nothing of it

        def refuse(row: RaggedRow) -> None:
            self._refuse(row, stream, before)

        columns = self._columns_of(stream)
        return csv_tables(given, refuse) if columns is None else csv_tables_as(given, refuse, columns)

    def _columns_of(self, stream: str) -> Columns | None:
        """What the columns of a stream are over all of its CSV files, where it has several."""
        from tailrace.inputs.csv import look_at  # noqa: PLC0415 as above

        if stream not in self._columns:
            files = [each for each in self._inputs if self._stream_of(each) == stream]
            if len(files) > 1:
                files = [each for each in files if self._format_of(each) is Format.CSV]
            found: Columns = {}
            for each in files if len(files) > 1 else ():
                look_at(each, found)
            self._columns[stream] = found or None
        return self._columns[stream]

    def _stream_of(self, given: InputFile) -> str:
        return self._rows.stream or name_of(given)

    def _format_of(self, given: InputFile) -> Format:
        return self._rows.format or format_of(given)

    def _refuse_found(self, stream: str) -> int:
        """Refuse the rows that were found to be none; the last line of them."""
        refused: list[Refused] = []
        while self._refused:
            refused.append(self._refused.popleft())
        self._target.refuse(stream, refused)
        return max((each.line for each in refused), default=0)

    def _refuse(self, row: RaggedRow, stream: str, before: int) -> None:
        """Remember a row to be refused, which the header is a line before; or end the run at once."""
        got = f"{len(row.cells)}: {row.text}"[:_SHOWN]
        violation = Violation("keyword", "$", f"{len(row.columns)} cells, as the header has", got)
        line = before + 1 + (row.number or 0)
        if self._settings.on_invalid == "fail":
            raise RecordError(stream, before + row.line(), [violation])
        record = dict(zip(row.columns, row.cells, strict=False))
        raw = msgspec.json.encode({"type": "RECORD", "stream": stream, "record": record})
        self._refused.append(Refused(stream, line, raw, (violation,)))

    def _require_key(self, given: InputFile, names: Iterable[str]) -> None:
        missing = [name for name in self._rows.key if name not in {*names}]
        if missing:
            raise ConfigError(
                f"{given.name} has no column {missing[0]!r}", key="--key", hint=f"it has {', '.join(names)}"
            )

    @contextmanager
    def _naming_input(self) -> Iterator[None]:
        """Have an error about a line say of which input it is."""
        try:
            yield
        except TailraceError as error:
            line: int = getattr(error, "line", None) or 0
            file, true_line = self._batches.origin_of(line) or (None, line)
            said = line if f"line {line}" in str(error) else true_line
            number, at = input_and_line(true_line)
            if file is not None:
                error.add_note(f"line {said} is record {true_line} of {file}")
            elif 0 < number <= len(self._inputs):
                error.add_note(f"line {said} is line {at} of {self._inputs[number - 1].name}")
            elif said != true_line:
                error.add_note(f"line {said} is line {true_line} of {self._inputs[0].name}")
            raise
