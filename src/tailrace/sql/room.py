"""How much memory a columnar database within this process needs for rows, however little it is to take."""

from __future__ import annotations

import pyarrow as pa

_BASE_BYTES = 128 * 2**20
_BLOCK_BYTES = 256 * 2**10
_BLOCKS = 2
_COPIES = 3


def needed_bytes(rows: pa.Table) -> int:
    """Bytes for rows like these to be merged: blocks of each column stay in memory, and so do copies of a value."""
    return _BASE_BYTES + int(rows.num_columns) * _BLOCKS * _BLOCK_BYTES + _COPIES * int(rows.nbytes)
