"""What a database says of a stream's table, told with the stream's name, and of rows, told as a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.sql.session import Database


@contextmanager
def of_stream(name: str) -> Iterator[None]:
    """Raise errors of the database with the name of the stream that they are about."""
    try:
        yield
    except DestinationError as error:
        if type(error) is not DestinationError:  # those say which rows, or which checkpoint
            raise
        raise DestinationError(f"stream {name!r}: {error}") from error.__cause__


@contextmanager
def of_rows(database: Database) -> Iterator[None]:
    """Raise errors that values of rows are to blame for as RowsRefusedError."""
    try:
        yield
    except DestinationError as error:
        if error.__cause__ is None or not database.is_about_rows(error.__cause__):
            raise
        raise RowsRefusedError(str(error)) from error.__cause__
