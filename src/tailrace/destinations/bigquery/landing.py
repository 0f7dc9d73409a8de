"""Landing tables, in which rows wait for the commit to copy them: filled by load jobs of Parquet."""

from __future__ import annotations

import io
import secrets
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

import pyarrow as pa
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound
from google.api_core.retry import Retry, if_exception_type
from google.cloud.bigquery import Client, LoadJobConfig, SchemaField, Table
from google.cloud.bigquery.job import CopyJob, ExtractJob, LoadJob, QueryJob, UnknownJob

from tailrace.destinations.bigquery.errors import RULES
from tailrace.destinations.bigquery.project import Project
from tailrace.destinations.bigquery.retrying import asking
from tailrace.destinations.bigquery.statements import BigQueryStatements, is_numeric
from tailrace.errors import DestinationError
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.expressions import column_of, identifier, table_of
from tailrace.sql.fitting import refuse_null
from tailrace.sql.glot import exp
from tailrace.sql.parquet import parquet_of, placed
from tailrace.sql.session import Session

_KEPT = timedelta(days=7)
"""How long what nobody removes is there."""
QUOTA = (5, 10.0)
"""How often a table may be changed within how many seconds; https://cloud.google.com/bigquery/quotas, 2026-11-26."""
UNLIMITED = (1, 0.0)
"""What other servers have."""
_SPREAD = 16
"""Over how many tables the parts of a stream are spread, so that as many times more may be loaded at once."""
_PLAIN = {
    pa.bool_(): "BOOL",
    pa.int64(): "INT64",
    pa.float64(): "FLOAT64",
    pa.string(): "STRING",
    pa.binary(): "BYTES",
    pa.date32(): "DATE",
    pa.time64("us"): "TIME",
    pa.timestamp("us"): "DATETIME",
    pa.timestamp("us", "UTC"): "TIMESTAMP",
}


class Loads(Protocol):
    """How rows get into landing tables, of which a folder has so many. Thread-safe."""

    @property
    def tables(self) -> int:
        """How many tables the parts of a folder are spread over."""

    def append(self, client: Client, table: str, part: str, rows: pa.Table) -> None:
        """Append the rows, once, however often this is called for this part of the table; durable on return."""

    def close(self) -> None:
        """Close connections; repeatable."""


class Landing:
    """The landing tables of a dataset, one or more for each folder; see Files. Columns are named by their places.

    Parts have names that no other run's have, in whatever dataset of the project.
    """

    def __init__(self, project: Project, statements: BigQueryStatements, dataset: str, loads: Loads) -> None:
        self._made_from = (project, statements, dataset, loads)
        self._project = project
        self._statements = statements
        self._dataset = dataset
        self._loads = loads
        self._timeout = project.settings.request_timeout_s
        self._run = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._idle: list[Client] = []
        self._values: dict[str, list[str]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def put(self, name: str, rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
        """Append the rows to their landing table; see Files."""
        refuse_null(rows, columns)
        table, part = self._landing(name), name.rpartition("/")[2]
        plain = placed(rows, [*columns])
        with self._borrowed() as client:
            self._make(client, table, plain.schema)
            self._loads.append(
                client, f"{client.project}.{self._dataset}.{table}", f"{table}_{part}_{len(rows)}_{self._run}", plain
            )
        self._values[table] = [self._value(place, column) for place, column in enumerate(columns.values())]

    def copy(self, session: Session, table: TableName, columns: Sequence[str], names: Sequence[str]) -> None:
        """INSERT of all rows of the landing tables, which are those of the files; see Files."""
        into = exp.Schema(this=table_of(table), expressions=[*map(identifier, columns)])
        rows = [
            f"SELECT {', '.join(self._values[landing])} "  # noqa: S608 names of ours
            f"FROM {self._statements.written(table_of(TableName(landing, self._dataset)))}"
            for landing in sorted({self._landing(name) for name in names})
        ]
        session.execute(f"INSERT INTO {self._statements.written(into)} {' UNION ALL '.join(rows)}")

    def remove(self, folder: str) -> None:
        """Drop the landing tables of the folder; see Files."""
        begin, _, only = folder.partition("/")
        with self._borrowed() as client:
            ours = [table for table in [*self._values] if table.startswith(f"{_landing_of(only)}_")]
            for table in ours if only else self._beginning(client, _landing_of(begin)):
                client.delete_table(
                    f"{client.project}.{self._dataset}.{table}", not_found_ok=True, **asking(self._timeout)
                )
                self._values.pop(table, None)

    def close(self) -> None:
        """Close the connections; see Files."""
        self._loads.close()
        while self._idle:
            self._idle.pop().close()

    def _landing(self, name: str) -> str:
        """The landing table of a file, the same one whenever it is put."""
        folder, _, part = name.rpartition("/")
        return f"{_landing_of(folder.rpartition('/')[2])}_{zlib.crc32(part.encode()) % self._loads.tables}"

    def _beginning(self, client: Client, beginning: str) -> list[str]:
        listed = client.list_tables(f"{client.project}.{self._dataset}", **asking(self._timeout))
        return [table.table_id for table in listed if table.table_id.startswith(beginning)]

    def _make(self, client: Client, table: str, schema: pa.Schema) -> None:
        """Make the landing table, unless we have; one that a run before this one's took over is gone, and stays so."""
        with self._lock:
            if table not in self._values:
                landing = Table(f"{client.project}.{self._dataset}.{table}", fields_of(schema))
                landing.expires = datetime.now(UTC) + _KEPT
                client.create_table(landing, exists_ok=True, **asking(self._timeout))
                self._values[table] = []

    def _value(self, place: int, column: TableColumn) -> str:
        """A column of a landing table, as the table takes it."""
        value = column_of(f"c{place}")
        if column.kind is Kind.JSON:
            return self._statements.parsed_json(value)
        return f"CAST({self._statements.written(value)} AS {self._statements.dialect.spelled(column)})"

    @contextmanager
    def _borrowed(self) -> Iterator[Client]:
        """A client that nobody else uses; one that an error leaves in doubt isn't kept."""
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._project.client()
        try:
            with RULES.translated():
                yield client
        except BaseException:
            with suppress(DestinationError):
                client.close()
            raise
        self._idle.append(client)


class LoadJobs:
    """Loads by jobs whose ids are those of their parts, so that a job which is asked for again isn't a second one.

    A table is changed no more often than the `quota`, and parts are spread over several. `now` and `sleep` are of the
    clock that this goes by.
    """

    def __init__(
        self,
        timeout: float,
        quota: tuple[int, float] = QUOTA,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._made_from = (timeout, quota, now, sleep)
        self._timeout = timeout
        self._loads, self._seconds = quota
        self.tables = _SPREAD if self._seconds else 1
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._begun: dict[str, deque[float]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def append(self, client: Client, table: str, part: str, rows: pa.Table) -> None:
        """Run the part's job, or wait for it; one that has failed is followed by another; see Loads."""
        file = parquet_of(rows)
        for attempt in count(1):
            if self._is_done(client, table, f"{part}_{attempt}", file, fields_of(rows.schema)):
                return

    def close(self) -> None:
        """Nothing: the client is given; see Loads."""

    def _is_done(self, client: Client, table: str, name: str, file: io.BytesIO, fields: Sequence[SchemaField]) -> bool:
        """Whether the job of that name has loaded the rows; false where it had failed before."""
        self._wait_turn(table)
        retry = asking(self._timeout)["retry"]
        config = LoadJobConfig(
            source_format="PARQUET",
            schema=fields,  # else decimals would be NUMERIC, which has fewer digits
            decimal_target_types=["NUMERIC", "BIGNUMERIC"],
            write_disposition="WRITE_APPEND",
            create_disposition="CREATE_NEVER",
        )
        try:
            job = client.load_table_from_file(
                file, table, rewind=True, job_id=name, job_config=config, num_retries=0, timeout=self._timeout
            )
        except Conflict:
            known = self._known(client, name)
            try:
                known.result(retry=retry)
            except GoogleAPICallError:
                if known.error_result is None:  # it isn't the job that has failed
                    raise
                return False
        else:
            job.result(retry=retry)
        return True

    def _known(self, client: Client, name: str) -> LoadJob | CopyJob | ExtractJob | QueryJob | UnknownJob:
        """The job that is there; it may be said not to be for some seconds after it was said to be."""
        finding = Retry(if_exception_type(NotFound), timeout=self._timeout)
        return finding(client.get_job)(name, location=client.location, timeout=self._timeout)

    def _wait_turn(self, table: str) -> None:
        with self._lock:
            now = self._now()
            self._begun = {name: at for name, at in self._begun.items() if at[-1] + self._seconds > now}
            begun = self._begun.setdefault(table, deque(maxlen=self._loads))
            turn = max(now, begun[0] + self._seconds) if len(begun) == self._loads else now
            begun.append(turn)
        if turn > now:
            self._sleep(turn - now)


def _landing_of(table: str) -> str:
    """The name of the landing table of a staging table, which begins as no other table's of the pipeline does."""
    return f"_tailrace_landing{table.removeprefix('_tailrace')}"


def fields_of(schema: pa.Schema) -> list[SchemaField]:
    """The columns of a landing table; the API takes no decimals that have all of their digits behind the point."""
    return [_field(field) for field in schema]


def _field(field: pa.Field) -> SchemaField:
    if pa.types.is_decimal(field.type):
        digits, scale = max(field.type.precision, field.type.scale + 1), field.type.scale
        kind = "NUMERIC" if is_numeric(digits, scale) else "BIGNUMERIC"
        return SchemaField(field.name, kind, precision=digits, scale=scale)
    return SchemaField(field.name, _PLAIN[field.type])
