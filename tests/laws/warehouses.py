"""Warehouses that runs are killed over, each read with nothing but its driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import snowflake.connector
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client
from kept import KEPT

from tailrace.destinations.bigquery.sessions import TABLE

CHECKPOINTS = "_tailrace_checkpoints"
_NO_SUCH_TABLE = 2003


@dataclass(frozen=True, slots=True)
class BigQuery:
    """A dataset of what stands in for BigQuery. A session that a client has left is open until another one ends it."""

    server: Any
    url: str

    def names(self) -> set[str]:
        """See Reader. A pipeline's own table of checkpoints is one of them under the name that others have."""
        listed = KEPT.used(self.url, self._connected, lambda client: [*client.list_tables(self._dataset)])
        return {CHECKPOINTS if table.table_id.startswith(CHECKPOINTS) else table.table_id for table in listed} - {TABLE}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        return KEPT.used(self.url, self._connected, lambda client: self._read(client, table))

    def users(self) -> int:
        """See Reader."""
        return 0

    @property
    def _dataset(self) -> str:
        return urlsplit(self.url).path[1:]

    def _read(self, client: Client, table: str) -> list[dict[str, Any]]:
        listed = [each.table_id for each in client.list_tables(self._dataset)]
        wanted = [name for name in listed if name == table or (table == CHECKPOINTS and name.startswith(table))]
        rows = [row for name in wanted for row in client.query(f"SELECT * FROM `{self._dataset}`.`{name}`").result()]
        return [dict(row.items()) for row in rows]

    def _connected(self, _: str) -> Client:
        options = ClientOptions(api_endpoint=self.server.endpoint)
        return Client(self.server.project, AnonymousCredentials(), client_options=options)


@dataclass(frozen=True, slots=True)
class Snowflake:
    """A database of what stands in for Snowflake."""

    server: Any
    url: str

    def names(self) -> set[str]:
        """See Reader."""
        return {row["name"] for row in self._rows("SHOW TABLES IN SCHEMA PUBLIC")}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        try:
            return self._rows(f'SELECT * FROM PUBLIC."{table}"')
        except snowflake.connector.errors.ProgrammingError as error:
            if error.errno == _NO_SUCH_TABLE:
                return []
            raise

    def users(self) -> int:
        """See Reader."""
        return int(self.server.end_sessions())

    def _rows(self, query: str) -> list[dict[str, Any]]:
        return KEPT.rows(self.url, lambda _: self._connected(), query)

    def _connected(self) -> Any:
        database = urlsplit(self.url).path.split("/")[1]
        return snowflake.connector.connect(**self.server.login, database=database)
