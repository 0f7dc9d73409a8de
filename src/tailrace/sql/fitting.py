"""A batch's rows as their table takes them, and those that it would change or refuse, found before they are sent."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE, Batch, Kind, TableName
from tailrace.schema.cast import cast_rows
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dialect import Dialect

_JSON = pa.json_(pa.string())


def fitting_rows(dialect: Dialect, batch: Batch, table: TableName, targets: Mapping[str, TableColumn]) -> pa.Table:
    """The batch's rows as their table takes them; RowsRefusedError when it doesn't take some unchanged.

    `targets` says which of the table's columns takes each of the stream's.
    """
    rows, refused = cast_rows(batch.rows, batch.stream, targets)
    if refused:
        raise RowsRefusedError(
            f"stream {batch.stream.name!r}: the table {table} doesn't take {len(refused)} rows unchanged", refused
        )
    refuse_beyond_limits(dialect, rows, {column.name: column for column in targets.values()})
    return _with_known_json(rows, batch, targets) if dialect.knows_arrow_json else rows


def _with_known_json(rows: pa.Table, batch: Batch, targets: Mapping[str, TableColumn]) -> pa.Table:
    """The rows, in which JSON that the decoder has read goes as Arrow's own type for it into columns of JSON."""
    for column in batch.stream.columns:
        target = targets.get(column.name)
        if column.kind is Kind.JSON and target and target.kind is Kind.JSON:
            place = rows.schema.get_field_index(target.name)
            chunks = [pa.ExtensionArray.from_storage(_JSON, chunk) for chunk in rows.column(place).chunks]
            rows = rows.set_column(place, target.name, pa.chunked_array(chunks, _JSON))
    return rows


def refuse_beyond_limits(dialect: Dialect, rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
    """Raise RowsRefusedError for rows with a value that its column, of those by name, would change or refuse."""
    reasons: dict[int, str] = {}
    for name, column in columns.items():
        for limit in dialect.limits:
            if match := limit.match(column.sql_type):
                lines = rows[LINE].filter(limit.is_beyond(rows[name], match), null_selection_behavior="drop")
                reasons |= dict.fromkeys(
                    lines.to_pylist(), f"column {name!r}: {column.sql_type} doesn't hold it unchanged"
                )
    if reasons:
        raise RowsRefusedError(f"the table doesn't hold {len(reasons)} rows unchanged", reasons)


def refuse_null(rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
    """Raise RowsRefusedError for rows with a null where the column, of those by name, can't be null."""
    reasons: dict[int, str] = {}
    for name, column in columns.items():
        if not column.nullable:
            lines = rows[LINE].filter(pc.is_null(rows[name])).to_pylist()
            reasons |= dict.fromkeys(lines, f"column {name!r} can't be null")
    if reasons:
        raise RowsRefusedError(f"{len(reasons)} rows have a null where there can be none", reasons)
