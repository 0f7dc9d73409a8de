"""NaN and infinity, for databases that have no such numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE


def refuse_infinite(rows: pa.Table, columns: Sequence[str], database: str) -> None:
    """Raise RowsRefusedError for rows with NaN or infinity in one of these columns; `database` is its name."""
    reasons: dict[int, str] = {}
    for name in columns:
        if pa.types.is_floating(rows.schema.field(name).type):
            lines = rows[LINE].filter(pc.invert(pc.is_finite(rows[name]))).to_pylist()
            reasons |= dict.fromkeys(lines, f"column {name!r}: {database} has no NaN and no infinity")
    if reasons:
        raise RowsRefusedError(f"{database} has no NaN and no infinity, and {len(reasons)} rows have one", reasons)
