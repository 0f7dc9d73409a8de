"""Values that a table's types don't hold, found before they are sent: for databases that can't say which they were."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import RowsRefusedError
from tailrace.model import LINE
from tailrace.schema.evolve import TableColumn

_BYTES = re.compile(r"(?:character varying|varchar|character|char|binary varying|varbyte)\((\d+)\)", re.IGNORECASE)
_RANGES = {"smallint": 2**15, "integer": 2**31}


def refuse_beyond_limits(rows: pa.Table, columns: Mapping[str, TableColumn], *, max_row_bytes: int) -> None:
    """Raise RowsRefusedError for rows with a null, a length in bytes or a number that their column doesn't hold.

    `max_row_bytes` is the most that the texts of a row may have together.
    """
    reasons: dict[int, str] = {}
    total = pa.chunked_array([pa.array([0] * rows.num_rows, pa.int64())])
    for name, column in columns.items():
        values = rows[name]
        if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
            total = pc.add(total, pc.fill_null(pc.binary_length(values), 0))
        for is_beyond, reason in _checks(values, column):
            lines = rows[LINE].filter(is_beyond, null_selection_behavior="drop").to_pylist()
            reasons |= dict.fromkeys(lines, f"column {name!r}: {reason}")
    lines = rows[LINE].filter(pc.greater(total, max_row_bytes)).to_pylist()
    reasons |= dict.fromkeys(lines, f"its texts have more than {max_row_bytes:,} bytes together")
    if reasons:
        raise RowsRefusedError(f"the table doesn't hold {len(reasons)} rows", reasons)


def _checks(values: pa.ChunkedArray, column: TableColumn) -> list[tuple[pa.ChunkedArray, str]]:
    """What is true of values that the column doesn't hold, each with a reason for people."""
    checks: list[tuple[pa.ChunkedArray, str]] = []
    if not column.nullable:
        checks.append((pc.is_null(values), "it can't be null"))
    if match := _BYTES.fullmatch(column.sql_type):
        checks.append((pc.greater(pc.binary_length(values), int(match[1])), f"it holds {int(match[1]):,} bytes"))
    if column.sql_type in _RANGES:
        end = _RANGES[column.sql_type]
        is_beyond = pc.or_(pc.greater_equal(values, end), pc.less(values, -end))
        checks.append((is_beyond, f"a {column.sql_type} doesn't hold it"))
    return checks
