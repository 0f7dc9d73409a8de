"""What nothing that stands in for BigQuery can tell: jobs whose id is taken, partitions that are read, and labels."""

import io
import os
from contextlib import closing
from datetime import date, timedelta

import of_bigquery
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import Conflict
from google.cloud.bigquery import LoadJobConfig

from tailrace.destinations import bigquery
from tailrace.destinations.bigquery.landing import Landing, LoadJobs
from tailrace.destinations.bigquery.project import Project
from tailrace.model import LINE, Kind
from tailrace.schema.evolve import TableColumn
from tailrace.testing.messages import INT, TEXT, loaded, record, schema

pytestmark = pytest.mark.live
DATASET = f"tailrace_live_{os.getpid()}"
DATE = {"type": ["null", "string"], "format": "date"}
DAYS = [str(date(2026, 1, 1) + timedelta(days=n)) for n in range(10)]


@pytest.fixture
def subject():
    """A dataset of its own, whose table of things is partitioned by the day."""
    if not (given := os.environ.get(of_bigquery.VARIABLE)):
        pytest.skip(f"there is no project of BigQuery: {of_bigquery.VARIABLE} isn't set")
    with of_bigquery.empty_dataset(given, DATASET, design={"things": {"partition_by": "day"}}) as subject:
        yield subject


@pytest.fixture
def project(subject):
    """The project."""
    given = of_bigquery.settings_of(os.environ[of_bigquery.VARIABLE], DATASET)
    return Project(bigquery.Settings.model_validate(given))


@pytest.fixture
def client(project):
    """A client of one's own."""
    with closing(project.client()) as client:
        yield client


def queries_of(client):
    """The queries in the history that are about the dataset."""
    jobs = client.list_jobs(max_results=500)
    return [job for job in jobs if job.job_type == "query" and DATASET in job.query]


def test_the_id_of_a_load_job_is_taken_once_and_its_rows_come_once(project, client):
    client.create_dataset(DATASET)
    rows = pa.table({"id": [1, 2, 3], LINE: [7, 8, 9]})
    columns = {"id": TableColumn("id", Kind.INT), LINE: TableColumn(LINE, Kind.INT, nullable=False)}
    statements = bigquery.BigQueryStatements(bigquery.DIALECT)
    landing = Landing(project, statements, DATASET, LoadJobs(project.settings.request_timeout_s))
    with closing(landing):
        for _ in range(2):
            landing.put("p/_tailrace/7-9", rows, columns)
    where = landing._landing("p/_tailrace/7-9")
    file, name = io.BytesIO(), f"{where}_7-9_3_{landing._run}_1"
    pq.write_table(rows.rename_columns(["c0", "c1"]), file)
    config = LoadJobConfig(source_format="PARQUET", create_disposition="CREATE_NEVER")
    with pytest.raises(Conflict):
        client.load_table_from_file(file, f"{DATASET}.{where}", rewind=True, job_id=name, job_config=config)
    assert sorted(row["c0"] for row in of_bigquery.read(client, where, DATASET)) == [1, 2, 3]


def test_a_merge_reads_the_partitions_of_its_rows_alone(subject, client):
    sent = schema({"id": INT, "day": DATE, "text": TEXT}, ["id", "day"])
    rows = [record({"id": n, "day": day, "text": "x" * 1000}) for day in DAYS for n in range(200)]
    loaded(subject, sent, *rows, pipeline="p")
    before = {job.job_id for job in queries_of(client)}
    whole = client.get_table(f"{DATASET}.things").num_bytes
    loaded(subject, sent, record({"id": 1, "day": DAYS[4], "text": "y"}), pipeline="p")
    read = {
        job.query: job.total_bytes_processed
        for job in queries_of(client)
        if job.job_id not in before and f"`{DATASET}`.`things`" in job.query
    }
    assert [sql for sql in read if sql.startswith("UPDATE")], read
    assert whole > 2_000_000
    assert max(read.values()) < whole / 5, read


def test_the_history_of_jobs_has_the_labels(subject, client):
    name = f"{DATASET}_labels"
    loaded(subject, schema({"id": INT, "day": DATE}, ["id"]), record({"id": 1, "day": DAYS[0]}), pipeline=name)
    told = [job.labels for job in queries_of(client)]
    assert {"app": "tailrace", "pipeline": name, "checkpoint": "1"} in told
