"""A Parquet file's statistics, from its footer, in the form of Delta's log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow.parquet

_MAX_TEXT = 64
_BOUNDED = frozenset({"NONE", "INT", "DATE", "STRING"})
"""Parquet's own types of columns that may have bounds."""


def statistics(metadata: pyarrow.parquet.FileMetaData) -> dict[str, Any]:
    """Rows, nulls, and the least and greatest values of columns of integers, dates and short texts."""
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for index, name, has_bounds in _columns(metadata):
        groups = [metadata.row_group(number).column(index).statistics for number in range(metadata.num_row_groups)]
        if any(group is None or not group.has_null_count for group in groups):
            continue
        nulls[name] = sum(group.null_count for group in groups)
        bounded = [group for group in groups if group.has_min_max]
        if has_bounds and len(bounded) == sum(group.num_values > 0 for group in groups) and bounded:
            low, high = _limits(bounded)
            if _is_exact(low) and _is_exact(high):
                least[name], greatest[name] = _kept(low), _kept(high)
    return {"numRecords": metadata.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}


def _limits(groups: Sequence[Any]) -> tuple[object, object]:
    """The least and the greatest value of all; None for dates that Python doesn't have."""
    try:
        return min(group.min for group in groups), max(group.max for group in groups)
    except OverflowError:
        return None, None


def _columns(metadata: pyarrow.parquet.FileMetaData) -> Iterator[tuple[int, str, bool]]:
    """The columns that aren't nested, with their indexes, and whether their bounds are looked at.

    For a time pyarrow would import pandas.
    """
    schema = metadata.schema
    for index in range(len(schema.names)):
        column = schema.column(index)
        if column.path == column.name and column.max_repetition_level == 0:
            yield index, column.name, column.logical_type.type in _BOUNDED


def _is_exact(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT and value.isascii()
    return type(value) in (int, date)


def _kept(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
