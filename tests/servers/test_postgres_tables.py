"""Tables of PostgreSQL that somebody else has made: what they would change is refused, and what they have is kept."""

import json
import threading
from contextlib import closing

import psycopg
import pytest

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError, RecordError, SchemaError
from tailrace.model import Column, Kind
from tailrace.runtime.retry import Retry
from tailrace.testing.messages import FLOAT, INT, TEXT, TIME, TIMESTAMPTZ, record, schema
from tailrace.testing.parts import ID, batch, checkpoint, stream

MORE = Column("more", ("more",), Kind.TEXT)


@pytest.fixture
def server(postgres_url):
    """A session of somebody else."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(m).encode() for m in messages), url, **settings)


@pytest.mark.parametrize("key", [[], ["id"]], ids=["appended", "keyed"])
@pytest.mark.parametrize(
    ("sql_type", "kind", "held", "refused"),
    [
        ("real", FLOAT, 0.5, 123456.789),
        ("real", INT, 16777216, 16777217),
        ("timestamp(0)", TIMESTAMPTZ, "2024-01-01T00:00:01Z", "2024-01-01T00:00:00.6Z"),
        ("timestamptz(3)", TIMESTAMPTZ, "2024-01-01T00:00:00.123Z", "2024-01-01T00:00:00.1234Z"),
        ("time(0)", TIME, "01:02:03", "01:02:03.5"),
        ("varchar(3)", TEXT, "abc", "abc  "),
        ("char(3)", TEXT, "abc", "ab "),
        ("numeric(5,-2)", INT, None, 12345),
        ("money", FLOAT, None, 1.005),
        ("name", TEXT, None, "x" * 70),
        ("smallint", INT, 32767, 32768),
    ],
)
def test_a_value_that_a_type_would_change_is_refused_by_its_line(
    server, postgres_url, tmp_path, sql_type, kind, held, refused, key
):
    server.execute(f"CREATE TABLE things (id bigint{' PRIMARY KEY' if key else ''}, v {sql_type})")
    path = tmp_path / "aside.jsonl"
    rows = [record({"id": n, "v": value}) for n, value in enumerate((held, refused, None))]
    report = load(
        postgres_url, schema({"id": INT, "v": kind}, key), *rows, on_invalid="quarantine", quarantine=str(path)
    )
    assert (report.total.loaded, report.total.quarantined) == (2, 1)
    assert '"line":3' in path.read_text(encoding="utf-8").replace(" ", "")
    assert server.execute("SELECT id FROM things ORDER BY id").fetchall() == [(0,), (2,)]


def test_rows_of_a_keyed_table_without_a_key_of_its_own_are_updated_in_place(server, postgres_url):
    server.execute("CREATE TABLE things (id bigint UNIQUE, name text, serial int GENERATED ALWAYS AS IDENTITY)")
    server.execute("CREATE TABLE parts (of bigint REFERENCES things (id) ON DELETE CASCADE)")
    server.execute("INSERT INTO things VALUES (1, 'old'); INSERT INTO parts VALUES (1)")
    report = load(
        postgres_url, schema({"id": INT, "name": TEXT}, ["id"]), *(record({"id": n, "name": "new"}) for n in (1, 2))
    )
    assert (report.total.updated, report.total.loaded) == (1, 2)
    assert server.execute("SELECT * FROM things ORDER BY id").fetchall() == [(1, "new", 1), (2, "new", 2)]
    assert server.execute("SELECT of FROM parts").fetchall() == [(1,)]


def test_a_key_that_includes_other_columns_is_still_its_key(server, postgres_url):
    server.execute("CREATE TABLE things (v bigint, b bigint, a bigint, PRIMARY KEY (a, b) INCLUDE (v))")
    for value in (1, 2):
        load(postgres_url, schema({"a": INT, "b": INT, "v": INT}, ["a", "b"]), record({"a": 1, "b": 2, "v": value}))
    assert server.execute("SELECT a, b, v FROM things").fetchall() == [(1, 2, 2)]


def test_a_row_that_is_too_big_is_refused_by_its_line(server, postgres_url):
    names = [f"c{n}" for n in range(1200)]
    sent = (record(dict.fromkeys(names, value)) for value in ("x", "0123456789"))
    with pytest.raises(tailrace.RecordError, match=r"line 3.*too big"):
        load(postgres_url, schema(dict.fromkeys(names, TEXT)), *sent)


def test_nobody_waits_while_a_table_is_altered_and_rows_of_others_wait(server, postgres_url):
    log = stream(key=(), name="log")
    other, wider = stream(name="other"), stream(ID, MORE, name="other", revision=2)
    server.execute("SET lock_timeout = '5s'")
    with closing(open_destination(postgres_url, {})) as destination:
        destination.recover("p")
        for made in (log, other):
            destination.prepare(made)
        receipt = destination.stage(batch(log, (1, "a")))
        destination.prepare(wider)
        assert server.execute("SELECT more FROM other").fetchall() == []
        destination.commit(checkpoint(receipt, pipeline="p"))
    assert server.execute("SELECT id FROM log").fetchall() == [(1,)]


def test_a_table_is_altered_whose_rows_are_locked_by_rows_that_wait(server, postgres_url):
    server.execute("CREATE TABLE owners (id bigint PRIMARY KEY)")
    server.execute("INSERT INTO owners VALUES (1)")
    server.execute("CREATE TABLE log (id bigint REFERENCES owners, name text)")
    log, owners = stream(key=(), name="log"), stream(ID, MORE, name="owners", revision=2)
    with closing(open_destination(postgres_url, {"lock_timeout_s": 1})) as destination:
        destination.recover("p")
        destination.prepare(log)
        receipt = destination.stage(batch(log, (1, "a")))
        destination.prepare(owners)
        destination.commit(checkpoint(receipt, pipeline="p"))
    assert server.execute("SELECT more FROM owners").fetchall() == [(None,)]
    assert server.execute("SELECT id FROM log").fetchall() == [(1,)]


def test_runs_that_begin_at_once_make_their_tables_once(server, postgres_url):
    failed = []

    def prepare(number):
        with closing(open_destination(postgres_url, {"schema": "fresh"})) as destination:
            retry = Retry(destination, 300.0)
            try:
                retry.call(destination.recover, f"p{number}")
                for revision, columns in enumerate(((ID,), (ID, MORE)), start=1):
                    retry.call(destination.prepare, stream(*columns, revision=revision))
            except DestinationError as error:
                failed.append(error)

    threads = [threading.Thread(target=prepare, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    names = server.execute("SELECT attname FROM pg_attribute WHERE attrelid = 'fresh.things'::regclass AND attnum > 0")
    assert [name for (name,) in names] == ["id", "more"]


NUL_IN_JSON = {
    2: (r'{"a": "x\u0000y"}', {"a": "xy"}),
    3: (r'{"k\u0000\u0000": [{"\u0000": "\u0000z"}]}', {"k": [{"": "z"}]}),
    4: (r'{"a": "\\u0000"}', {"a": r"\u0000"}),
    5: (r'{"a": "\\\u0000"}', {"a": "\\"}),
    6: (r'{"a": 1}', {"a": 1}),
}


@pytest.mark.parametrize("key", [[], ["id"]], ids=["appended", "keyed"])
def test_nul_in_json_is_left_out_where_that_is_set(server, postgres_url, key):
    lines = [
        f'{{"type":"RECORD","stream":"t","record":{{"id":{n},"j":{sent}}}}}' for n, (sent, _) in NUL_IN_JSON.items()
    ]
    sent = [json.dumps(schema({"id": INT, "j": {}}, key, "t")), *lines]
    tailrace.load((line.encode() for line in sent), f"{postgres_url}?nul=strip")
    found = dict(server.execute("SELECT id, j FROM t").fetchall())
    assert found == {n: expected for n, (_, expected) in NUL_IN_JSON.items()}


def test_nul_in_json_is_refused_with_the_setting_that_leaves_it_out(server, postgres_url, tmp_path):
    path = tmp_path / "aside.jsonl"
    lines = [
        f'{{"type":"RECORD","stream":"t","record":{{"id":{n},"j":{sent}}}}}' for n, (sent, _) in NUL_IN_JSON.items()
    ]
    sent = [json.dumps(schema({"id": INT, "j": {}}, ["id"], "t")), *lines]
    with pytest.raises(
        RecordError, match=r"line 2.*column 'j': PostgreSQL has no NUL in JSON \(`nul: strip` drops it\)"
    ):
        tailrace.load((line.encode() for line in sent), postgres_url)
    tailrace.load((line.encode() for line in sent), postgres_url, on_invalid="quarantine", quarantine=str(path))
    assert server.execute("SELECT id FROM t ORDER BY id").fetchall() == [(4,), (6,)]
    assert path.read_text(encoding="utf-8").count("nul: strip") == 3


def test_a_column_of_the_type_json_keeps_nul(server, postgres_url):
    server.execute("CREATE TABLE t (id bigint, j json)")
    load(postgres_url, schema({"id": INT, "j": {}}, (), "t"), record({"id": 1, "j": ["\0"]}, "t"))
    assert server.execute("SELECT j::text FROM t").fetchall() == [(r'["\u0000"]',)]


@pytest.mark.parametrize("spelled", ["NUMERIC(1500,3)", "NO_SUCH_TYPE", "varchar(99999999)"])
@pytest.mark.parametrize("method", ["append", "upsert"])
def test_a_type_that_there_isnt_is_refused_and_what_came_before_is_committed(postgres_url, server, spelled, method):
    sent = [schema({"id": INT}, ["id"], "before"), record({"id": 1}, "before"), {"type": "STATE", "value": 1}]
    sent += [schema({"id": INT, "v": TEXT}, ["id"]), record({"id": 1, "v": None})]
    with pytest.raises(SchemaError, match=r"stream 'things', column 'v', line 4: .*another (`sql_type`|kind)"):
        load(postgres_url, *sent, method=method, columns={"v": {"sql_type": spelled}}, pipeline="p")
    assert server.execute("SELECT id FROM before").fetchall() == [(1,)]


def test_a_type_that_there_isnt_undoes_nothing_of_a_table_that_rows_wait_for(postgres_url, server):
    sent = [schema({"id": INT}), record({"id": 1}), {"type": "STATE", "value": 1}]
    sent += [schema({"id": INT, "v": TEXT}), record({"id": 2, "v": None})]
    with pytest.raises(SchemaError, match="column 'v'"):
        load(postgres_url, *sent, method="append", columns={"v": {"sql_type": "NO_SUCH_TYPE"}}, pipeline="p")
    assert server.execute("SELECT id FROM things").fetchall() == [(1,)]
