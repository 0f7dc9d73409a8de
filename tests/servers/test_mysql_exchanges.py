"""A replaced table in MySQL is exchanged after the commit: no state is told before, whatever is in the way."""

import json
import threading
from contextlib import closing
from urllib.parse import urlsplit

import mysql.connector
import pytest
from services.processes import wait_until

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError
from tailrace.testing.messages import FLOAT, INT, TEXT, TIMESTAMPTZ, record, schema, state


def connected(url):
    parts = urlsplit(url)
    login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    return mysql.connector.connect(**login, database=parts.path[1:], use_pure=True)


@pytest.fixture
def reader(any_mysql_url):
    """A session of somebody else."""
    with closing(connected(any_mysql_url)) as connection:
        yield connection


def rows(connection, sql):
    cursor = connection.cursor()
    cursor.execute(sql)
    return cursor.fetchall() if cursor.description else None


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(message).encode() for message in messages), url, **settings)


REPLACING = {"method": "replace", "lock_timeout_s": 1, "retry_s": 0}


@pytest.mark.parametrize("pipeline", ["p", None], ids=["named", "unnamed"])
def test_a_table_that_a_reader_holds_is_exchanged_by_the_next_run_and_no_state_is_told_before(
    any_mysql_url, reader, pipeline
):
    load(any_mysql_url, schema({"id": INT}), record({"id": 1}))
    told = []
    reader.autocommit = False
    assert rows(reader, "SELECT id FROM things") == [(1,)]
    with pytest.raises(DestinationError, match=r"[Ll]ock"):
        load(
            any_mysql_url,
            *(schema({"id": INT}), record({"id": 2}), state({"n": 2})),
            **REPLACING,
            pipeline=pipeline,
            tell=told.append,
        )
    assert told == []
    assert rows(reader, "SELECT id FROM things") == [(1,)]
    reader.commit()
    with closing(open_destination(any_mysql_url, {})) as next_run:
        next_run.recover(pipeline or "other")
    assert rows(reader, "SELECT id FROM things") == [(2,)]
    assert rows(reader, "SHOW TABLES LIKE '%tailrace_new%'") == []
    assert rows(reader, "SELECT * FROM _tailrace_exchanges") == []


def test_a_run_waits_for_a_reader_and_goes_on(any_mysql_url, reader):
    load(any_mysql_url, schema({"id": INT}), record({"id": 1}))
    reader.autocommit = False
    rows(reader, "SELECT id FROM things")
    waiting = "SELECT 1 FROM information_schema.processlist WHERE state = 'Waiting for table metadata lock'"

    def let_go_once_it_is_waited_for():
        with closing(connected(any_mysql_url)) as other:
            wait_until(lambda: rows(other, waiting), lambda: "nobody waits")
            # Until its time is up, so that it has to be tried again.
            wait_until(lambda: not rows(other, waiting), lambda: "somebody waits")
        reader.commit()

    thread = threading.Thread(target=let_go_once_it_is_waited_for, daemon=True)
    thread.start()
    told = []
    sent = (schema({"id": INT}), record({"id": 2}), state({"n": 2}))
    report = load(any_mysql_url, *sent, **REPLACING | {"retry_s": 600}, tell=told.append)
    thread.join()
    assert (report.total.loaded, [json.loads(line) for line in told]) == (1, [{"n": 2}])
    assert rows(reader, "SELECT id FROM things") == [(2,)]


@pytest.mark.parametrize("key", [[], ["id"]], ids=["appended", "keyed"])
@pytest.mark.parametrize(
    ("sql_type", "kind", "held", "refused"),
    [
        ("float", FLOAT, 0.5, 123456.789),
        ("float", INT, 16777216, 16777217),
        ("datetime", TIMESTAMPTZ, "2024-01-01T00:00:01Z", "2024-01-01T00:00:00.6Z"),
        ("datetime(3)", TIMESTAMPTZ, "2024-01-01T00:00:00.123Z", "2024-01-01T00:00:00.1234Z"),
        ("char(3)", TEXT, "abc", "ab "),
        ("enum('a','b','3','it''s')", TEXT, "it's", "A"),
        ("enum('a','b','3')", TEXT, "3", "2"),
        ("smallint", INT, 32767, 32768),
    ],
)
def test_a_value_that_a_type_would_change_is_refused_by_its_line(
    any_mysql_url, reader, tmp_path, sql_type, kind, held, refused, key
):
    rows(reader, f"CREATE TABLE things (id bigint{' PRIMARY KEY' if key else ''}, v {sql_type})")
    path = tmp_path / "aside.jsonl"
    sent = [record({"id": n, "v": value}) for n, value in enumerate((held, refused, None))]
    settings = {"on_invalid": "quarantine", "quarantine": str(path)}
    report = load(any_mysql_url, schema({"id": INT, "v": kind}, key), *sent, **settings)
    assert (report.total.loaded, report.total.quarantined) == (2, 1)
    assert '"line":3' in path.read_text(encoding="utf-8").replace(" ", "")
    assert rows(reader, "SELECT id FROM things ORDER BY id") == [(0,), (2,)]
