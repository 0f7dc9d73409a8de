"""tailrace loads Singer streams into destinations: fast, in flat memory, nothing lost, nothing twice."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tailrace.api import load, maintain
    from tailrace.destination import Destination
    from tailrace.errors import (
        CommitUnknownError,
        ConfigError,
        DestinationError,
        FencedError,
        MessageError,
        RecordError,
        RecordsWithoutSchemaError,
        RowsRefusedError,
        SchemaError,
        TailraceError,
        TapError,
    )
    from tailrace.functions import destination
    from tailrace.model import Batch, Checkpoint, Column, Kind, Method, Receipt, Stream
    from tailrace.runtime.report import Report
    from tailrace.runtime.target import Target

_HOMES = {
    "tailrace.api": ("load", "maintain"),
    "tailrace.destination": ("Destination",),
    "tailrace.errors": (
        "CommitUnknownError",
        "ConfigError",
        "DestinationError",
        "FencedError",
        "MessageError",
        "RecordError",
        "RecordsWithoutSchemaError",
        "RowsRefusedError",
        "SchemaError",
        "TailraceError",
        "TapError",
    ),
    "tailrace.model": ("Batch", "Checkpoint", "Column", "Kind", "Method", "Receipt", "Stream"),
    "tailrace.runtime.report": ("Report",),
    "tailrace.runtime.target": ("Target",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Batch",
    "Checkpoint",
    "Column",
    "CommitUnknownError",
    "ConfigError",
    "Destination",
    "DestinationError",
    "FencedError",
    "Kind",
    "MessageError",
    "Method",
    "Receipt",
    "RecordError",
    "RecordsWithoutSchemaError",
    "Report",
    "RowsRefusedError",
    "SchemaError",
    "Stream",
    "TailraceError",
    "TapError",
    "Target",
    "__version__",
    "destination",
    "load",
    "maintain",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that `import tailrace` stays light."""
    if name == "destination":
        return importlib.import_module("tailrace.destination")  # a module that is called as the decorator
    if name not in _HOME:
        raise AttributeError(f"module 'tailrace' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
