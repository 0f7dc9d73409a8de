"""BigQuery: jobs that load once, streams, transactions that are left open, and what a merge says of partitions."""

import io
import json
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import ServiceUnavailable
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client, Dataset, LoadJobConfig
from services.proxy import proxy

from tailrace import load
from tailrace.destinations import bigquery, open_destination
from tailrace.destinations.bigquery.landing import UNLIMITED, Landing, LoadJobs
from tailrace.destinations.bigquery.project import Project
from tailrace.destinations.bigquery.sessions import Sessions
from tailrace.destinations.bigquery.streams import WriteStreams
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import LINE, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.exchanges import Exchanges
from tailrace.testing.messages import INT, TEXT, record, schema

DATE = {"type": ["null", "string"], "format": "date"}
COLUMNS = {"id": TableColumn("id", Kind.INT), LINE: TableColumn(LINE, Kind.INT, nullable=False)}
ROWS = pa.table({"id": [1, 2, 3], LINE: [7, 8, 9]})


@pytest.fixture
def url(bigquery_server):
    """The address of a new dataset."""
    return bigquery_server.database()


@pytest.fixture
def client(bigquery_server):
    """A client of one's own."""
    options = ClientOptions(api_endpoint=bigquery_server.endpoint)
    with closing(Client(bigquery_server.project, AnonymousCredentials(), client_options=options)) as client:
        yield client


def settings_of(url):
    return bigquery.Settings.model_validate(bigquery.from_url(url))


class Unreachable:
    """A client whose connection is lost once a session is to be ended."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def query(self, sql, **more):
        if "ABORT_SESSION" in sql:
            raise ServiceUnavailable("gone")
        return self._client.query(sql, **more)


def landing_of(url, loads=None):
    project = Project(settings_of(url))
    return Landing(
        project, bigquery.BigQueryStatements(bigquery.DIALECT), dataset_of(url), loads or WriteStreams(project)
    )


def dataset_of(url):
    return urlsplit(url).path[1:]


def sent(url, *messages, **settings):
    return load((json.dumps(message).encode() for message in messages), url, **settings)


def rows_of(client, url, table, columns="*"):
    return [
        tuple(row.values()) for row in client.query(f"SELECT {columns} FROM `{dataset_of(url)}`.`{table}`").result()
    ]


def test_a_load_job_that_is_asked_for_again_loads_once(url, client):
    landing = landing_of(url, LoadJobs(5, UNLIMITED))
    with closing(landing):
        for _ in range(3):
            landing.put("p/landing/7-9", ROWS, COLUMNS)
        landing.put("p/landing/10-12", ROWS, COLUMNS)
    assert sorted(rows_of(client, url, "_tailrace_landinglanding_0", "c0")) == [(1,), (1,), (2,), (2,), (3,), (3,)]


@pytest.mark.parametrize("passes", [False, True], ids=["before the server has it", "before its answer"])
def test_a_load_job_whose_answer_is_lost_is_found_again_by_its_id(bigquery_server, url, client, passes):
    with proxy(bigquery_server.host, bigquery_server.port) as cutting:
        landing = landing_of(url.replace(f"%3A{bigquery_server.port}", f"%3A{cutting.port}"), LoadJobs(5, UNLIMITED))
        with closing(landing):
            landing.put("p/landing/1-3", ROWS, COLUMNS)
            cutting.cut_at(b"PAR1\x15", passes=passes)  # what a file of Parquet begins with
            for _ in range(2):  # as it is tried again, whether the first one comes to an error or not
                with suppress(DestinationError):
                    landing.put("p/landing/7-9", ROWS, COLUMNS)
        assert cutting.cuts == 1
    assert len(rows_of(client, url, "_tailrace_landinglanding_0")) == 6
    begin = f"_tailrace_landinglanding_0_7-9_3_{landing._run}"
    assert [job.job_id for job in client.list_jobs() if job.job_id.startswith(begin)] == [f"{begin}_1"]


def test_a_load_job_that_has_failed_is_followed_by_another(url, client):
    landing = landing_of(url, LoadJobs(5, UNLIMITED))
    with closing(landing):
        landing.put("p/landing/1-3", ROWS, COLUMNS)
        wrong = io.BytesIO()
        pq.write_table(pa.table({"c9": [1]}), wrong)
        config = LoadJobConfig(source_format="PARQUET", create_disposition="CREATE_NEVER")
        where, name = (
            f"{dataset_of(url)}._tailrace_landinglanding_0",
            f"_tailrace_landinglanding_0_7-9_3_{landing._run}_1",
        )
        failing = client.load_table_from_file(wrong, where, rewind=True, job_id=name, job_config=config)
        assert failing.exception() is not None
        landing.put("p/landing/7-9", ROWS, COLUMNS)
    assert len(rows_of(client, url, "_tailrace_landinglanding_0")) == 6


def test_a_landing_table_that_another_run_has_dropped_takes_no_more_rows_and_expires_by_itself(url, client):
    landing = landing_of(url, LoadJobs(5, UNLIMITED))
    with closing(landing):
        landing.put("p_1/t/7-9", ROWS, COLUMNS)
        landing_of(url).remove("t")
        with pytest.raises(DestinationError):
            landing.put("p_1/t/10-12", ROWS, COLUMNS)
    assert [*client.list_tables(dataset_of(url))] == []


def test_rows_come_by_streams_and_one_whose_commit_is_asked_for_twice_comes_once(url, client):
    streams = WriteStreams(Project(settings_of(url)))
    landing = landing_of(url, streams)
    with closing(landing):
        landing.put("p/landing/7-9", ROWS, COLUMNS)
        client.query(f"TRUNCATE TABLE `{dataset_of(url)}`.`_tailrace_landinglanding_0`").result()
        written = []
        commit = streams._commit
        streams._commit = lambda writer, parent, stream: written.append((writer, parent, stream))
        landing.put("p/landing/10-12", ROWS, COLUMNS)
        assert rows_of(client, url, "_tailrace_landinglanding_0") == []
        for _ in range(2):
            commit(*written[0])
    assert sorted(rows_of(client, url, "_tailrace_landinglanding_0", "c0")) == [(1,), (2,), (3,)]


def test_a_run_by_streams_keeps_every_kind(url, client):
    kinds = {
        "id": INT,
        "name": TEXT,
        "at": {"type": ["null", "string"], "format": "date-time"},
        "price": {"type": ["null", "number"]},
        "more": {"type": ["null", "object"]},
    }
    one = {"id": 1, "name": "NULL '€'\n", "at": "2026-01-31T12:00:00.123456+02:00", "price": 1.05}
    for name in ("a", "b"):
        report = sent(
            url, schema(kinds, ["id"]), record(one | {"more": {name: [1]}}), pipeline="p", use_storage_write_api=True
        )
        assert report.streams["things"].loaded == 1
    asked = "id, name, CAST(`at` AS STRING), CAST(price AS FLOAT64), TO_JSON_STRING(more)"
    found = rows_of(client, url, "things", asked)
    assert found[0][:2] == (1, "NULL '€'\n")
    assert found[0][2].startswith("2026-01-31 10:00:00.123456")
    assert (found[0][3], json.loads(found[0][4])) == (1.05, {"b": [1]})


def test_many_rows_go_into_a_stream_by_several_requests(url, client):
    rows = pa.table({"id": [*range(300_000)], "text": ["x" * 50] * 300_000, LINE: [*range(300_000)]})
    columns = COLUMNS | {"text": TableColumn("text", Kind.TEXT)}
    landing = landing_of(url)
    with closing(landing):
        landing.put("p/landing/0-299999", rows.select(["id", LINE, "text"]), columns)
    assert rows_of(client, url, "_tailrace_landinglanding_0", "COUNT(*), COUNT(DISTINCT c0), MAX(c1)") == [
        (300_000, 300_000, 299_999)
    ]


def test_a_transaction_that_a_killed_run_has_left_open_is_ended_by_the_next_one(url, client):
    sent(url, schema({"id": INT}, ["id"]), record({"id": 1}), pipeline="p")
    dead = open_destination(url, {})
    dead.recover("p")
    work = dead._work
    work.begun()
    assert work.run(f"UPDATE `{dataset_of(url)}`.`things` SET id = 9 WHERE TRUE") == 1
    with pytest.raises(Exception, match="concurrent update"):
        client.query(f"UPDATE `{dataset_of(url)}`.`things` SET id = 7 WHERE TRUE").result()
    report = sent(url, schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 2}), pipeline="p")
    assert report.streams["things"].updated == 1
    assert rows_of(client, url, "things") == [(1, 2)]
    assert len(rows_of(client, url, "_tailrace_sessions")) == 1
    dead.close()


def test_two_pipelines_in_one_dataset_have_tables_of_checkpoints_of_their_own(url, client):
    for pipeline in ("a", "b"):
        sent(url, schema({"id": INT}, ["id"], pipeline), record({"id": 1}, pipeline), pipeline=pipeline)
    sent(url, schema({"id": INT}, ["id"], "c"), record({"id": 1}, "c"))
    tables = [table.table_id for table in client.list_tables(dataset_of(url))]
    assert sum(name.startswith("_tailrace_checkpoints_") for name in tables) == 2
    assert "_tailrace_checkpoints" in tables


def test_a_merge_names_the_partitions_of_its_rows_and_changes_those_alone(url, client):
    layout = {"things": {"partition_by": "day", "cluster_by": ["id"]}}
    days = [schema({"id": INT, "day": DATE, "n": INT}, ["id", "day"])]
    first = [record({"id": n, "day": f"2026-01-0{n}", "n": 1}) for n in (1, 2, 3)]
    sent(url, *days, *first, pipeline="p", design=layout)
    found = client.get_table(f"{dataset_of(url)}.things")
    assert (found.time_partitioning.field, found.clustering_fields) == ("day", ["id"])
    report = sent(url, *days, *(record({"id": n, "day": f"2026-01-0{n}", "n": 2}) for n in (2, 4)), pipeline="p")
    assert (report.streams["things"].updated, report.streams["things"].loaded) == (1, 2)
    assert sorted(rows_of(client, url, "things", "id, n")) == [(1, 1), (2, 2), (3, 1), (4, 2)]
    told = [job.query for job in client.list_jobs() if job.job_type == "query" and "_tailrace_winners" in job.query]
    assert any("`t`.`day` >= ? AND `t`.`day` <= ?" in sql for sql in told)


def test_a_column_becomes_wider_while_rows_wait(url, client):
    wide = {"type": ["null", "integer"], "maximum": 10**25}
    messages = [schema({"id": INT, "n": INT}, ["id"]), record({"id": 1, "n": 1})]
    messages += [schema({"id": INT, "n": wide}, ["id"]), record({"id": 2, "n": 10**20})]
    sent(url, *messages, pipeline="p")
    assert sorted(rows_of(client, url, "things", "id, CAST(n AS STRING)"))[1][1].startswith("1" + "0" * 20)
    names = [field.name for field in client.get_table(f"{dataset_of(url)}.things").schema]
    assert names == ["id", "n"]
    sent(url, *messages, pipeline="q", table="others", disable_update_column_types=True)
    names = [field.name for field in client.get_table(f"{dataset_of(url)}.others").schema]
    assert names == ["id", "n", "n__decimal"]


def test_jobs_run_where_the_dataset_is_and_where_there_is_none_where_it_is_to_be(bigquery_server, client):
    made = Dataset(f"{bigquery_server.project}.in_europe")
    made.location = "europe-west3"
    client.create_dataset(made)
    where = {"project_id": bigquery_server.project, "endpoint": bigquery_server.endpoint, "location": "EU"}
    for dataset, location in (("in_europe", "europe-west3"), ("nowhere", "EU")):
        with closing(Project(bigquery.Settings.model_validate(where | {"dataset": dataset})).client()) as found:
            assert found.location == location


@pytest.mark.parametrize("pipeline", ["p", None], ids=["named", "unnamed"])
def test_a_replacement_that_is_committed_is_there_after_the_next_run_though_the_first_was_killed_before_it(
    url, client, monkeypatch, pipeline
):
    sent(url, schema({"id": INT}), record({"id": 1}), pipeline="p")
    with monkeypatch.context() as killed:
        killed.setattr(Exchanges, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sent(url, schema({"id": INT}), record({"id": 2}), method="replace", pipeline=pipeline)
    assert rows_of(client, url, "things") == [(1,)]
    sent(url, schema({"id": INT}, (), "others"), record({"id": 3}, "others"), pipeline="p")
    assert rows_of(client, url, "things") == [(2,)]
    assert not [table for table in client.list_tables(dataset_of(url)) if table.table_id.startswith("_tailrace_new")]


def test_a_table_is_replaced_by_one_of_another_layout(url, client):
    days = schema({"id": INT, "day": DATE}, ["id"])
    for number, design in enumerate(({}, {"partition_by": "day"}, {"partition_by": "day", "cluster_by": ["id"]}), 1):
        layout = {"things": design}
        sent(url, days, record({"id": number, "day": "2026-01-01"}), method="replace", pipeline="p", design=layout)
        assert rows_of(client, url, "things", "id") == [(number,)]
        found = client.get_table(f"{dataset_of(url)}.things")
        assert bool(found.time_partitioning) == ("partition_by" in design)
        assert found.clustering_fields == design.get("cluster_by")


def test_a_session_that_can_not_be_ended_is_noted_until_it_is(url, client):
    sent(url, schema({"id": INT}, ["id"]), record({"id": 1}), pipeline="p")
    noted = rows_of(client, url, "_tailrace_sessions", "session")
    assert len(noted) == 1
    gone = Sessions(Unreachable(client), dataset_of(url), 5)
    with pytest.raises(ServiceUnavailable):
        gone.take_over("p", "next")
    assert rows_of(client, url, "_tailrace_sessions", "session") == noted
    Sessions(client, dataset_of(url), 5).take_over("p", "next")
    assert rows_of(client, url, "_tailrace_sessions", "session") == [("next",)]


def test_rows_of_unlike_lengths_go_into_a_stream_in_requests_that_are_small_enough(url, client):
    texts = ["x"] * 9000 + ["y" * 160_000] * 100
    rows = pa.table({"id": [*range(9100)], "text": texts, LINE: [*range(9100)]})
    columns = COLUMNS | {"text": TableColumn("text", Kind.TEXT)}
    landing = landing_of(url)
    with closing(landing):
        landing.put("p/t/0-9099", rows, {name: columns[name] for name in ("id", "text", LINE)})
        long = pa.table({"id": [1], "text": ["z" * 9_000_000], LINE: [12]})
        with pytest.raises(RowsRefusedError) as refused:
            landing.put("p/t/12-12", long, {name: columns[name] for name in ("id", "text", LINE)})
    assert [*refused.value.reasons] == [12]
    assert rows_of(client, url, "_tailrace_landingt_0", "COUNT(*), COUNT(DISTINCT c0)") == [(9100, 9100)]


def test_parts_are_spread_over_tables_so_that_many_may_be_loaded_at_once(url, client):
    landing = landing_of(url, LoadJobs(5, (5, 600.0)))
    with closing(landing), closing(Project(settings_of(url)).open()) as session:
        for number in range(12):
            landing.put(f"p/parts/{number}-{number}", ROWS.slice(0, 1), COLUMNS)
        tables = [table.table_id for table in client.list_tables(dataset_of(url))]
        assert 1 < len(tables) <= 12
        session.execute("CREATE TEMP TABLE all_of_them (id INT64, line INT64)")
        landing.copy(session, TableName("all_of_them"), ["id", "line"], [f"p/parts/{n}-{n}" for n in range(12)])
        assert session.query("SELECT COUNT(*) FROM all_of_them") == [(12,)]
        landing.remove("p/parts")
        assert [*client.list_tables(dataset_of(url))] == []


def test_what_a_checkpoint_did_is_told_among_the_loads(url, client):
    sent = [schema({"id": INT}, []), record({"id": 1})]
    load((json.dumps(message).encode() for message in sent), url, pipeline="p", loads=True)
    told = client.query(f"SELECT pipeline, checkpoint, stream, inserted FROM `{dataset_of(url)}`._tailrace_loads")
    assert [tuple(row.values()) for row in told.result()] == [("p", 1, "things", 1)]
