"""MySQL beyond what every destination does: what it refuses, how rows get in, and what it needs."""

import json
import re
from contextlib import closing
from urllib.parse import urlsplit

import mysql.connector
import mysqls
import pytest

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError, RecordError, RowsRefusedError, SchemaError, TailraceError
from tailrace.model import Column, Kind, Method
from tailrace.sql.session import LoggedSession
from tailrace.testing.messages import ANY, BINARY, BOOL, DATE, FLOAT, INT, TEXT, TIMESTAMPTZ, decimal, record, schema
from tailrace.testing.parts import batch, checkpoint, commit_rows, stream


def connected(url, **login):
    parts = urlsplit(url)
    given = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password} | login
    return closing(mysql.connector.connect(**given, database=parts.path[1:], use_pure=True, autocommit=True))


@pytest.fixture
def query(any_mysql_url):
    """Runs a statement as somebody else, and gives its rows."""
    with connected(any_mysql_url) as connection:

        def run(statement):
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.with_rows else []

        yield run


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(m).encode() for m in messages), url, **settings)


def test_rows_that_a_type_of_the_table_would_change_are_named_by_their_lines(query, any_mysql_url, tmp_path):
    query("CREATE TABLE things (id tinyint, name varchar(5))")
    sent = [record({"id": n, "name": name}) for n, name in ((1, "ab\ncd"), (2, "abcdef"), (300, "ok"), (4, "x"))]
    path = tmp_path / "aside.jsonl"
    report = load(
        any_mysql_url, schema({"id": INT, "name": TEXT}), *sent, on_invalid="quarantine", quarantine=str(path)
    )
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    reasons = {entry["line"]: entry["reasons"][0]["got"] for entry in entries if "record" in entry}
    assert set(reasons) == {3, 4}
    assert "Data truncated for column 'name'" in reasons[3]
    assert "Out of range value for column 'id'" in reasons[4]
    assert (report.total.loaded, report.total.quarantined) == (2, 2)
    assert query("SELECT * FROM things ORDER BY id") == [(1, "ab\ncd"), (4, "x")]


def test_a_text_that_is_too_long_for_a_key_is_refused_and_never_cut(any_mysql_url):
    with pytest.raises(RecordError, match=r"line 2.*truncated"):
        load(any_mysql_url, schema({"id": TEXT}, ["id"]), record({"id": "x" * 701}))


def test_a_number_that_is_none_is_refused_by_its_line(any_mysql_url):
    numbers = stream(Column("n", ("n",), Kind.FLOAT), key=())
    with closing(open_destination(any_mysql_url, {})) as destination:
        destination.recover("p")
        destination.prepare(numbers)
        with pytest.raises(RowsRefusedError) as refused:
            destination.stage(batch(numbers, (1.5,), (float("nan"),), (float("-inf"),), first_line=7))
    assert set(refused.value.reasons) == {8, 9}


def test_a_keyed_table_without_a_key_of_its_own_has_its_rows_rewritten(query, any_mysql_url):
    query("CREATE TABLE things (id bigint, name text, mine varchar(9) DEFAULT 'kept')")
    query("INSERT INTO things VALUES (1, 'old', 'mine'), (2, 'other', 'mine')")
    load(any_mysql_url, schema({"id": INT, "name": TEXT}, ["id"]), *(record({"id": n, "name": "new"}) for n in (1, 3)))
    rows = query("SELECT * FROM things ORDER BY id")
    assert rows == [(1, "new", "mine"), (2, "other", "mine"), (3, "new", "kept")]


def test_another_unique_index_is_an_error_and_never_updates_another_row(query, any_mysql_url):
    query("CREATE TABLE things (id bigint PRIMARY KEY, name varchar(9) UNIQUE)")
    query("INSERT INTO things VALUES (1, 'taken')")
    with pytest.raises(DestinationError, match=r"Duplicate entry for key '(things\.)?name'") as refused:
        load(any_mysql_url, schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 2, "name": "taken"}))
    assert "taken" not in str(refused.value)
    assert query("SELECT * FROM things") == [(1, "taken")]


def test_a_key_of_zero_stays_zero_where_the_server_counts_by_itself(query, any_mysql_url):
    query("CREATE TABLE things (id bigint AUTO_INCREMENT PRIMARY KEY, name text)")
    for _ in range(2):
        load(any_mysql_url, schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 0, "name": "a"}))
    assert query("SELECT * FROM things") == [(0, "a")]


def test_a_table_of_another_engine_is_refused_with_the_statement_that_changes_it(query, any_mysql_url):
    query("CREATE TABLE things (id bigint) ENGINE = MyISAM")
    with pytest.raises(SchemaError, match=r"MyISAM.*run `ALTER TABLE `.*`\.`things` ENGINE = InnoDB`"):
        load(any_mysql_url, schema({"id": INT}), record({"id": 1}))
    assert load(any_mysql_url, schema({"id": INT}), record({"id": 1}), method="replace").total.loaded == 1
    assert query("SELECT * FROM things") == [(1,)]


SETTINGS = {
    "default_storage_engine": ("'MyISAM'", "'InnoDB'"),
    "sql_safe_updates": (1, 0),
    "wait_timeout": (1, 28800),
    "lc_messages": ("'de_DE'", "'en_US'"),
}
OWN_SETTINGS = {"mariadb": {"innodb_force_primary_key": (1, 0)}, "mysql": {}}
"""Those that one of the servers alone has."""


def test_the_servers_own_settings_change_nothing(query, any_mysql, any_mysql_url):
    settings = SETTINGS | OWN_SETTINGS[any_mysql]
    messages = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 1, "name": "a"})]
    try:
        for name, (hostile, _) in settings.items():
            query(f"SET GLOBAL {name} = {hostile}")
        load(any_mysql_url, *messages, pipeline="p")
        load(any_mysql_url, *messages, record({"id": 2, "name": "b"}), pipeline="p")
        load(any_mysql_url, *messages, pipeline="q", method="replace")
        with pytest.raises(RecordError, match=r"line 2: .*truncated"):
            load(any_mysql_url, schema({"id": TEXT}, ["id"], "others"), record({"id": "x" * 701}, "others"))
    finally:
        for name, (_, usual) in settings.items():
            query(f"SET GLOBAL {name} = {usual}")
    assert query("SELECT * FROM things") == [(1, "a")]
    engines = query("SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = database()")
    assert engines == [("InnoDB",)]


@pytest.mark.parametrize(
    ("sql_type", "kind", "value", "cure"),
    [
        ("bit(8)", INT, 5, "bigint unsigned"),
        ("year", INT, 70, "smallint"),
        ("set('a','b')", TEXT, "b,a", "text"),
        ("float(7,2)", FLOAT, 1.005, "double"),
        ("double(7,2)", FLOAT, 1.005, "double"),
        ("binary(5)", BINARY, "AAE=", r"varbinary\(5\)"),
        ("inet6", TEXT, "0:0::1", "text"),
    ],
)
def test_a_type_that_changes_values_is_refused_by_its_name(
    query, any_mysql, any_mysql_url, sql_type, kind, value, cure
):
    if (any_mysql, sql_type) == ("mysql", "inet6"):
        pytest.skip("MariaDB alone has that type")
    query(f"CREATE TABLE things (id bigint, other {sql_type})")
    assert load(any_mysql_url, schema({"id": INT}), record({"id": 1})).total.loaded == 1
    query("ALTER TABLE things RENAME COLUMN other TO v")
    with pytest.raises(SchemaError, match=f"'v'.*changes values; run `ALTER TABLE .* MODIFY COLUMN `v` {cure}`"):
        load(any_mysql_url, schema({"id": INT, "v": kind}), record({"id": 2, "v": value}))
    assert query("SELECT id FROM things") == [(1,)]


@pytest.mark.parametrize(("collation", "other"), [("latin1_general_ci", "A"), ("latin1_bin", "a ")])
def test_a_key_whose_collation_takes_texts_for_the_same_is_refused_with_the_statement_that_changes_it(
    query, any_mysql_url, collation, other
):
    query(f"CREATE TABLE things (id varchar(9) CHARACTER SET latin1 COLLATE {collation} PRIMARY KEY)")
    sent = [schema({"id": TEXT}, ["id"]), record({"id": "a"}), record({"id": other})]
    with pytest.raises(SchemaError, match=collation) as refused:
        load(any_mysql_url, *sent)
    query(re.search("`(ALTER .*?)`, with", str(refused.value))[1])
    assert load(any_mysql_url, *sent).total.loaded == 2
    assert query("SELECT id FROM things ORDER BY id") == sorted([(other,), ("a",)])


def test_a_number_in_a_key_becomes_text_by_hand(query, any_mysql_url):
    query("CREATE TABLE things (id bigint PRIMARY KEY)")
    sent = [schema({"id": TEXT}, ["id"]), record({"id": "a"})]
    with pytest.raises(SchemaError, match="part of the key") as refused:
        load(any_mysql_url, *sent)
    query(re.search("`(ALTER .*?)`, or", str(refused.value))[1])
    assert load(any_mysql_url, *sent).total.loaded == 1


@pytest.mark.parametrize(
    ("rest", "lost"),
    [
        ("DEFAULT 7", "DEFAULT"),
        ("COMMENT 'mine'", "COMMENT"),
        ("AUTO_INCREMENT UNIQUE", "auto_increment"),
        ("CHECK (n > 3)", "CHECK"),
    ],
)
def test_a_column_that_would_lose_something_of_its_own_is_not_altered(query, any_mysql, any_mysql_url, rest, lost):
    if (any_mysql, lost) == ("mysql", "CHECK"):
        pytest.skip("MySQL keeps a CHECK when its column is altered")
    query(f"CREATE TABLE things (id bigint, n int NOT NULL {rest})")
    before = query("SHOW CREATE TABLE things")
    for kind, change in ((INT, r"int(\(11\))?"), (decimal(12, 2), r"decimal\(21,2\)")):
        with pytest.raises(SchemaError, match=f"'n'.* would lose its {lost}; run `.* MODIFY COLUMN `n` {change}`"):
            load(any_mysql_url, schema({"id": INT, "n": kind}), record({"id": 1, "n": None}))
    assert query("SHOW CREATE TABLE things") == before


@pytest.mark.parametrize("any_mysql", ["mysql"], indirect=True)
def test_a_check_survives_that_its_column_is_altered_in_mysql(query, any_mysql_url):
    query("CREATE TABLE things (id bigint, n int NOT NULL CHECK (n > 3))")
    load(any_mysql_url, schema({"id": INT, "n": decimal(12, 2)}), record({"id": 1, "n": 4.25}), record({"id": 2}))
    assert query("SELECT id, cast(n AS char) FROM things ORDER BY id") == [(1, "4.25"), (2, None)]
    with pytest.raises(TailraceError, match=r"CHECK|[Cc]heck constraint"):
        load(any_mysql_url, schema({"id": INT, "n": INT}), record({"id": 3, "n": 3}))


def test_a_column_is_widened_and_loses_not_null_at_once(query, any_mysql_url):
    query("CREATE TABLE things (id bigint, n int NOT NULL)")
    load(any_mysql_url, schema({"id": INT, "n": decimal(12, 2)}), record({"id": 1, "n": 1.25}), record({"id": 2}))
    assert query("SELECT id, cast(n AS char) FROM things ORDER BY id") == [(1, "1.25"), (2, None)]


DEEPEST = {"mariadb": 31, "mysql": 100}
"""How many levels JSON may have."""


def test_json_that_the_server_does_not_take_is_refused_by_its_line(query, any_mysql, any_mysql_url, tmp_path):
    query("CREATE TABLE things (id bigint PRIMARY KEY, `a``b` json)")
    deepest, deeper = (json.loads("[" * n + "]" * n) for n in (DEEPEST[any_mysql], DEEPEST[any_mysql] + 1))
    sent = [record({"id": n, "a`b": value}) for n, value in enumerate((deepest, deeper, "no json", [2]))]
    path = tmp_path / "aside.jsonl"
    messages = [schema({"id": INT, "a`b": ANY}, ["id"]), *sent]
    report = load(any_mysql_url, *messages, naming="preserve", on_invalid="quarantine", quarantine=str(path))
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [entry["line"] for entry in entries if "record" in entry] == [3]
    assert report.total.loaded == 3
    rows = query("SELECT * FROM things ORDER BY id")
    assert [(n, json.loads(text)) for n, text in rows] == [(0, deepest), (2, "no json"), (3, [2])]


def test_bytes_in_a_key_are_told_apart_and_json_has_no_place_there(query, any_mysql_url):
    keyed = schema({"a": BINARY, "b": TEXT}, ["a", "b"])
    rows = [record({"a": a, "b": "x"}) for a in ("AAE=", "AAEA", "AAE=")]
    assert load(any_mysql_url, keyed, *rows).total.deduplicated == 1
    assert query("SELECT a FROM things ORDER BY a") == [(b"\0\1",), (b"\0\1\0",)]
    assert [row[1] for row in query("DESCRIBE things")] == ["varbinary(1400)", "varchar(350)"]
    with pytest.raises(SchemaError, match=r"'k'.* JSON .*takes in no key"):
        load(any_mysql_url, schema({"k": ANY}, ["k"], "others"), record({"k": [1]}, "others"))


@pytest.mark.parametrize("is_done", [False, True], ids=["before the exchange", "after the exchange"])
def test_an_exchange_that_a_crash_has_left_undone_is_done_by_recovery(query, any_mysql_url, is_done, monkeypatch):
    things = stream(key=(), method=Method.REPLACE)
    with closing(open_destination(any_mysql_url, {})) as old:
        commit_rows(old, stream(key=()), (1, "old"))

    class CrashError(Exception):
        pass

    execute = LoggedSession.execute

    def crash(session, sql, parameters=()):
        changed = execute(session, sql, parameters)
        if sql == "COMMIT":
            raise CrashError
        return changed

    new = open_destination(any_mysql_url, {})
    last = new.recover("p")
    assert last is None
    new.prepare(things)
    receipt = new.stage(batch(things, (2, "new")))
    if not is_done:
        monkeypatch.setattr(LoggedSession, "execute", crash)
        with pytest.raises(CrashError):
            new.commit(checkpoint(receipt, pipeline="p", replace=(things,), final=True))
        monkeypatch.undo()
        assert query("SELECT id FROM things") == [(1,)]
    else:
        new.commit(checkpoint(receipt, pipeline="p", replace=(things,), final=True))
    new.close()
    with closing(open_destination(any_mysql_url, {})) as again:
        assert again.recover("p").number == 1
    assert query("SELECT id FROM things") == [(2,)]
    assert query("SELECT count(*) FROM _tailrace_exchanges") == [(0,)]


def test_where_local_files_are_off_rows_are_inserted_just_as_exactly(query, any_mysql_url):
    columns = {"id": INT, "t": TEXT, "d": decimal(38, 9), "b": BINARY, "day": DATE, "at": TIMESTAMPTZ, "yes": BOOL}
    rows = [
        {"id": n, "t": "数据\0\\", "d": 0.000000001, "b": "AP8=", "day": "0001-01-01", "at": "9999-12-31T23:59:59Z"}
        | {"yes": n % 2 == 0}
        for n in range(1200)
    ]
    messages = [schema(columns, ["id"]), *map(record, rows)]
    found = []
    try:
        for local_infile in ("ON", "OFF"):
            query(f"SET GLOBAL local_infile = {local_infile}")
            assert load(any_mysql_url, *messages).total.loaded == 1200
            assert ("LOAD DATA" in open_destination(any_mysql_url, {}).check()[0]) is (local_infile == "ON")
            found.append(query("SELECT * FROM things ORDER BY id"))
            query("DROP TABLE things")
    finally:
        query("SET GLOBAL local_infile = ON")
    assert found[0] == found[1]
    assert len(found[0]) == 1200


def test_the_smallest_grants_are_enough(query, any_mysql_url):
    database = urlsplit(any_mysql_url).path[1:]
    query("CREATE USER loader IDENTIFIED BY 'secret'")
    grants = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, CREATE TEMPORARY TABLES"
    query(f"GRANT {grants} ON `{database}`.* TO loader")
    login = {"user": "loader", "password": "secret"}
    messages = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 1, "name": "a"})]
    try:
        assert load(any_mysql_url, *messages, **login).total.updated == 0
        assert load(any_mysql_url, *messages, **login).total.updated == 1
        load(any_mysql_url, schema({"id": INT, "n": INT}, ["id"]), record({"id": 2, "n": 1}), **login)
        load(any_mysql_url, schema({"id": INT}), record({"id": 3}), **login, method="replace")
        assert query("SELECT id FROM things") == [(3,)]
        log = [schema({"id": INT}, [], "log"), record({"id": 1}, "log"), schema({"id": INT, "n": INT}, [], "log")]
        load(any_mysql_url, *log, schema({"id": INT}, [], "other"), record({"id": 2}, "log"), **login)
        assert query("SELECT id FROM log ORDER BY id") == [(1,), (2,)]
    finally:
        query("DROP USER loader")


def test_a_wrong_password_is_no_passing_trouble_and_isnt_told(any_mysql_url):
    destination = open_destination(any_mysql_url, {"password": "hush-hush"})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert not destination.is_transient(refused.value)
    assert "hush-hush" not in str(refused.value) + repr(destination)


def test_nobody_listening_is_passing_trouble(any_mysql_url, free_port):
    destination = open_destination(any_mysql_url, {"port": free_port})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert destination.is_transient(refused.value)


@pytest.mark.parametrize(("number", "passes"), [(1020, True), (1047, True), (3101, True), (4031, True), (1062, False)])
def test_conflicts_and_idle_sessions_are_passing_trouble(any_mysql_url, number, passes):
    error = DestinationError("MySQL: no")
    error.__cause__ = mysql.connector.Error("no", errno=number)
    assert open_destination(any_mysql_url, {}).is_transient(error) is passes


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("v varchar(9), n bigint) PARTITION BY RANGE(n) (PARTITION a VALUES LESS THAN (10)", "no partition for value;"),
        ("v varchar(9), n bigint, CHECK (v < 10)", "violated|Truncated incorrect DECIMAL value;"),
    ],
)
def test_what_a_table_refuses_at_the_commit_is_told_without_the_value(any_mysql_url, table, told):
    mysqls.query(any_mysql_url, f"CREATE TABLE things ({table})")
    sent = [schema({"v": TEXT, "n": INT}, []), record({"v": "hush4711", "n": 4711})]
    with pytest.raises(DestinationError, match=told) as refused:
        mysqls.load(any_mysql_url, *sent)
    assert "4711" not in str(refused.value)
