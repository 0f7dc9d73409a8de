"""The Singer wire: bytes to messages, messages to bytes, and what connectors import from singer-python."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailrace.singer.connectors import (
        SingerConfigurationError,
        SingerDiscoveryError,
        SingerError,
        SingerRetryableRequestError,
        SingerSyncError,
        clear_bookmark,
        clear_offset,
        get_bookmark,
        get_currently_syncing,
        get_logger,
        get_offset,
        parse_args,
        reset_stream,
        set_currently_syncing,
        set_offset,
        write_batch,
        write_bookmark,
        write_message,
        write_record,
        write_records,
        write_schema,
        write_state,
        write_version,
    )

__all__ = [
    "SingerConfigurationError",
    "SingerDiscoveryError",
    "SingerError",
    "SingerRetryableRequestError",
    "SingerSyncError",
    "clear_bookmark",
    "clear_offset",
    "get_bookmark",
    "get_currently_syncing",
    "get_logger",
    "get_offset",
    "parse_args",
    "reset_stream",
    "set_currently_syncing",
    "set_offset",
    "write_batch",
    "write_bookmark",
    "write_message",
    "write_record",
    "write_records",
    "write_schema",
    "write_state",
    "write_version",
]


def __getattr__(name: str) -> Any:
    """What connectors import, when it is asked for; what isn't here is singer-python's, where that is installed."""
    if name in __all__:
        return getattr(import_module("tailrace.singer.connectors"), name)
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is None and find_spec("singer") is not None:
        return getattr(import_module("singer"), name)
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}; what it lacks of singer-python is there once that is installed"
    )
