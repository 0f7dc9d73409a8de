"""PostgreSQL beyond what every destination does: what it refuses, what it needs, and who else is there."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from psycopg import sql
from services.processes import wait_until

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError, RecordError
from tailrace.testing.messages import INT, TEXT, THINGS, decimal, record, schema
from tailrace.testing.parts import PIPELINE, batch, checkpoint, commit_rows, stream


@pytest.fixture
def server(postgres_url):
    """A session of somebody else."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(m).encode() for m in messages), url, **settings)


def quarantined(url, tmp_path, *messages):
    """The lines set aside, with their reasons."""
    path = tmp_path / "aside.jsonl"
    load(url, *messages, on_invalid="quarantine", quarantine=str(path))
    entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {entry["line"]: entry["reasons"][0]["got"] for entry in entries if "record" in entry}


def test_rows_that_a_type_of_the_table_refuses_are_named_by_their_lines(server, postgres_url, tmp_path):
    server.execute("CREATE TABLE things (id bigint, name varchar(5))")
    rows = [record({"id": n, "name": name}) for n, name in enumerate(("ab\ncd", "abcdef", "ok", "\n\n\n\n\n\n", "x"))]
    aside = quarantined(postgres_url, tmp_path, schema({"id": INT, "name": TEXT}), *rows)
    assert set(aside) == {3, 5}
    assert "character varying(5) doesn't hold it unchanged" in aside[3]
    assert server.execute("SELECT id FROM things ORDER BY id").fetchall() == [(0,), (2,), (4,)]


def test_rows_that_a_constraint_refuses_are_named_by_their_lines(server, postgres_url, tmp_path):
    server.execute("CREATE TABLE things (id bigint UNIQUE, name text CHECK (name <> 'no'))")
    server.execute("INSERT INTO things VALUES (7, 'there')")
    rows = [record({"id": n, "name": name}) for n, name in ((1, "a"), (2, "no"), (7, "again"), (1, "twice"), (3, "b"))]
    aside = quarantined(postgres_url, tmp_path, schema({"id": INT, "name": TEXT}), *rows)
    assert set(aside) == {3, 4, 5}
    assert server.execute("SELECT id FROM things ORDER BY id").fetchall() == [(1,), (3,), (7,)]


def test_a_batch_of_which_every_row_is_refused_is_set_aside_whole(server, postgres_url, tmp_path):
    server.execute("CREATE TABLE things (id bigint CHECK (id < 0))")
    aside = quarantined(postgres_url, tmp_path, schema({"id": INT}), *(record({"id": n}) for n in range(1000)))
    assert set(aside) == set(range(2, 1002))


def test_a_row_without_the_one_it_refers_to_is_found_by_halving(server, postgres_url, tmp_path):
    server.execute("CREATE TABLE owners (id bigint PRIMARY KEY)")
    server.execute("INSERT INTO owners VALUES (1)")
    server.execute("CREATE TABLE things (id bigint REFERENCES owners)")
    rows = (record({"id": 5 if n == 11 else 1}) for n in range(40))
    aside = quarantined(postgres_url, tmp_path, schema({"id": INT}), *rows)
    assert set(aside) == {13}
    assert server.execute("SELECT count(*) FROM things").fetchone() == (39,)


def test_the_last_line_of_each_text_wins_and_all_are_counted(server, postgres_url):
    server.execute('CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE "en-US" LOCALE "C.UTF-8"')
    url = f"{postgres_url.rpartition('/')[0]}/icu"
    keys = ["b", "B", "a", "ä", "a ", "", "é", "e\u0301", "10", "9"]
    columns = schema({"id": TEXT, "n": INT}, key=["id"])
    first = load(url, columns, *(record({"id": key, "n": 0}) for key in keys[:6]))
    again = load(url, columns, *(record({"id": key, "n": n}) for n in range(1, 4) for key in keys))
    with psycopg.connect(url) as other:
        assert sorted(other.execute("SELECT id, n FROM things").fetchall()) == sorted((key, 3) for key in keys)
    server.execute("DROP DATABASE icu")
    [was], [now] = first.streams.values(), again.streams.values()
    assert (was.loaded, was.updated, was.deduplicated) == (6, 0, 0)
    assert (now.loaded, now.updated, now.deduplicated) == (10, 6, 20)


def test_rows_of_nothing_but_their_key_are_inserted_once(server, postgres_url):
    columns = schema({"id": INT}, key=["id"])
    load(postgres_url, columns, record({"id": 1}), record({"id": 1}))
    again = load(postgres_url, columns, record({"id": 1}), record({"id": 2}))
    [now] = again.streams.values()
    assert (now.loaded, now.updated) == (2, 1)
    assert server.execute("SELECT id FROM things ORDER BY id").fetchall() == [(1,), (2,)]


def test_nul_in_text_is_refused_with_what_to_do(postgres_url):
    with pytest.raises(RecordError, match=r"line 2.*nul: strip"):
        load(postgres_url, schema({"name": TEXT}), record({"name": "a\0b"}))


def test_nul_in_text_is_stripped_when_asked_for(server, postgres_url):
    load(postgres_url, schema({"name": TEXT}), record({"name": "a\0b\0"}), nul="strip")
    assert server.execute("SELECT name FROM things").fetchall() == [("ab",)]


def test_a_keyed_table_without_a_key_of_its_own_has_its_rows_rewritten(server, postgres_url):
    server.execute("CREATE TABLE things (id bigint, name text, mine text DEFAULT 'kept')")
    server.execute("INSERT INTO things VALUES (1, 'old', 'mine'), (2, 'other', 'mine')")
    load(postgres_url, schema({"id": INT, "name": TEXT}, ["id"]), *(record({"id": n, "name": "new"}) for n in (1, 3)))
    rows = server.execute("SELECT * FROM things ORDER BY id").fetchall()
    assert rows == [(1, "new", "mine"), (2, "other", "mine"), (3, "new", "kept")]


def test_another_unique_index_is_an_error_that_leaves_the_table_as_it_was(server, postgres_url):
    server.execute("CREATE TABLE things (id bigint PRIMARY KEY, name text UNIQUE)")
    server.execute("INSERT INTO things VALUES (1, 'taken')")
    messages = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 2, "name": "taken"})]
    with pytest.raises(DestinationError, match="things_name_key"):
        load(postgres_url, *messages)
    assert server.execute("SELECT * FROM things").fetchall() == [(1, "taken")]


def test_more_digits_are_given_to_a_column_in_place(server, postgres_url):
    load(postgres_url, schema({"n": decimal(5, 2)}), record({"n": 1.25}))
    load(postgres_url, schema({"n": decimal(9, 4)}), record({"n": 1.2525}))
    assert [str(n) for (n,) in server.execute("SELECT n FROM things ORDER BY n")] == ["1.2500", "1.2525"]


def test_appended_rows_can_wait_in_staging(server, postgres_url):
    report = load(postgres_url, schema({"id": INT}), *(record({"id": n}) for n in range(10)), append_through="staging")
    assert report.total.loaded == 10
    assert server.execute("SELECT count(*) FROM things").fetchone() == (10,)


@pytest.mark.parametrize("append_through", ["transaction", "staging"])
@pytest.mark.parametrize("key", [(), ("id",)])
def test_nobody_waits_for_a_checkpoint_in_the_making(server, postgres_url, append_through, key):
    """Others read, add columns to other tables, and see nothing until the commit."""
    server.execute("SET lock_timeout = '5s'")
    things = stream(key=key)
    with closing(open_destination(postgres_url, {"append_through": append_through})) as destination:
        destination.recover("p")
        destination.prepare(things)
        receipt = destination.stage(batch(things, (1, "a")))
        assert server.execute("SELECT * FROM things").fetchall() == []
        server.execute("CREATE TABLE elsewhere (id int)")
        destination.commit(checkpoint(receipt, pipeline="p"))
    assert server.execute("SELECT * FROM things").fetchall() == [(1, "a")]


def test_staging_tables_are_unlogged_and_gone_after_the_commit(server, postgres_url):
    listing = "SELECT relpersistence FROM pg_class WHERE relkind = 'r' AND starts_with(relname, '_tailrace_new')"
    things = stream()
    with closing(open_destination(postgres_url, {})) as destination:
        destination.recover("p")
        destination.prepare(things)
        receipt = destination.stage(batch(things, (1, "a")))
        assert server.execute(listing).fetchall() == [("u",)]
        destination.commit(checkpoint(receipt, pipeline="p"))
        assert server.execute(listing).fetchall() == []


def test_a_run_that_was_overtaken_while_it_stages_is_told_so(postgres_url):
    things = stream()
    with (
        closing(open_destination(postgres_url, {})) as older,
        closing(open_destination(postgres_url, {})) as newer,
    ):
        older.recover("p")
        older.prepare(things)
        older.stage(batch(things, (1, "a")))
        commit_rows(newer, things, (2, "b"), pipeline="p")
        with pytest.raises(tailrace.FencedError):
            older.stage(batch(things, (3, "c"), first_line=2))


def test_a_lost_session_is_replaced_and_staged_rows_outlive_it(server, postgres_url):
    things = stream()
    with closing(open_destination(postgres_url, {})) as destination:
        destination.recover("p")
        destination.prepare(things)
        receipt = destination.stage(batch(things, (1, "a")))
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tailrace'")
        with pytest.raises(DestinationError) as lost:
            destination.commit(checkpoint(receipt, pipeline="p"))
        assert destination.is_transient(lost.value)
        destination.commit(checkpoint(receipt, pipeline="p"))
    assert server.execute("SELECT * FROM things").fetchall() == [(1, "a")]


def test_the_smallest_grants_are_enough(server, postgres_url):
    role, database = sql.Identifier(f"loader_{server.info.backend_pid}"), sql.Identifier(server.info.dbname)
    for statement in (
        "CREATE ROLE {role} LOGIN PASSWORD 'secret'",
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.old (id bigint PRIMARY KEY, name text)",
        "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}",
        "GRANT USAGE, CREATE ON SCHEMA raw TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON raw.old TO {role}",
    ):
        server.execute(sql.SQL(statement).format(role=role, database=database))
    login = {"user": role.as_string(None).strip('"'), "password": "secret", "schema": "raw"}
    try:
        for name in (THINGS, "old"):
            messages = [schema({"id": INT, "name": TEXT}, ["id"], name), record({"id": 1, "name": "a"}, name)]
            assert load(postgres_url, *messages, **login).total.updated == 0
            assert load(postgres_url, *messages, **login).total.updated == 1
        load(postgres_url, schema({"id": INT}, stream="log"), record({"id": 1}, "log"), **login)
        load(postgres_url, schema({"id": INT, "n": INT}, stream="log"), record({"n": 1}, "log"), **login)
        load(postgres_url, schema({"id": INT}, stream="log"), record({"id": 1}, "log"), **login, method="replace")
    finally:
        server.execute(sql.SQL("DROP OWNED BY {role}; DROP ROLE {role}").format(role=role))


def test_a_wrong_password_is_no_passing_trouble_and_isnt_told(postgres_url):
    destination = open_destination(postgres_url, {"password": "hush-hush", "user": "nobody"})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert not destination.is_transient(refused.value)
    assert "hush-hush" not in str(refused.value) + repr(destination)


def test_nobody_listening_is_passing_trouble(postgres_url, free_port):
    destination = open_destination(postgres_url, {"port": free_port})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert destination.is_transient(refused.value)


def test_check_says_where_it_is_and_what_may_be_made(postgres_url):
    told = open_destination(postgres_url, {"schema": "elsewhere"}).check()
    assert "PostgreSQL" in told[0]
    assert told[1] == "The schema 'elsewhere': isn't there yet and will be made."


@pytest.mark.parametrize("through", ["transaction", "staging"])
def test_pickled_before_use_it_is_the_same_destination(server, postgres_url, through):
    destination = pickle.loads(pickle.dumps(open_destination(postgres_url, {"append_through": through})))
    with closing(destination):
        commit_rows(destination, stream(key=()), (1, "a"))
    assert server.execute("SELECT * FROM things").fetchall() == [(1, "a")]


def test_a_run_that_takes_over_while_the_older_one_commits_goes_on_from_what_that_committed(server, postgres_url):
    with closing(open_destination(postgres_url, {})) as older:
        commit_rows(older, stream(), (1, "a"))
    with (
        psycopg.connect(postgres_url) as committing,
        closing(open_destination(postgres_url, {})) as newer,
        ThreadPoolExecutor(1) as other,
    ):
        committing.execute("UPDATE _tailrace_checkpoints SET number = 2, state = '{\"n\": 2}'")
        recovering = other.submit(newer.recover, PIPELINE)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        wait_until(lambda: server.execute(waits).fetchone() == (1,), lambda: "nobody waits for the commit")
        committing.commit()
        last = recovering.result()
        assert (last.number, json.loads(last.state)) == (2, {"n": 2})
        newer.prepare(stream())
        newer.commit(checkpoint(newer.stage(batch(stream(), (3, "c"), checkpoint=3)), number=3))
