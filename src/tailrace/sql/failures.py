"""What a database says of a stream's table, told with the stream's name, and of rows, told as a refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tailrace.errors import DestinationError, RowsRefusedError, SchemaError
from tailrace.model import Stream
from tailrace.sql.error_rules import ErrorRules


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
def of_table(rules: ErrorRules, stream: Stream) -> Iterator[None]:
    """Raise errors that a table's types, columns or key are to blame for as SchemaError of the stream."""
    try:
        yield
    except DestinationError as error:
        if not rules.is_about_tables(error.__cause__):
            raise
        names = {column.name for column in stream.columns}
        named = [name for name in re.findall(r"[\"'`]([^\"'`]+)[\"'`]", str(error)) if name in names]
        chosen = {column.name: column.sql_type for column in stream.columns if column.sql_type}
        column = named[0] if named else next(iter(chosen)) if len(chosen) == 1 else None
        types = ", ".join(f"{name} {sql_type}" for name, sql_type in chosen.items())
        text = f"{error} (types that were chosen: {types})" if types else str(error)
        raise SchemaError(text, stream=stream.name, column=column) from error.__cause__


@contextmanager
def of_rows(rules: ErrorRules) -> Iterator[None]:
    """Raise errors that values of rows are to blame for as RowsRefusedError."""
    try:
        yield
    except DestinationError as error:
        if not rules.is_about_rows(error.__cause__):
            raise
        raise RowsRefusedError(str(error)) from error.__cause__
