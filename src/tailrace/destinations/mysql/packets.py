"""How many bytes rows take in a statement, and how many of them go into one."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tailrace import compute as pc

_VALUE_BYTES = 64
"""What a value takes at most that is neither text nor bytes, and what either takes besides its own bytes."""


def row_bytes(rows: pa.Table) -> list[int]:
    """What each row takes at most."""
    sizes = pa.chunked_array([pa.repeat(pa.scalar(_VALUE_BYTES * rows.num_columns, pa.int64()), rows.num_rows)])
    for column in rows.columns:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            sizes = pc.add(sizes, pc.fill_null(pc.binary_length(column).cast(pa.int64()), 0))
    return [int(size) for size in sizes.to_pylist()]


def longer(sizes: list[int], lines: pa.ChunkedArray, room: int) -> dict[int, int]:
    """The sizes of the rows that are longer, by their lines."""
    return {line: size for line, size in zip(lines.to_pylist(), sizes, strict=True) if size > room}


def parts(sizes: list[int], room: int, most: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each statement; none of the rows is longer than that."""
    start = taken = 0
    for place, size in enumerate(sizes):
        if place > start and (taken + size > room or place - start == most):
            yield start, place - start
            start, taken = place, 0
        taken += size
    if sizes:
        yield start, len(sizes) - start
