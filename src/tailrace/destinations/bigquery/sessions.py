"""The sessions that runs have opened, by pipeline: what a run that was killed left open would hold up the next one."""

from __future__ import annotations

from typing import Any

from google.api_core.exceptions import BadRequest, Forbidden, NotFound
from google.cloud.bigquery import Client, QueryJobConfig, ScalarQueryParameter, SchemaField, Table
from msgspec import Struct

from tailrace.destinations.bigquery.retrying import asking
from tailrace.model import TableName
from tailrace.sql.expressions import table_of

TABLE = "_tailrace_sessions"
"""The name of the table, in the dataset of the checkpoints."""

_SCHEMA = [SchemaField("pipeline", "STRING", "REQUIRED"), SchemaField("session", "STRING", "REQUIRED")]


class Sessions(Struct, frozen=True):
    """The table of sessions of a dataset. What is asked of it is part of no session; raises the driver's errors.

    A transaction that nobody ends is there for a day, and meanwhile nobody else can change rows of its tables.
    """

    client: Client
    dataset: str
    timeout: float

    def take_over(self, pipeline: str, name: str) -> None:
        """End what other sessions of the pipeline have open, and note this one."""
        if not self._is_there():
            return
        ours = f"FROM {self._table} WHERE pipeline = ?"
        for (other,) in self._run(f"SELECT session {ours}", pipeline):
            if self.end(other):
                self._run(f"DELETE {ours} AND session = ?", pipeline, other)
        self._insert(pipeline, name)

    def note(self, pipeline: str, name: str) -> None:
        """Note a session of the pipeline."""
        if self._is_there():
            self._insert(pipeline, name)

    def end(self, name: str) -> bool:
        """End a session, and undo its transaction; one that has ended stays so. False where it is somebody else's."""
        try:
            self._run("CALL BQ.ABORT_SESSION(?)", name)
        except Forbidden:
            return False
        except (BadRequest, NotFound):
            return True
        return True

    @property
    def _table(self) -> str:
        return table_of(TableName(TABLE, self.dataset)).sql("bigquery")

    def _is_there(self) -> bool:
        """Whether the table is there, which is made when it isn't; false where there is no dataset yet."""
        where = f"{self.client.project}.{self.dataset}.{TABLE}"
        try:
            self.client.get_table(where, **asking(self.timeout))
        except NotFound:
            return self._make(where)
        return True

    def _make(self, where: str) -> bool:
        """Make the table, one that doesn't expire, whatever tables of the dataset do; false where there is none."""
        try:
            made = self.client.create_table(Table(where, _SCHEMA), exists_ok=True, **asking(self.timeout))
        except NotFound:
            return False
        if made.expires:
            made.expires = None
            self.client.update_table(made, ["expires"], **asking(self.timeout))
        return True

    def _insert(self, pipeline: str, name: str) -> None:
        self._run(f"INSERT INTO {self._table} (pipeline, session) VALUES (?, ?)", pipeline, name)  # noqa: S608 ours

    def _run(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        given = [ScalarQueryParameter(None, "STRING", value) for value in values]
        job = self.client.query(
            sql, job_config=QueryJobConfig(query_parameters=given), job_retry=None, **asking(self.timeout)
        )
        return [row.values() for row in job.result(retry=asking(self.timeout)["retry"], job_retry=None)]
