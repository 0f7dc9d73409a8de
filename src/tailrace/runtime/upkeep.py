"""The upkeep of a lake between loads, wherever it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from tailrace.destination import Destination, Maintainable
from tailrace.errors import ConfigError
from tailrace.model import TableName

_LEAST_KEPT = timedelta(hours=1)


def maintained(destination: Destination, tables: Sequence[str], keep: timedelta) -> Iterator[str]:
    """Maintain an open destination, all tables where none are named; a sentence for each thing once it is done."""
    if keep < _LEAST_KEPT:
        raise ConfigError(f"{keep} is too short", key="keep", hint="an hour at least, since loads may be at work")
    if not isinstance(destination, Maintainable):
        raise ConfigError(
            "the database looks after its tables itself", key="to", hint="lakes are maintained: files, delta, iceberg"
        )
    yield from destination.maintain([TableName.of(table) for table in tables], keep)
