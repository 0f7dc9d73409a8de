"""A session of BigQuery: jobs that share a transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from google.cloud.bigquery import Client, ConnectionProperty, QueryJob, QueryJobConfig, ScalarQueryParameter

from tailrace.destinations.bigquery.errors import RULES
from tailrace.destinations.bigquery.retrying import asking
from tailrace.errors import DestinationError
from tailrace.model import TableName

_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (Decimal, "BIGNUMERIC"),
    (datetime, "DATETIME"),
    (date, "DATE"),
    (bytes, "BYTES"),
)
"""The types of parameters; of those whose values are of two, the narrower first."""


Answers = Mapping[str, Callable[..., list[tuple[object, ...]]]]
"""What answers the requests of the catalog, by their names."""


class BigQuerySession:
    """A Session. Its jobs have the `labels` of the moment; `end` ends it by its name, wherever it is."""

    def __init__(
        self,
        client: Client,
        answers: Answers,
        timeout: float,
        labels: Callable[[], dict[str, str]],
        end: Callable[[str], None],
    ) -> None:
        self._client = client
        self._answers = answers
        self._asking = asking(timeout)
        self._labels = labels
        self._end = end
        with RULES.translated():
            job = self._run("SELECT 1", (), QueryJobConfig(create_session=True))
        if job.session_info is None:
            raise DestinationError("BigQuery: it has opened no session; run again")
        self.name = str(job.session_info.session_id)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; see Session."""
        return int(self._job(sql, parameters).num_dml_affected_rows or 0)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query; see Session."""
        if answer := self._answers.get(sql):
            with RULES.translated():
                return answer(*parameters)
        job = self._job(sql, parameters)
        with RULES.translated():
            return [row.values() for row in job.result(retry=self._asking["retry"])]

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:  # noqa: ARG002 as others
        """Nothing comes this way; see Session."""
        raise TypeError("rows come by load jobs or streams here")

    def release_memory(self) -> None:
        """Nothing: such a session keeps no more than its name."""

    def close(self) -> None:
        """End the session, whose transaction is undone; see Session."""
        self._end(self.name)
        self._client.close()

    def _job(self, sql: str, parameters: Sequence[object]) -> QueryJob:
        config = QueryJobConfig(connection_properties=[ConnectionProperty("session_id", self.name)])
        with RULES.translated():
            return self._run(sql, parameters, config)

    def _run(self, sql: str, parameters: Sequence[object], config: QueryJobConfig) -> QueryJob:
        """A job that is done; one whose answer got lost is found again by its id, and never run twice."""
        config.labels = self._labels()
        config.query_parameters = [_parameter(value) for value in parameters]
        job = self._client.query(sql, job_config=config, job_retry=None, **self._asking)
        job.result(retry=self._asking["retry"], job_retry=None)
        return job


def _parameter(value: Any) -> ScalarQueryParameter:
    if isinstance(value, datetime) and value.tzinfo:
        return ScalarQueryParameter(None, "TIMESTAMP", value)
    sql_type = next((name for of, name in _TYPES if isinstance(value, of)), "STRING")
    return ScalarQueryParameter(None, sql_type, value)
