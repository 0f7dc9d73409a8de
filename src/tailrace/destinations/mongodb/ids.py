"""What documents are called: by their keys, or by where they come from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId


def id_of(fields: Mapping[str, Any], key: Sequence[str]) -> Any:
    """The value of the key's only field, or a document of all of them, in the key's order."""
    if len(key) == 1:
        return fields[key[0]]
    return {name: fields[name] for name in key}


def new_id(origin: str, line: int) -> ObjectId:
    """Another one for each line of each origin, rising with the lines, and the same each time."""
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
