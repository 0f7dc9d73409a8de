"""One connection that is kept for reading what laws look at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import duckdb
import mysql.connector
import psycopg
import snowflake.connector
from google.api_core.exceptions import GoogleAPIError
from requests.exceptions import RequestException


class Kept:
    """One connection that is kept for reading, since to make one takes longer than to read.

    A file of DuckDB is locked as long as it is open, so that it is closed before anyone else opens it.
    """

    def __init__(self) -> None:
        self._address = ""
        self._connection: Any = None

    def used(self, address: str, connect: Callable[[str], Any], use: Callable[[Any], Any]) -> Any:
        """What a connection is used for; once more with another one where its server was started anew."""
        try:
            return use(self._connected(address, connect))
        except (RequestException, GoogleAPIError):
            self.close()
            return use(self._connected(address, connect))

    def rows(self, address: str, connect: Callable[[str], Any], query: str) -> list[dict[str, Any]]:
        """The rows of a query; one that fails with its connection, as when its server was started anew, is repeated."""
        try:
            return self._rows(address, connect, query)
        except (
            psycopg.errors.UndefinedTable,
            mysql.connector.errors.ProgrammingError,
            snowflake.connector.errors.ProgrammingError,
        ):
            raise
        except (psycopg.Error, mysql.connector.Error, snowflake.connector.errors.Error):
            self.close()
            return self._rows(address, connect, query)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _rows(self, address: str, connect: Callable[[str], Any], query: str) -> list[dict[str, Any]]:
        connection = self._connected(address, connect)
        if isinstance(connection, duckdb.DuckDBPyConnection):
            return connection.sql(query).to_arrow_table().to_pylist()
        with closing(_cursor_of(connection)) as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def _connected(self, address: str, connect: Callable[[str], Any]) -> Any:
        if address != self._address or self._connection is None:
            self.close()
            self._address, self._connection = address, connect(address)
        return self._connection


KEPT = Kept()


def _cursor_of(connection: Any) -> Any:
    if isinstance(connection, snowflake.connector.SnowflakeConnection):
        return connection.cursor(snowflake.connector.DictCursor)
    is_mysql = isinstance(connection, mysql.connector.MySQLConnection)
    return connection.cursor(dictionary=True) if is_mysql else connection.cursor(row_factory=psycopg.rows.dict_row)
