"""Rows of columns as RECORD lines of a stream, for what only the decoder of records can judge."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import ConfigError
from tailrace.model import Column, Kind, RecordBlock, Stream
from tailrace.schema.texts import JSON_TEXTS
from tailrace.singer.writer import record_line

_ROWS = 8_192
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
_SAME: Mapping[Kind, frozenset[pa.DataType]] = {
    Kind.BOOL: frozenset({pa.bool_()}),
    Kind.INT: frozenset({pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()}),
    Kind.FLOAT: frozenset({pa.float64()}),
    Kind.TEXT: frozenset({pa.string(), pa.large_string()}),
    Kind.DATE: frozenset({pa.date32()}),
    Kind.TIME: frozenset({pa.time64("us")}),
    Kind.TIMESTAMP: frozenset({pa.timestamp("ms"), pa.timestamp("us")}),
    Kind.TIMESTAMPTZ: frozenset({pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC")}),
    Kind.BINARY: frozenset({pa.binary(), pa.large_binary()}),
}
"""The Arrow types whose values are those of the kind as they stand."""
_PLAIN: Mapping[pa.DataType, Kind] = {
    of: kind for kind, types in _SAME.items() for of in types if kind in {Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.DATE}
} | {pa.string(): Kind.TEXT}
"""The Arrow types whose values Arrow writes as JSON does, and the kinds by which it does."""


def is_sure(table: pa.Table, stream: Stream) -> bool:
    """Whether all rows of a table, named by fields, are the stream's as they stand: no schema could refuse one."""
    columns = {column.path[0]: column for column in stream.columns if len(column.path) == 1}
    if stream.validation == "full" or any(len(column.path) > 1 for column in stream.columns):
        return False
    if len({*table.column_names}) < len(table.column_names):
        return False
    needed = {name for name, column in columns.items() if column.required or column.name in stream.key}
    if not needed <= {*table.column_names}:
        return False
    return all(
        name in columns
        and not name.startswith(("_sdc_", "_mage_"))
        and _is_sure(table[name], columns[name], is_key=columns[name].name in stream.key)
        for name in table.column_names
    )


def _is_sure(values: pa.ChunkedArray, column: Column, *, is_key: bool) -> bool:
    if values.null_count and (is_key or not column.nullable):
        return False
    if column.kind is Kind.DECIMAL:
        return bool(values.type == column.arrow)
    if column.kind is Kind.FLOAT and not pc.all(pc.is_finite(values), min_count=0).as_py():
        return False
    return values.type in _SAME.get(column.kind, frozenset())


def record_blocks_of(
    table: pa.Table, stream: str, plan: Stream | None, before: int, version: int | None = None
) -> Iterator[RecordBlock]:
    """The rows of a table as RECORD lines, counted from behind `before`.

    A null is left out where the plan's column takes none: files of columns can't say that a field is missing. Numbers
    that JSON hasn't become texts. Raises ConfigError for values that no JSON can say.
    """
    columns = {column.path[0]: column for column in plan.columns if len(column.path) == 1} if plan else {}
    omitted = {name for name, column in columns.items() if not column.nullable}
    for start in range(0, table.num_rows, _ROWS):
        some = table.slice(start, _ROWS)
        written = pa.table({name: _texts(some[name], name, columns.get(name)) for name in some.column_names})
        if version is None and _is_plain(written, omitted):
            lines = _joined(written, stream)
        else:
            rows = _python(written)
            lines = b"".join(record_line(stream, _record(row, omitted), version=version) for row in rows)
        yield RecordBlock.of(stream, lines, (before + start + 1, some.num_rows))


def _is_plain(table: pa.Table, omitted: set[str]) -> bool:
    """Whether each value is one that Arrow writes as JSON does, and none is left out."""
    return bool(table.num_columns) and all(
        values.type in _PLAIN
        and not (values.null_count and name in omitted)
        and (values.type != pa.float64() or pc.all(pc.is_finite(values), min_count=0).as_py())
        for name, values in zip(table.column_names, table.columns, strict=True)
    )


def _joined(table: pa.Table, stream: str) -> bytes:
    """RECORD lines of plain values, made by columns."""
    parts: list[Any] = []
    before = f'{{"type":"RECORD","stream":{_quoted(stream)},"record":{{'
    for name, values in zip(table.column_names, table.columns, strict=True):
        texts = _numbers(values) if values.type == pa.float64() else JSON_TEXTS[_PLAIN[values.type]](values)
        parts += [f"{before}{_quoted(name)}:", pc.fill_null(texts, "null")]
        before = ","
    lines = pc.binary_join_element_wise(*parts, "}}\n", "")
    return "".join(lines.to_pylist()).encode()


def _numbers(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Finite floats as JSON has them: 3.0 stays a fraction, which Arrow would write as an integer."""
    return pa.chunked_array([[None if each is None else repr(each) for each in values.to_pylist()]], pa.string())


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _python(table: pa.Table) -> list[dict[str, Any]]:
    """The rows with values that JSON can say."""
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    for name in (name for name in table.column_names if _is_json(table[name].type)):
        for row in rows:
            row[name] = None if row[name] is None else msgspec.Raw(_json(row[name]))
    return rows


def _is_json(of: pa.DataType) -> bool:
    return isinstance(of, pa.BaseExtensionType) and of.extension_name == "arrow.json"


def _json(text: str) -> bytes:
    """The text, which is JSON; raises ValueError otherwise."""
    msgspec.json.decode(text, type=msgspec.Raw)
    return text.encode()


def _texts(values: pa.ChunkedArray, name: str, column: Column | None) -> pa.ChunkedArray:
    """The values, those of times as texts of all their digits, and bytes as the column's schema says."""
    of = values.type
    if pa.types.is_dictionary(of):
        return _texts(values.cast(of.value_type), name, column)
    if pa.types.is_timestamp(of):
        utc = values if of.tz is None else values.cast(pa.timestamp(of.unit, "UTC"))
        return pc.replace_substring(utc.cast(pa.string()), pattern=" ", replacement="T")
    if pa.types.is_time(of):
        return values.cast(pa.string())
    if any(is_of(of) for is_of in _BYTES):
        if column is not None and column.kind is not Kind.BINARY:
            raise ConfigError(f"column {name!r} holds bytes, and the stream's is {column.spelling}")
        encode = base64.b16encode if column is not None and column.encoding == "base16" else base64.b64encode
        return pa.chunked_array(
            [[None if each is None else encode(each).decode() for each in values.to_pylist()]], pa.string()
        )
    return values


def _record(row: Mapping[str, Any], omitted: set[str]) -> dict[str, Any]:
    return {name: _finite(value) for name, value in row.items() if value is not None or name not in omitted}


def _finite(value: Any) -> Any:
    """The value, with its infinities and NaN as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [*map(_finite, value)]
    return {key: _finite(item) for key, item in value.items()} if isinstance(value, dict) else value
