"""The `_id` of documents: the key's value, a document of several, or an ObjectId where there is no key."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId


def id_of(fields: Mapping[str, Any], key: Sequence[str]) -> Any:
    """The id of a document with a key."""
    if len(key) == 1:
        return fields[key[0]]
    return {name: fields[name] for name in key}


def new_id(origin: str, line: int) -> ObjectId:
    """The id of a document without a key: another one for each line of each origin, and the same each time."""
    return ObjectId(blake2b(origin.encode(), digest_size=7).digest() + line.to_bytes(5, "big"))


def hashed(value: Any) -> Hashable:
    """An id by which documents can be looked up: two that the database takes for equal are equal."""
    if isinstance(value, dict):
        return tuple((name, hashed(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return tuple(map(hashed, value))
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, bool | DatetimeMS):
        return type(value).__name__, int(value)
    if isinstance(value, bytes):
        return getattr(value, "subtype", 0), bytes(value)
    return value  # type: ignore[no-any-return]
