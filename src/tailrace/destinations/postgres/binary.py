"""COPY in PostgreSQL's binary format, which tailrace-native writes, and the server reads faster than text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa

from tailrace.destinations.postgres.copying import ROWS_AT_ONCE
from tailrace.model import TableName
from tailrace.native import native
from tailrace.sql.catalogs import query_of
from tailrace.sql.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[pa.RecordBatch, Sequence[int]], bytes | None]

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_TYPES = """
    SELECT a.attname, CASE WHEN a.atttypmod = -1 OR a.atttypid = 'numeric'::regtype THEN a.atttypid::bigint ELSE 0 END
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = coalesce(?, current_schema()) AND c.relname = ?
"""


class DoubtError(Exception):
    """A value isn't surely read in binary as its text is; nothing is said of it, since the server logs what is."""


def types_of(session: Session, table: TableName, columns: Sequence[str]) -> list[int]:
    """The OID of each column's type as it is now; 0 where it has a length or digits of its own, or isn't there."""
    found = {str(name): int(str(oid)) for name, oid in query_of(session, _TYPES, table)}
    return [found.get(name, 0) for name in columns]


def takes(schema: pa.Schema, types: Sequence[int]) -> bool:
    """Whether rows of such columns are written for columns of these types."""
    write: Write | None = native("pg_copy")
    return write is not None and write(pa.RecordBatch.from_pylist([], schema), types) is not None


def copy_binary(
    connection: psycopg.Connection[tuple[object, ...]], copy: bytes, rows: pa.Table, types: Sequence[int]
) -> None:
    """Copy the rows, some at a time, into columns that take them; raises DoubtError where they are to come as text."""
    write: Write | None = native("pg_copy")
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        stream.write(_HEADER)
        for part in rows.to_batches(ROWS_AT_ONCE):
            piece = write(part, types) if write else None
            if piece is None:
                raise DoubtError
            stream.write(piece)
        stream.write(_TRAILER)
