"""Mappings: how each column is indexed, what an index says of its columns, and the columns of indices of others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tailrace.documents.database import Description
from tailrace.model import Kind, Stream
from tailrace.schema.evolve import TableColumn

MARK = "_tailrace"
"""The field of documents that are only ever created: pipeline, checkpoint and version."""

OURS = "tailrace"
"""What a mapping's `_meta` has our description under."""

MAX_NUMBER_DIGITS = 15
"""A double holds decimals of so many digits; those of more are texts."""

_KEYWORD = {"type": "keyword", "ignore_above": 8191}
_TEXT = {"type": "text", "fields": {"keyword": _KEYWORD}}
_STORED = {"type": "object", "enabled": False}
_MARK = {"properties": {"pipeline": _KEYWORD, "checkpoint": {"type": "long"}, "version": {"type": "long"}}}
_MAX_DEPTH = 10

TYPES: dict[Kind, dict[str, Any]] = {
    Kind.BOOL: {"type": "boolean"},
    Kind.INT: {"type": "long"},
    Kind.FLOAT: {"type": "double"},
    Kind.DECIMAL: _KEYWORD,
    Kind.TEXT: _TEXT,
    Kind.JSON: _STORED,
    Kind.BINARY: {"type": "binary"},
    Kind.DATE: {"type": "date"},
    Kind.TIME: _KEYWORD,
    Kind.TIMESTAMP: {"type": "date"},
    Kind.TIMESTAMPTZ: {"type": "date"},
    Kind.UUID: _KEYWORD,
}
"""How each kind is indexed; a DECIMAL of up to 15 digits is a scaled_float, and a text of a key a keyword."""

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("long", "integer", "short", "byte"), Kind.INT),
    **dict.fromkeys(("double", "float", "half_float"), Kind.FLOAT),
    "scaled_float": Kind.DECIMAL,
    "unsigned_long": Kind.DECIMAL,
    "boolean": Kind.BOOL,
    **dict.fromkeys(("keyword", "text", "wildcard", "constant_keyword", "match_only_text"), Kind.TEXT),
    "search_as_you_type": Kind.TEXT,
    **dict.fromkeys(("date", "date_nanos"), Kind.TIMESTAMPTZ),
    "binary": Kind.BINARY,
    **dict.fromkeys(("object", "nested", "flattened", "flat_object"), Kind.JSON),
}
_NUMBERS = frozenset({"long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float"})
_TYPE = re.compile(r"[a-z][a-z0-9_]*")
_SAME = {"flattened": "flat_object", "flat_object": "flattened"}
"""Types that either engine calls something else."""


class _Ours(msgspec.Struct, frozen=True):
    """What the mapping of an index says of its columns."""

    columns: tuple[TableColumn, ...] = ()
    key: tuple[str, ...] | None = None


def is_number(column: TableColumn) -> bool:
    """Whether a DECIMAL is a number in its documents, and not a text."""
    given = _given(column.sql_type)
    if given is not None:
        return given.get("type") in _NUMBERS | {"unsigned_long"}
    return column.precision <= MAX_NUMBER_DIGITS


def property_of(column: TableColumn, *, is_key: bool, engine_lacks: Iterable[str], shape: object = None) -> Any:
    """How a column is indexed. `shape` is the JSON Schema of JSON, if there is one."""
    given = _given(column.sql_type)
    if given is not None:
        name = given.get("type")
        return {**given, "type": _SAME[name]} if name in _SAME and name in engine_lacks else given
    if column.kind is Kind.DECIMAL and 0 < column.precision <= MAX_NUMBER_DIGITS:
        return {"type": "scaled_float", "scaling_factor": 10.0**column.scale}
    if column.kind is Kind.TEXT and is_key:
        return _KEYWORD
    if column.kind is Kind.JSON:
        return _shaped(shape, 0) or _STORED
    return TYPES[column.kind or Kind.TEXT]


def properties_of(
    columns: Iterable[TableColumn], key: Sequence[str], engine_lacks: Iterable[str], stream: Stream | None
) -> dict[str, Any]:
    """How columns are indexed, and the mark of documents that are only created."""
    shapes = _shapes(stream)
    made = {
        column.name: property_of(
            column, is_key=column.name in key, engine_lacks=engine_lacks, shape=shapes.get(column.name)
        )
        for column in columns
    }
    return {**made, MARK: _MARK}


def fields_of(properties: Mapping[str, Any]) -> int:
    """How many fields these are, as an engine counts them for its limit."""
    return sum(
        1 + fields_of(each.get("properties", {})) + fields_of(each.get("fields", {})) for each in properties.values()
    )


def meta_of(description: Description) -> dict[str, Any]:
    """What is written into `_meta`."""
    ours = _Ours(description.columns, description.key)
    return {OURS: msgspec.to_builtins(ours)}


def described(mapping: Mapping[str, Any]) -> Description:
    """The columns of an index and its key: those that were written down, and the fields that others have added."""
    properties: Mapping[str, Any] = mapping.get("properties", {})
    ours = msgspec.convert(mapping.get("_meta", {}).get(OURS, {}), type=_Ours)
    known = {column.name for column in ours.columns}
    others = [_foreign(name, each) for name, each in properties.items() if name not in known and name != MARK]
    return Description((*ours.columns, *others), ours.key)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Objects in one, level by level; `over` wins."""
    made = dict(base)
    for name, value in over.items():
        there = made.get(name)
        made[name] = merged(there, value) if isinstance(there, Mapping) and isinstance(value, Mapping) else value
    return made


def _foreign(name: str, each: Mapping[str, Any]) -> TableColumn:
    """A field of somebody else's mapping."""
    spelled = str(each.get("type", "object"))
    return TableColumn(name, _KINDS.get(spelled), sql_type=spelled)


def _given(sql_type: str) -> dict[str, Any] | None:
    """The mapping that the operator has written for a column: the name of a type, or JSON."""
    if sql_type.lstrip().startswith("{"):
        try:
            given = msgspec.json.decode(sql_type)
        except msgspec.DecodeError:
            return None
        return given if isinstance(given, dict) else None
    return {"type": sql_type} if _TYPE.fullmatch(sql_type) else None


def _shapes(stream: Stream | None) -> dict[str, object]:
    """The JSON Schemas of columns that are a field of their records."""
    if stream is None or not stream.json_schema:
        return {}
    schema = msgspec.json.decode(stream.json_schema)
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {c.name: properties.get(c.path[0]) for c in stream.columns if c.kind is Kind.JSON and len(c.path) == 1}


def _shaped(schema: object, depth: int) -> dict[str, Any] | None:
    """How objects of known fields, and arrays of them, are indexed; None for anything else.

    What the schema doesn't name stays in the documents without being indexed, and so does a value of another type.
    """
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    types = schema.get("type")
    kinds = {types} if isinstance(types, str) else {each for each in types or () if isinstance(each, str)}
    kinds.discard("null")
    if kinds == {"array"}:
        return _shaped(schema.get("items"), depth + 1)
    fields = schema.get("properties")
    if kinds != {"object"} or not isinstance(fields, Mapping) or not all(map(_is_name, fields)):
        return None
    inner = {name: _shaped(each, depth + 1) or _leaf(each) for name, each in fields.items()}
    return {"type": "object", "dynamic": False, "properties": inner} if inner else None


def _leaf(schema: object) -> dict[str, Any]:
    """How a value within an object is indexed."""
    types = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = {types} if isinstance(types, str) else {each for each in types or () if isinstance(each, str)}
    kinds.discard("null")
    if kinds == {"integer"}:
        return {"type": "long", "ignore_malformed": True}
    if kinds == {"number"}:
        return {"type": "double", "ignore_malformed": True}
    if kinds == {"string"} and isinstance(schema, Mapping):
        is_time = schema.get("format") in ("date", "date-time")
        return {"type": "date", "ignore_malformed": True} if is_time else _TEXT
    return _STORED


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and "." not in name and not name.startswith("_")
