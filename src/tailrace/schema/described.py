"""The JSON Schema of columns that are known without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tailrace.model import Column, Kind

_TYPES: Mapping[Kind, Mapping[str, Any]] = {
    Kind.BOOL: {"type": ["null", "boolean"]},
    Kind.INT: {"type": ["null", "integer"]},
    Kind.FLOAT: {"type": ["null", "number"]},
    Kind.TEXT: {"type": ["null", "string"]},
    Kind.JSON: {},
    Kind.BINARY: {"type": ["null", "string"], "contentEncoding": "base64"},
    Kind.DATE: {"type": ["null", "string"], "format": "date"},
    Kind.TIME: {"type": ["null", "string"], "format": "time"},
    Kind.TIMESTAMP: {"type": ["null", "string"], "format": "date-time"},
    Kind.TIMESTAMPTZ: {"type": ["null", "string"], "format": "date-time"},
    Kind.UUID: {"type": ["null", "string"], "format": "uuid"},
}


def schema_of_columns(columns: Iterable[Column]) -> bytes:
    """A schema whose properties come to columns of the same kinds, named by their fields."""
    properties = {column.path[0]: _property(column) for column in columns if column.path}
    return msgspec.json.encode({"type": "object", "properties": properties})


def _property(column: Column) -> Mapping[str, Any]:
    if column.kind is Kind.DECIMAL:
        return {"type": ["null", "number"], "x-singer.decimal": {"precision": column.precision, "scale": column.scale}}
    return _TYPES[column.kind]
