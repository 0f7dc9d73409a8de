"""What Snowflake's destination alone does, on what stands in for it."""

import json
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import snowflake.connector
from live import of_snowflake

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.destinations import snowflake as snowflake_settings
from tailrace.errors import DestinationError
from tailrace.model import Method
from tailrace.sql.session import LoggedSession
from tailrace.testing import BEHAVIOURS
from tailrace.testing.messages import INT, TEXT, record, schema, state
from tailrace.testing.parts import ID, stream

PIPELINE = """p'"; DROP TABLE x -- 表"""


def loaded(url, *messages, **settings):
    return load((json.dumps(message).encode() for message in messages), url, **settings)


def asked_since_made(server, url):
    """What the server was asked, each with its tag, since the database of `url` was made for a test."""
    history = server.history()
    schema_made = f"CREATE SCHEMA {urlsplit(url).path.split('/')[1]}.PUBLIC"
    return history[[sql for sql, _ in history].index(schema_made) + 1 :]


def test_each_statement_is_tagged_with_its_pipeline_and_checkpoint(snowflake_server):
    url = snowflake_server.database()
    for number in (1, 2):
        sent = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": number, "name": "a"}), state({"n": number})]
        loaded(url, *sent, pipeline=PIPELINE)
    ours = asked_since_made(snowflake_server, url)
    # The driver asks a second time where to send a file, without what the first time had with it.
    tags = [(sql, json.loads(tag)) for sql, tag in ours if tag or not sql.startswith("PUT")]
    assert {tag["app"] for _, tag in tags} == {"tailrace"}
    assert {tag["pipeline"] for _, tag in tags} == {PIPELINE}
    for verb in ("PUT", "COPY INTO", "INSERT INTO", "COMMIT"):
        assert {tag["checkpoint"] for sql, tag in tags if sql.startswith(verb)} - {None} == {1, 2}
    assert not any("DROP TABLE x" in sql for sql, _ in ours)


REPLACING = {"pipeline": "p", "method": "replace", "retry_s": 0}


@pytest.fixture
def database(snowflake_server):
    """The address of a new database, and what asks it."""
    url = snowflake_server.database()
    name = urlsplit(url).path.split("/")[1]
    with closing(snowflake.connector.connect(**snowflake_server.login, database=name, schema="PUBLIC")) as connection:
        yield url, lambda sql: connection.cursor().execute(sql).fetchall()


def test_a_replaced_table_is_cloned_with_its_key_and_kept_clustered(snowflake_server, database):
    url, ask = database
    design = {"things": {"cluster_by": ["id"]}}
    for number in (1, 2):
        sent = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": number, "name": "a"})]
        loaded(url, *sent, **REPLACING, design=design)
    assert ask('SELECT "id" FROM "things"') == [(2,)]
    assert [row[4] for row in ask('SHOW PRIMARY KEYS IN TABLE "PUBLIC"."things"')] == ["id"]
    assert ask("SELECT COUNT(*) FROM information_schema.tables WHERE table_name LIKE '%new%'") == [(0,)]
    history = [sql for sql, _ in asked_since_made(snowflake_server, url)]
    assert history.count('ALTER TABLE "PUBLIC"."things" RESUME RECLUSTER') == 2
    assert sum(" CLONE " in sql for sql in history) == 1


def test_a_table_in_capitals_is_replaced(database):
    url, ask = database
    for number in (1, 2):
        sent = schema({"id": INT, "name": TEXT}, ["id"]), record({"id": number, "name": "a"})
        loaded(url, *sent, **REPLACING, disable_double_quotes=True)
    assert ask("SELECT id, name FROM things") == [(2, "a")]
    assert ask("SELECT COUNT(*) FROM _tailrace_exchanges") == [(0,)]


@pytest.mark.parametrize("fails_at", ["CREATE OR REPLACE TABLE", "DROP TABLE IF EXISTS", "DELETE FROM"])
def test_a_clone_that_a_crash_has_left_undone_or_half_done_is_done_by_the_next_run(database, fails_at, monkeypatch):
    url, ask = database
    sent = schema({"id": INT, "name": TEXT}, ["id"])
    loaded(url, sent, record({"id": 1, "name": "a"}), **REPLACING)
    execute, is_cloned = LoggedSession.execute, []

    def failing(session, sql, parameters=()):
        is_cloned.append(" CLONE " in sql)
        if any(is_cloned) and sql.startswith(fails_at):
            raise DestinationError("the connection is lost")
        return execute(session, sql, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(LoggedSession, "execute", failing)
        with pytest.raises(DestinationError):
            loaded(url, sent, record({"id": 2, "name": "b"}), **REPLACING)
    is_visible = fails_at != "CREATE OR REPLACE TABLE"
    assert ask('SELECT "id" FROM "things"') == [(2 if is_visible else 1,)]
    with closing(open_destination(url, {})) as next_run:
        next_run.recover("p")
    assert ask('SELECT "id" FROM "things"') == [(2,)]
    assert ask('SELECT * FROM "_tailrace_exchanges"') == []
    assert ask("SELECT COUNT(*) FROM information_schema.tables WHERE table_name LIKE '%new%'") == [(0,)]


def test_what_replaces_a_table_is_planned(database):
    url, _ = database
    loaded(url, schema({"id": INT}, ["id"]), record({"id": 1}))
    things = stream(ID, key=("id",), method=Method.REPLACE)
    with closing(open_destination(url, {"design": {"things": {"cluster_by": ["id"]}}})) as destination:
        *_, cloned, dropped, resumed = destination.plan(things)
    assert cloned.startswith('CREATE OR REPLACE TABLE "PUBLIC"."things" CLONE')
    assert (dropped.split()[0], resumed) == ("DROP", 'ALTER TABLE "PUBLIC"."things" RESUME RECLUSTER')


@pytest.mark.parametrize("is_json", [False, True], ids=["address", "json"])
def test_what_runs_on_an_account_leaves_no_schema_behind(database, is_json):
    url, ask = database
    given = json.dumps(snowflake_settings.from_url(url)) if is_json else url
    with of_snowflake.empty_schema(given, "LIVE") as subject:
        next(each for each in BEHAVIOURS if each.__name__ == "a_later_run_updates_the_rows_of_an_earlier_one")(subject)
        assert ("LIVE",) in ask("SELECT schema_name FROM information_schema.schemata")
    assert ("LIVE",) not in ask("SELECT schema_name FROM information_schema.schemata")


def test_what_a_checkpoint_did_is_told_among_the_loads(database):
    url, ask = database
    sent = [schema({"id": INT}, [], "things"), record({"id": 1}, "things")]
    load((json.dumps(message).encode() for message in sent), url, pipeline="p", loads=True)
    assert ask("SELECT pipeline, checkpoint, stream, inserted FROM _TAILRACE_LOADS") == [("p", 1, "things", 1)]
