"""Rows as files of Parquet that a warehouse loads, whose columns are named by their places."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


def placed(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The columns of the rows, named by their places: `c0`, `c1`..."""
    return rows.select([*columns]).rename_columns([f"c{place}" for place in range(len(columns))])


def parquet_of(rows: pa.Table) -> io.BytesIO:
    """The file, without statistics: it is read whole, and once."""
    file = io.BytesIO()
    pq.write_table(rows, file, compression="zstd", coerce_timestamps="us", write_statistics=False)
    file.seek(0)
    return file
