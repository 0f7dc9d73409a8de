"""Messages as lines, exact for every Python value that JSON can say: what Python callers send."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from types import NoneType
from typing import Any
from uuid import UUID

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_AS_IT_IS = frozenset({str, int, bool, NoneType, bytes, UUID, date, msgspec.Raw})
"""Types that the encoder writes exactly: bytes as base64, a UUID and a date as their usual text."""


def schema_line(stream: str, schema: Mapping[str, Any] | msgspec.Raw, key_properties: Sequence[str] | None) -> bytes:
    """A SCHEMA message; `schema` may be JSON text, as `msgspec.Raw`."""
    message = {"type": "SCHEMA", "stream": stream, "schema": schema}
    return _line(message if key_properties is None else message | {"key_properties": list(key_properties)})


def record_line(
    stream: str,
    record: Mapping[str, Any],
    *,
    version: int | None = None,
    time_extracted: datetime | str | None = None,
) -> bytes:
    """A RECORD message."""
    message: dict[str, Any] = {"type": "RECORD", "stream": stream, "record": record}
    if version is not None:
        message["version"] = version
    if time_extracted is not None:
        message["time_extracted"] = time_extracted
    return _line(message)


def state_line(value: Any) -> bytes:
    """A STATE message."""
    return _line({"type": "STATE", "value": value})


def activate_version_line(stream: str, version: int) -> bytes:
    """An ACTIVATE_VERSION message."""
    return _line({"type": "ACTIVATE_VERSION", "stream": stream, "version": version})


def message_line(message: Mapping[str, Any] | str | bytes) -> bytes:
    """The line of a message that is given as a mapping, or as a line already."""
    if isinstance(message, str):
        message = message.encode()
    if isinstance(message, bytes):
        return message if message.endswith(b"\n") else message + b"\n"
    if isinstance(message, Mapping):
        return _line(message)
    raise TypeError(f"a Singer message is a mapping or a line as str or bytes, not {type(message).__name__}")


def _line(message: Mapping[str, Any]) -> bytes:
    """The message as JSON; raises TypeError or ValueError, with the place, for what JSON can't say exactly."""
    return _ENCODER.encode(_exact(message, "$")) + b"\n"


def _exact(value: Any, path: str) -> Any:
    """The value, with everything that the encoder would change or refuse as what it writes exactly."""
    if type(value) in _AS_IT_IS:
        return value
    if isinstance(value, float | Decimal):
        if not (isfinite(value) if isinstance(value, float) else value.is_finite()):
            raise ValueError(f"{path} is {value}, which JSON has no number for; send None or leave it out")
        return float(value) if isinstance(value, float) else Decimal(value)
    if isinstance(value, Mapping):
        return {_key(key, path): _exact(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_exact(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return _exact_scalar(value, path)


def _exact_scalar(value: Any, path: str) -> Any:
    match value:
        case Enum():
            return _exact(value.value, path)
        case datetime():
            # ISO 8601 has no seconds in an offset, as the local times of past centuries do.
            is_odd = (value.utcoffset() or timedelta()) % timedelta(minutes=1)
            return (value.astimezone(UTC) if is_odd else value).isoformat()
        case date() | time():
            return value.isoformat()
        case str():
            return str.__str__(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value)
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{path} is a {type(value).__name__}, which JSON can't say; send it as text") from None


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{path} has the key {key!r}, which isn't a string")
    return str.__str__(key)
