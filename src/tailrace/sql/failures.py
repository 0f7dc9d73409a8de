"""What a database says of a stream's table, told with the stream's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tailrace.errors import DestinationError


@contextmanager
def of_stream(name: str) -> Iterator[None]:
    """Raise errors of the database with the name of the stream that they are about."""
    try:
        yield
    except DestinationError as error:
        if type(error) is not DestinationError:  # those say which rows, or which checkpoint
            raise
        raise DestinationError(f"stream {name!r}: {error}") from error.__cause__
