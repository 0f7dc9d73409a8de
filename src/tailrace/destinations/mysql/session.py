"""A session of MySQL or MariaDB: statements, LOAD DATA from memory, and what is said of rows that are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property

import mysql.connector
import pyarrow as pa

from tailrace.destinations.mysql import packets
from tailrace.destinations.mysql.connection import Connection
from tailrace.destinations.mysql.errors import RULES, words_of
from tailrace.destinations.mysql.numbers import refuse_changed_numbers
from tailrace.destinations.mysql.statements import MySQLStatements
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.log import get_logger
from tailrace.model import LINE, TableName
from tailrace.sql.delimited import delimited
from tailrace.sql.unsupported_values import refuse_infinite, typed

_NOT_ALLOWED = frozenset({1148, 3948, 4166})
"""LOAD DATA LOCAL isn't allowed by the server."""
_AT_ROW = re.compile(r" at row (\d+)$")
_INSERTED_AT_ONCE, _MAX_PARAMETERS = 500, 60_000
_AROUND_BYTES, _SURELY_TAKEN_BYTES = 512, 512
"""What a statement has besides its values; and what the smallest max_allowed_packet, 1,024, has room for."""
_log = get_logger("mysql")


class MySQLSession:
    """A connection to the server."""

    def __init__(self, connection: Connection, statements: MySQLStatements, database: str) -> None:
        self._connection = connection
        # A broken connection can't be asked.
        self._names = {"user": connection.user, "database": database}
        self._statements = statements
        self._loads_local = True
        self._json: dict[TableName, list[str]] = {}

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is by TLS."""
        return self._connection.is_secure

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; see Session."""
        with RULES.translated(**self._names):
            done = self._prepared(sql, parameters)[0] if parameters else self._connection.cmd_query(sql.encode())
        return int(done.get("affected_rows", 0))

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query; see Session."""
        with RULES.translated(**self._names):
            return self._prepared(sql, parameters)[1]

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Load the rows; MySQL changes what it doesn't take and warns, so that any warning undoes the call."""
        refuse_infinite(rows, columns, "MySQL")
        refuse_changed_numbers(rows, self._json_columns(table, columns))
        self.execute("SAVEPOINT tailrace_load")
        if self._loads_local and not self._load_local(table, columns, rows):
            self._loads_local = False
            _log.warning("the server has local_infile off, so rows load slower", hint="SET GLOBAL local_infile = ON")
        if not self._loads_local:
            self._insert(table, columns, rows)
        self.execute("RELEASE SAVEPOINT tailrace_load")

    def release_memory(self) -> None:
        """Nothing: a session keeps no more than its settings."""

    def close(self) -> None:
        """Close the connection; see Session."""
        with RULES.translated(**self._names):
            self._connection.close()

    def _prepared(self, sql: str, parameters: Sequence[object]) -> tuple[dict[str, int], list[tuple[object, ...]]]:
        """Run a statement with its values apart from it: what it did, and its rows."""
        self._refuse_long(parameters)
        connection = self._connection
        prepared = connection.cmd_stmt_prepare(sql.encode())
        try:
            done = connection.cmd_stmt_execute(
                prepared["statement_id"], data=[*map(_bound, parameters)], parameters=prepared["parameters"]
            )
            if isinstance(done, dict):
                return done, []
            connection.unread_result = True  # as the driver's own cursor says before it reads
            return {}, [tuple(map(_text, row)) for row in connection.get_rows(binary=True, columns=done[1])[0]]
        finally:
            connection.cmd_stmt_close(prepared["statement_id"])

    def _load_local(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> bool:
        """Load the rows by LOAD DATA; false where the server doesn't allow it."""
        self._connection.rows = delimited(rows.select(list(columns)))
        with RULES.translated(**self._names):
            try:
                sql = self._statements.load_data(table, rows.select(columns).schema)
                done = self._connection.cmd_query(sql.encode())
            except mysql.connector.Error as error:
                # The driver says some of the server's errors anew, without their number.
                if {error.errno, getattr(error.__cause__, "errno", None)} & _NOT_ALLOWED:
                    return False
                if RULES.is_about_rows(error):
                    raise self._refused(table, words_of(error)) from error
                raise
        if done["warning_count"] or done["affected_rows"] != rows.num_rows:
            told = [(level, str(message)) for level, _, message in self._warnings()]
            reasons: dict[int, str] = {}
            for _, message in told:
                if match := _AT_ROW.search(message):
                    reasons.setdefault(rows[LINE][int(match[1]) - 1].as_py(), message[: match.start()])
            # The warning of a CHECK that fails has no row, so that there may be more of them.
            is_known = bool(told) and all(level == "Note" or _AT_ROW.search(message) for level, message in told)
            raise self._refused(table, "".join(message for _, message in told[:1]), reasons if is_known else None)
        return True

    def _json_columns(self, table: TableName, columns: Sequence[str]) -> list[str]:
        """The columns that are JSON as MySQL has it; MariaDB's is a text."""
        if table not in self._json:
            is_mariadb = "mariadb" in (self._connection.server_info or "").lower()
            self._json[table] = [] if is_mariadb else typed(self, self._statements.dialect.catalog, table, "json")()
        return [name for name in self._json[table] if name in columns]

    def _warnings(self) -> list[tuple[object, ...]]:
        """Level, number and words of each warning of the last statement; MySQL doesn't prepare what asks for them."""
        with RULES.translated(**self._names):
            self._connection.cmd_query(b"SHOW WARNINGS")
            return [tuple(map(_text, row)) for row in self._connection.get_rows()[0]]

    def _refused(self, table: TableName, error: object, reasons: Mapping[int, str] | None = None) -> RowsRefusedError:
        """What says that rows are refused, once they are undone."""
        self.execute("ROLLBACK TO SAVEPOINT tailrace_load")
        return RowsRefusedError(f"the table {table} refuses rows: {error}", reasons)

    def _insert(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert the rows, many at once; where one is refused it isn't said which."""
        loaded = rows.select(list(columns))
        room = self._packet_bytes - len(self._statements.insert_values(table, columns)) - _AROUND_BYTES
        sizes = packets.row_bytes(loaded)
        if too_long := packets.longer(sizes, rows[LINE], room):
            said = f"max_allowed_packet of the server is {self._packet_bytes:,}: raise it"
            reasons = {line: f"it has about {size:,} bytes, and {said}" for line, size in too_long.items()}
            raise self._refused(table, said, reasons)
        for start, count in packets.parts(sizes, room, min(_INSERTED_AT_ONCE, _MAX_PARAMETERS // len(columns))):
            part = loaded.slice(start, count)
            sql = self._statements.insert_values(table, columns, part.num_rows)
            values = [value for row in zip(*(column.to_pylist() for column in part), strict=True) for value in row]
            try:
                self.execute(sql, values)
            except DestinationError as error:
                if not RULES.is_about_rows(error.__cause__):
                    raise
                raise self._refused(table, error) from error.__cause__

    @cached_property
    def _packet_bytes(self) -> int:
        """How long a statement may be, with its values."""
        return int(str(self.query("SELECT @@max_allowed_packet")[0][0]))

    def _refuse_long(self, parameters: Sequence[object]) -> None:
        """Raise where values are longer than the server takes: it would only end the connection."""
        size = sum(len(value) for value in parameters if isinstance(value, str | bytes))
        if size > _SURELY_TAKEN_BYTES and size + _AROUND_BYTES > self._packet_bytes:
            raise DestinationError(
                f"MySQL: a value (the state of a checkpoint travels as one) has {size:,} bytes, and the server takes "
                f"{self._packet_bytes:,}; run `SET GLOBAL max_allowed_packet = {2 * size}` or more there, then again"
            )


def _text(value: object) -> object:
    """What MySQL makes text of comes as bytes."""
    return bytes(value).decode() if isinstance(value, bytes | bytearray) else value


def _bound(value: object) -> object:
    """A parameter as MySQL stores it: times in UTC without saying so."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value
