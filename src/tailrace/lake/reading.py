"""The rows of a Parquet file, some at a time: never more than a row group, nor more than fit into a few MiB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet

_ROWS, _BYTES = 50_000, 16 * 2**20


def batches_of(file: pa.parquet.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows in the file's order, in all columns or some."""
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        row_bytes = max(1, group.total_byte_size // max(1, group.num_rows))
        yield from file.iter_batches(max(1, min(_ROWS, _BYTES // row_bytes)), row_groups=[number], columns=columns)
