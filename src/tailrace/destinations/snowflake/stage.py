"""Rows in Parquet files on a stage, and COPY INTO of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import pyarrow as pa

from tailrace.destinations.snowflake.account import Account
from tailrace.errors import DestinationError
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dbapi import DbapiSession
from tailrace.sql.expressions import identifier, table_of
from tailrace.sql.parquet import parquet_of, placed
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements

_STAGE = "_TAILRACE_STAGE"
"""The stage's name, which needn't be quoted: PUT takes no other."""
_NO_SUCH_STAGE = 2003
_FILES_AT_ONCE = 1000
"""As many as COPY takes by name."""
_FORMAT = "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE) FORCE = TRUE"
"""Times as times and bytes as bytes; and whatever was copied in a transaction that was undone."""


class StageFiles:
    """Files on the stage of one schema, in folders; see Files. Columns are named by their places."""

    def __init__(self, account: Account, statements: Statements, schema: str) -> None:
        self._made_from = (account, statements, schema)
        self._account = account
        self._statements = statements
        self._stage = f"{statements.written(identifier(schema))}.{_STAGE}"
        self._idle: list[DbapiSession] = []
        self._values: dict[str, list[str]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def put(self, name: str, rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
        """PUT the rows as a Parquet file; see Files."""
        folder = name.rpartition("/")[0]
        self._values[folder] = [self._value(place, column) for place, column in enumerate(columns.values())]
        file = parquet_of(placed(rows, [*columns]))
        sql = f"PUT file://{name.rpartition('/')[2]}.parquet @{self._stage}/{folder} "
        self._run(sql + "SOURCE_COMPRESSION = NONE AUTO_COMPRESS = FALSE OVERWRITE = TRUE", file_stream=file)

    def copy(self, session: Session, table: TableName, columns: Sequence[str], names: Sequence[str]) -> None:
        """COPY INTO the table; see Files."""
        folder = names[0].rpartition("/")[0]
        into = ", ".join(self._statements.written(identifier(name)) for name in columns)
        rows = f"SELECT {', '.join(self._values[folder])} FROM @{self._stage}/{folder}/"  # noqa: S608 names of ours
        for start in range(0, len(names), _FILES_AT_ONCE):
            part = names[start : start + _FILES_AT_ONCE]
            files = ", ".join(f"'{name.rpartition('/')[2]}.parquet'" for name in part)
            to = f"{self._statements.written(table_of(table))} ({into})"
            session.execute(f"COPY INTO {to} FROM ({rows}) FILES = ({files}) {_FORMAT}")

    def remove(self, folder: str) -> None:
        """Remove all files of the folder, on a stage that is made when there is none; see Files."""
        try:
            self._run(f"REMOVE @{self._stage}/{folder}")
        except DestinationError as error:  # a stage that is there is found without the right to make any
            if getattr(error.__cause__, "errno", None) != _NO_SUCH_STAGE:
                raise
            self._run(f"CREATE STAGE IF NOT EXISTS {self._stage}")
        for name in [*self._values]:
            if name.startswith(folder):
                del self._values[name]

    def close(self) -> None:
        """Close the connections; see Files."""
        while self._idle:
            with suppress(DestinationError):
                self._idle.pop().close()

    def _value(self, place: int, column: TableColumn) -> str:
        """A column of a file, as the table takes it."""
        if column.kind is Kind.JSON:
            return f"PARSE_JSON($1:c{place}::VARCHAR)"
        return f"$1:c{place}::{self._statements.dialect.spelled(column)}"

    def _run(self, sql: str, **more: object) -> None:
        """Run a statement on a connection that nobody else uses; one that an error leaves in doubt isn't kept."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._account.open()
        try:
            with session.rules.translated(**session.known), session.connection.cursor() as cursor:
                self._account.execute(cursor, sql, (), **more)
        except BaseException:
            with suppress(DestinationError):
                session.close()
            raise
        self._idle.append(session)
