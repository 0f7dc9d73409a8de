"""Contenders that read JSON lines: `contenders.py NAME INPUT OUTPUT REFUSED_EVERY` has one of them read the input.

Its seconds on the clock and on the processor and the records that it has read are printed on stderr. They are those of
a second time: the first brings in the file, the code and the memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq
from rivals.read_json import column_type

from tailrace.config import Settings
from tailrace.decode import Decoder, decoder
from tailrace.decode.layout import RecordLayout
from tailrace.decode.reference import Reference
from tailrace.destinations import traits_of
from tailrace.model import LINE, Clock, Decoded, RecordBlock, Stream
from tailrace.runtime.sink import DECODE_BYTES
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import SchemaMessage
from tailrace.singer.reader import Reader

CHUNK_BYTES = 2**20
GROUP_ROWS = 122_880
"""Rows of a row group of Parquet: DuckDB's own number."""
ZSTD_LEVEL = 3
NOW = datetime.now(UTC)
CLOCK = Clock(NOW, lambda: NOW)

COMMIT = pa.struct(
    {
        "sha": pa.string(),
        "author": pa.struct({"name": pa.string(), "email": pa.string()}),
        "message": pa.string(),
        "distinct": pa.bool_(),
    }
)
NESTED = {
    "actor": pa.struct({"id": pa.int64(), "login": pa.string()}),
    "repo": pa.struct({"id": pa.int64(), "name": pa.string()}),
    "payload": pa.struct({"push_id": pa.int64(), "size": pa.int64(), "commits": pa.list_(COMMIT)}),
    "labels": pa.list_(pa.string()),
}
"""What pyarrow makes of the events' nested fields."""
PYARROW = {
    "string": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "date-time": pa.timestamp("us", "UTC"),
}
POLARS = {"integer": pl.Int64, "boolean": pl.Boolean}
"""What Polars makes of values; of all others, texts: nested values become JSON text."""

Read = Callable[[], int]
"""Reads an input that has been prepared; gives the number of records."""


@dataclass(frozen=True, slots=True)
class Job:
    """The input, and the output if there is one. With `refused_every`, every so-many-th record is refused."""

    source: Path
    output: Path
    refused_every: int = 0

    @property
    def properties(self) -> dict[str, Any]:
        """The properties of the stream, as the file's first message gives them."""
        with self.source.open(encoding="utf-8") as file:
            return json.loads(file.readline())["schema"]["properties"]


def runs_of(source: Path) -> Iterator[tuple[Stream, RecordBlock]]:
    """A file's runs as tailrace reads and collects them, in one thread."""
    settings = Settings()
    streams, reader = Streams(settings, traits_of("duckdb")), Reader(max_line_bytes=settings.max_line_bytes)
    stream: Stream | None = None
    waiting: list[RecordBlock] = []
    with source.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            for message in (message for block in reader.feed(chunk) for message in block.messages):
                if isinstance(message, SchemaMessage):
                    stream = streams.accept(message)
                if isinstance(message, RecordBlock):
                    waiting.append(message)
                if stream and sum(run.size for run in waiting) >= DECODE_BYTES:
                    yield stream, RecordBlock.join(waiting)
                    waiting = []
    if stream and waiting:
        yield stream, RecordBlock.join(waiting)


def decoded(source: Path) -> Iterator[Decoded]:
    """A file's runs, decoded by the fastest installed decoder."""
    of_stream: Decoder | None = None
    for stream, run in runs_of(source):
        of_stream = of_stream or decoder(stream, CLOCK)
        yield of_stream.decode(run)


def tailrace(job: Job) -> Read:
    """The reader and the decoder."""
    return lambda: sum(found.rows.num_rows for found in decoded(job.source))


def alone(job: Job, make: Callable[[Stream, Clock], Decoder] = decoder) -> Read:
    """Only a decoder, on runs that were read before."""
    runs = [(stream, _spoilt(run, job.refused_every)) for stream, run in runs_of(job.source)]
    of_stream = make(runs[0][0], CLOCK)
    return lambda: sum(_records(of_stream.decode(run), run, job.refused_every) for _, run in runs)


def reference(job: Job) -> Read:
    """Only the reference decoder."""
    return alone(job, Reference)


def two_threads(job: Job) -> Read:
    """Only the decoder, in two threads that each decode everything."""
    read = alone(job)
    threads = ThreadPoolExecutor(2)
    return lambda: sum(future.result() for future in [threads.submit(read), threads.submit(read)])


def _spoilt(run: RecordBlock, every: int) -> RecordBlock:
    """The run with a text in place of the first integer in every so-many-th record, so that it is refused."""
    if not every:
        return run
    lines = run.data.splitlines(keepends=True)
    lines[::every] = [line.replace(b'": 2013,', b'": "x",', 1) for line in lines[::every]]
    return replace(run, pieces=(b"".join(lines),))


def _records(found: Decoded, run: RecordBlock, every: int) -> int:
    """How many records were decoded and refused; checks that the refused ones are as many as expected."""
    if len(found.refused) != (-(-run.count // every) if every else 0):
        raise SystemExit(f"{len(found.refused)} of {run.count} records were refused")
    return found.rows.num_rows + len(found.refused)


def tailrace_to_parquet(job: Job) -> Read:
    """The reader, the decoder, and pyarrow's writer."""

    def read() -> int:
        groups = _groups(found.rows.drop_columns([LINE]) for found in decoded(job.source))
        first = next(groups)
        with pq.ParquetWriter(job.output, first.schema, compression="zstd", compression_level=ZSTD_LEVEL) as writer:
            writer.write_table(first)
            for group in groups:
                writer.write_table(group)
        return pq.read_metadata(job.output).num_rows

    return read


def _groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The tables, concatenated into row groups."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(table.num_rows for table in waiting) >= GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _query(job: Job) -> str:
    record = ", ".join(f'"{name}" {column_type(schema)}' for name, schema in job.properties.items())
    columns = f"columns = {{type: 'VARCHAR', record: 'STRUCT({record})'}}"
    return (
        f"SELECT record.* FROM read_json('{job.source}', format = 'newline_delimited', {columns}) WHERE type = 'RECORD'"
    )


def _duckdb(statement: str, count: str) -> int:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(statement)
        return connection.execute(count).fetchall()[0][0]


def read_json(job: Job) -> Read:
    """DuckDB's read_json, into a table in memory."""
    return lambda: _duckdb(f"CREATE TEMPORARY TABLE found AS {_query(job)}", "SELECT count(*) FROM found")


def read_json_to_parquet(job: Job) -> Read:
    """DuckDB's read_json, and its own writer."""
    how = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD_LEVEL}, ROW_GROUP_SIZE {GROUP_ROWS}"
    count = f"SELECT count(*) FROM '{job.output}'"
    return lambda: _duckdb(f"COPY ({_query(job)}) TO '{job.output}' ({how})", count)


def _kind(schema: dict[str, Any]) -> str:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return "date-time" if schema.get("format") == "date-time" else next(kind for kind in kinds if kind != "null")


def pyarrow_json(job: Job) -> Read:
    """The JSON reader of pyarrow, with a schema; it knows no JSON text, and takes nested values apart."""
    record = {name: PYARROW.get(_kind(schema)) or NESTED[name] for name, schema in job.properties.items()}
    schema = pa.schema({"type": pa.string(), "record": pa.struct(record)})
    reading = pj.ReadOptions(use_threads=False, block_size=DECODE_BYTES)
    parsing = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def read() -> int:
        table = pj.read_json(job.source, read_options=reading, parse_options=parsing)
        return table.filter(pc.equal(table["type"], "RECORD")).num_rows

    return read


def polars_ndjson(job: Job) -> Read:
    """Polars, with a schema. Times are read as texts first, since it would take four times as long otherwise."""
    kinds = {name: _kind(schema) for name, schema in job.properties.items()}
    record = pl.Struct({name: POLARS.get(kind, pl.String) for name, kind in kinds.items()})
    times = [name for name, kind in kinds.items() if kind == "date-time"]
    parsed = [pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in times]

    def read() -> int:
        lines = pl.read_ndjson(job.source, schema={"type": pl.String, "record": record})
        return lines.filter(pl.col("type") == "RECORD").select("record").unnest("record").with_columns(parsed).height

    return read


def plan(job: Job) -> Read:
    """No contender: writes the stream's plan for the contenders in Rust."""
    stream, _ = next(runs_of(job.source))
    # Where the native package is hidden, this can't be imported.
    text = import_module("tailrace.decode.native").layout_json(RecordLayout(stream))
    return lambda: job.output.write_text(text, encoding="utf-8")


CONTENDERS: dict[str, Callable[[Job], Read]] = {
    "tailrace": tailrace,
    "alone": alone,
    "reference": reference,
    "two-threads": two_threads,
    "read_json": read_json,
    "pyarrow": pyarrow_json,
    "polars": polars_ndjson,
    "tailrace-parquet": tailrace_to_parquet,
    "read_json-parquet": read_json_to_parquet,
    "plan": plan,
}


def main() -> None:
    """Run one contender on the input, twice."""
    name, source, output, refused_every = sys.argv[1:]
    read = CONTENDERS[name](Job(Path(source), Path(output), int(refused_every)))
    read()
    started_s, on_processor_s = time.perf_counter(), time.process_time()
    records = read()
    sys.stderr.write(f"{time.perf_counter() - started_s} {time.process_time() - on_processor_s} {records}\n")


if __name__ == "__main__":
    main()
