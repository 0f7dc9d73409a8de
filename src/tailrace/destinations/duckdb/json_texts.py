"""JSON in Arrow's own type for it, which DuckDB takes as it is: what isn't JSON there makes later queries fail."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from tailrace import compute as pc
from tailrace.native import native

_SURROGATE = r"\\u[dD][89a-fA-F]"
"""An escape of a surrogate. One that is half a character isn't JSON to DuckDB."""


def known_json(rows: pa.Table) -> Collection[str]:
    """The columns whose values are known to be JSON."""
    return {field.name for field in rows.schema if isinstance(field.type, pa.JsonType)}


def without_doubtful_json(rows: pa.Table) -> pa.Table:
    """The rows, with columns of JSON as plain texts again where DuckDB has to look at them."""
    for name in known_json(rows):
        place = rows.schema.get_field_index(name)
        texts = pa.chunked_array([chunk.storage for chunk in rows.column(place).chunks], pa.string())
        if _has_surrogates(texts):
            rows = rows.set_column(place, name, texts)
    return rows


def _has_surrogates(texts: pa.ChunkedArray) -> bool:
    found = native("has_surrogates")
    if found is None:
        return bool(pc.any(pc.match_substring_regex(texts, _SURROGATE)).as_py())
    return any(found(pa.record_batch([chunk], names=["texts"])) for chunk in texts.chunks)
