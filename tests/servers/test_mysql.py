"""MySQL beyond what every destination does: what it refuses, how rows get in, and what it needs."""

import json
from contextlib import closing
from urllib.parse import urlsplit

import mysql.connector
import pytest
from services.mariadb import mariadb

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError, RecordError, RowsRefusedError
from tailrace.model import Column, Kind, Method
from tailrace.testing.messages import BINARY, BOOL, DATE, INT, TEXT, TIMESTAMPTZ, decimal, record, schema
from tailrace.testing.parts import batch, checkpoint, commit_rows, stream


def connected(url, **login):
    parts = urlsplit(url)
    given = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password} | login
    return closing(mysql.connector.connect(**given, database=parts.path[1:], use_pure=True, autocommit=True))


@pytest.fixture
def query(mariadb_url):
    """Runs a statement as somebody else, and gives its rows."""
    with connected(mariadb_url) as connection:

        def run(statement):
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.with_rows else []

        yield run


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(m).encode() for m in messages), url, **settings)


def test_rows_that_a_type_of_the_table_would_change_are_named_by_their_lines(query, mariadb_url, tmp_path):
    query("CREATE TABLE things (id tinyint, name varchar(5))")
    sent = [record({"id": n, "name": name}) for n, name in ((1, "ab\ncd"), (2, "abcdef"), (300, "ok"), (4, "x"))]
    path = tmp_path / "aside.jsonl"
    report = load(mariadb_url, schema({"id": INT, "name": TEXT}), *sent, on_invalid="quarantine", quarantine=str(path))
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    reasons = {entry["line"]: entry["reasons"][0]["got"] for entry in entries if "record" in entry}
    assert set(reasons) == {3, 4}
    assert "Data truncated for column 'name'" in reasons[3]
    assert "Out of range value for column 'id'" in reasons[4]
    assert (report.total.loaded, report.total.quarantined) == (2, 2)
    assert query("SELECT * FROM things ORDER BY id") == [(1, "ab\ncd"), (4, "x")]


def test_a_text_that_is_too_long_for_a_key_is_refused_and_never_cut(mariadb_url):
    with pytest.raises(RecordError, match=r"line 2.*truncated"):
        load(mariadb_url, schema({"id": TEXT}, ["id"]), record({"id": "x" * 701}))


def test_a_number_that_is_none_is_refused_by_its_line(mariadb_url):
    numbers = stream(Column("n", ("n",), Kind.FLOAT), key=())
    with closing(open_destination(mariadb_url, {})) as destination:
        destination.recover("p")
        destination.prepare(numbers)
        with pytest.raises(RowsRefusedError) as refused:
            destination.stage(batch(numbers, (1.5,), (float("nan"),), (float("-inf"),), first_line=7))
    assert set(refused.value.reasons) == {8, 9}


def test_a_keyed_table_without_a_key_of_its_own_has_its_rows_rewritten(query, mariadb_url):
    query("CREATE TABLE things (id bigint, name text, mine varchar(9) DEFAULT 'kept')")
    query("INSERT INTO things VALUES (1, 'old', 'mine'), (2, 'other', 'mine')")
    load(mariadb_url, schema({"id": INT, "name": TEXT}, ["id"]), *(record({"id": n, "name": "new"}) for n in (1, 3)))
    rows = query("SELECT * FROM things ORDER BY id")
    assert rows == [(1, "new", "mine"), (2, "other", "mine"), (3, "new", "kept")]


def test_another_unique_index_is_an_error_and_never_updates_another_row(query, mariadb_url):
    query("CREATE TABLE things (id bigint PRIMARY KEY, name varchar(9) UNIQUE)")
    query("INSERT INTO things VALUES (1, 'taken')")
    with pytest.raises(DestinationError, match="Duplicate entry"):
        load(mariadb_url, schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 2, "name": "taken"}))
    assert query("SELECT * FROM things") == [(1, "taken")]


@pytest.mark.parametrize("is_done", [False, True], ids=["before the exchange", "after the exchange"])
def test_an_exchange_that_a_crash_has_left_undone_is_done_by_recovery(query, mariadb_url, is_done):
    things = stream(key=(), method=Method.REPLACE)
    with closing(open_destination(mariadb_url, {})) as old:
        commit_rows(old, stream(key=()), (1, "old"))

    class CrashError(Exception):
        pass

    def crash(step):
        if step == "after_commit":
            raise CrashError

    new = open_destination(mariadb_url, {})
    last = new.recover("p")
    assert last is None
    new.prepare(things)
    receipt = new.stage(batch(things, (2, "new")))
    if not is_done:
        new.on_step = crash
        with pytest.raises(CrashError):
            new.commit(checkpoint(receipt, pipeline="p", replace=(things,), final=True))
        assert query("SELECT id FROM things") == [(1,)]
    else:
        new.commit(checkpoint(receipt, pipeline="p", replace=(things,), final=True))
    new.close()
    with closing(open_destination(mariadb_url, {})) as again:
        assert again.recover("p").number == 1
    assert query("SELECT id FROM things") == [(2,)]
    assert query("SELECT count(*) FROM _tailrace_exchanges") == [(0,)]


def test_where_local_files_are_off_rows_are_inserted_just_as_exactly():
    columns = {"id": INT, "t": TEXT, "d": decimal(38, 9), "b": BINARY, "day": DATE, "at": TIMESTAMPTZ, "yes": BOOL}
    rows = [
        {"id": n, "t": "数据\0\\", "d": 0.000000001, "b": "AP8=", "day": "0001-01-01", "at": "9999-12-31T23:59:59Z"}
        | {"yes": n % 2 == 0}
        for n in range(1200)
    ]
    messages = [schema(columns, ["id"]), *map(record, rows)]
    found = []
    for local_infile in (True, False):
        with mariadb(local_infile=local_infile) as server:
            url = server.database()
            assert load(url, *messages).total.loaded == 1200
            assert ("LOAD DATA" in open_destination(url, {}).check()[0]) is local_infile
            with connected(url) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT * FROM things ORDER BY id")
                found.append(cursor.fetchall())
    assert found[0] == found[1]
    assert len(found[0]) == 1200


def test_the_smallest_grants_are_enough(query, mariadb_url):
    database = urlsplit(mariadb_url).path[1:]
    query("CREATE USER loader IDENTIFIED BY 'secret'")
    grants = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, CREATE TEMPORARY TABLES"
    query(f"GRANT {grants} ON `{database}`.* TO loader")
    login = {"user": "loader", "password": "secret"}
    messages = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 1, "name": "a"})]
    try:
        assert load(mariadb_url, *messages, **login).total.updated == 0
        assert load(mariadb_url, *messages, **login).total.updated == 1
        load(mariadb_url, schema({"id": INT, "n": INT}, ["id"]), record({"id": 2, "n": 1}), **login)
        load(mariadb_url, schema({"id": INT}), record({"id": 3}), **login, method="replace")
        assert query("SELECT id FROM things") == [(3,)]
    finally:
        query("DROP USER loader")


def test_a_wrong_password_is_no_passing_trouble_and_isnt_told(mariadb_url):
    destination = open_destination(mariadb_url, {"password": "hush-hush"})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert not destination.is_transient(refused.value)
    assert "hush-hush" not in str(refused.value) + repr(destination)


def test_nobody_listening_is_passing_trouble(mariadb_url, free_port):
    destination = open_destination(mariadb_url, {"port": free_port})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert destination.is_transient(refused.value)
