"""Text with the character NUL, for databases that have none."""

from __future__ import annotations

import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE


def without_nul(rows: pa.Table, database: str, *, strips: bool) -> pa.Table:
    """The rows with NUL left out of text; RowsRefusedError for those that have one, unless it is to be stripped."""
    reasons: dict[int, str] = {}
    for place, name in enumerate(rows.column_names):
        if not pa.types.is_string(rows.schema.field(place).type):
            continue
        has_nul = pc.match_substring(rows[name], "\0")
        if not pc.any(has_nul).as_py():
            continue
        if strips:
            rows = rows.set_column(place, name, pc.replace_substring(rows[name], "\0", ""))
        else:
            reason = f"column {name!r}: {database} has no NUL in text (`nul: strip` drops it)"
            reasons |= dict.fromkeys(rows[LINE].filter(has_nul).to_pylist(), reason)
    if reasons:
        raise RowsRefusedError(f"{database} has no NUL in text, and {len(reasons)} rows have one", reasons)
    return rows
