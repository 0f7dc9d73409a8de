"""A part of what a warehouse's client does: `uploading.py PART WAREHOUSE INPUT ADDRESS` does it with the input's rows.

Its seconds on the clock and on the processor and the rows are printed on stderr. A load's clock runs from the moment at
which the table is made until all files are uploaded and the commit is about to begin.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from contenders import decoded

from tailrace import load
from tailrace.config import Settings
from tailrace.destinations import open_destination
from tailrace.sql.parquet import parquet_of, placed

Encode = Callable[[pa.Table, Sequence[str]], Any]


def by_places(rows: pa.Table, columns: Sequence[str]) -> Any:
    """A file of Parquet, as both have it."""
    return parquet_of(placed(rows, columns))


ENCODERS: Mapping[str, Encode] = {"bigquery": by_places, "snowflake": by_places}
"""By warehouse: what makes a file of rows."""


def batches_of(source: Path) -> Iterator[pa.Table]:
    """The rows as batches, as a load at default settings has them."""
    size, waiting = Settings().batch_rows, pa.table({})
    for found in decoded(source):
        waiting = pa.concat_tables([waiting, found.rows]) if waiting.num_columns else found.rows
        while waiting.num_rows >= size:
            yield waiting.slice(0, size)
            waiting = waiting.slice(size)
    if waiting.num_rows:
        yield waiting


def uploaded(_: str, source: Path, address: str) -> tuple[float, float, int]:
    """From lines to files that are uploaded; the rows are those that the warehouse then has."""
    destination = open_destination(address, {})
    prepare, commit = destination.prepare, destination.commit
    times: list[tuple[float, float]] = []

    def prepared(stream: Any) -> None:
        prepare(stream)
        times.append((time.perf_counter(), time.process_time()))

    def committed(checkpoint: Any) -> Any:
        times.append((time.perf_counter(), time.process_time()))
        return commit(checkpoint)

    destination.prepare, destination.commit = prepared, committed
    report = load(source, destination, checkpoint_rows=sys.maxsize, checkpoint_bytes=sys.maxsize)
    (started_s, on_processor_s), (ended_s, processed_s) = times[0], times[-1]
    return ended_s - started_s, processed_s - on_processor_s, report.total.loaded


def made(warehouse: str, source: Path, _: str) -> tuple[float, float, int]:
    """From lines to files in memory, in one thread."""
    return _encoded(warehouse, batches_of(source))


def encoded(warehouse: str, source: Path, _: str) -> tuple[float, float, int]:
    """From ready batches to files in memory, in one thread."""
    return _encoded(warehouse, [*batches_of(source)])


def _encoded(warehouse: str, batches: Sequence[pa.Table] | Iterator[pa.Table]) -> tuple[float, float, int]:
    encode, rows = ENCODERS[warehouse], 0
    started_s, on_processor_s = time.perf_counter(), time.process_time()
    for batch in batches:
        encode(batch, batch.column_names)
        rows += batch.num_rows
    return time.perf_counter() - started_s, time.process_time() - on_processor_s, rows


PARTS = {"uploaded": uploaded, "made": made, "encoded": encoded}

if __name__ == "__main__":
    part, warehouse, source, address = sys.argv[1:]
    sys.stderr.write("{} {} {}\n".format(*PARTS[part](warehouse, Path(source), address)))
