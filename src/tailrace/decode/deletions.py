"""The deletions that records ask for under hard_delete, whatever the schema says of the fields that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import pyarrow as pa

from tailrace import compute as pc
from tailrace.decode.layout import RecordLayout
from tailrace.model import Growth

Arrays = Mapping[str, pa.Array]
"""Columns by name."""


def growth_for(layout: RecordLayout, arrays: Arrays, lines: pa.Array) -> Growth | None:
    """The column that the stream has to grow by: records ask for deletions, and it has none that takes them."""
    if layout.deletion is not None or all(_is_empty(arrays[mark.name]) for mark in layout.marks):
        return None
    marked = reduce(pc.or_, (pc.is_valid(arrays[mark.name]) for mark in layout.marks))
    return Growth({}, deletable=True, line=lines[pc.index(marked, True).as_py()].as_py())


def with_marks(layout: RecordLayout, arrays: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The columns, that of deletions filled from the marks too."""
    marks = [arrays[mark.name] for mark in layout.marks if not _is_empty(arrays[mark.name])]
    if not marks or layout.deletion is None:
        return arrays
    return arrays | {layout.deletion.name: pc.coalesce(arrays[layout.deletion.name], *marks)}


def _is_empty(values: pa.Array) -> bool:
    return bool(values.null_count == len(values))
