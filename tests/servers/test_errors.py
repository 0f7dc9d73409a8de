"""What databases say is told with the stream and with what to do, once, and what is for good isn't tried again."""

import gc
import json
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import duckdb
import mysql.connector
import psycopg
import pytest

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError, RecordError, SchemaError, TailraceError
from tailrace.testing.messages import FLOAT, INT, TEXT, TIMESTAMPTZ, record, schema

DATABASES = ("postgres", "mariadb", "mysql", "redshift", "duckdb", "sqlite")


class Database:
    """A database of that kind, its address, and somebody else's session."""

    def __init__(self, kind, url, path, behind):
        self.kind, self.url, self._path, self._behind = kind, url, path, behind

    def run(self, *statements):
        """The rows of the last statement."""
        with closing(self._connected()) as session:
            cursor = session.cursor()
            for statement in statements:
                cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            session.commit()
        return rows

    def _connected(self):
        if self.kind == "duckdb":
            return duckdb.connect(self._path)
        if self.kind == "sqlite":
            return sqlite3.connect(self._path)
        if self.kind in {"mariadb", "mysql"}:
            parts = urlsplit(self.url)
            login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
            return mysql.connector.connect(**login, database=parts.path[1:], use_pure=True)
        return psycopg.connect(self._behind)

    def tables(self):
        """The names of all tables but tailrace's own that it keeps."""
        listing = {
            "duckdb": "SELECT table_name FROM duckdb_tables()",
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "mariadb": "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
            "mysql": "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
        }
        names = self.run(
            listing.get(
                self.kind, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
        )
        return {name for (name,) in names} - {"_tailrace_checkpoints", "_tailrace_exchanges"}


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    kind = request.param
    if kind in {"duckdb", "sqlite"}:
        path = tmp_path / f"x.{kind}"
        return Database(kind, f"{kind}:///{path}", path, None)
    url = request.getfixturevalue(f"{kind}_url")
    behind = request.getfixturevalue("redshift_server").behind(url) if kind == "redshift" else url
    return Database(kind, url, None, behind)


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(m).encode() for m in messages), url, **settings)


def with_login(url, **login):
    parts = urlsplit(url)
    given = {"user": parts.username, "password": parts.password, "host": parts.hostname, "port": parts.port} | login
    where = "{user}:{password}@{host}:{port}".format(**given)
    path = "/" + login["database"] if "database" in login else parts.path
    return urlunsplit((parts.scheme, where, path, parts.query, ""))


LIMITS = {"postgres": 1600, "redshift": 1600, "mariadb": 1017, "mysql": 1017, "sqlite": 2000}


@pytest.mark.parametrize("database", LIMITS, indirect=True)
def test_a_table_of_too_many_columns_is_refused_before_anything_is_made(database):
    limit = LIMITS[database.kind]
    names = [f"c{n}" for n in range(limit)]
    with pytest.raises(SchemaError, match=rf"stream 'things'.* {limit:,} columns.*select: false.*nested: json"):
        load(database.url, schema(dict.fromkeys(names, INT), ["c0"]), record(dict.fromkeys(names, 1)))
    assert database.tables() == set()
    load(database.url, schema(dict.fromkeys(names[:3], INT), ["c0"]), record(dict.fromkeys(names[:3], 1)))
    with pytest.raises(SchemaError, match=rf"would have {limit + 1:,} columns"):
        load(database.url, schema(dict.fromkeys([*names[2:], "c0", "x"], INT), ["c0"]))
    assert len(database.run("SELECT * FROM things")[0]) == 3


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_table_may_have_as_many_columns_as_postgresql_has(database):
    names = [f"c{n}" for n in range(1600)]
    load(database.url, schema(dict.fromkeys(names, INT)), record({"c7": 1}))
    load(database.url, schema(dict.fromkeys(names[:1599], INT), ["c7"], "keyed"), record({"c7": 1}, "keyed"))
    assert len(database.run("SELECT * FROM things")[0]) == 1600
    assert len(database.run("SELECT * FROM keyed")[0]) == 1599


OTHERS = [
    ("postgres", "CREATE VIEW things AS SELECT 1 AS id GROUP BY 1", "a view"),
    ("postgres", "CREATE MATERIALIZED VIEW things AS SELECT 1 AS id", "a materialized view"),
    ("postgres", "CREATE SEQUENCE things", "a sequence"),
    ("postgres", "CREATE TABLE o (id int); CREATE INDEX things ON o (id)", "an index"),
    ("postgres", "CREATE TYPE things AS (id int)", "a type"),
    ("redshift", "CREATE VIEW things AS SELECT 1 AS id", "a view"),
    ("mariadb", "CREATE VIEW things AS SELECT 1 AS id GROUP BY 1", "a view"),
    ("mariadb", "CREATE SEQUENCE things", "a sequence"),
    ("mysql", "CREATE VIEW things AS SELECT 1 AS id GROUP BY 1", "a view"),
    ("sqlite", "CREATE VIEW things AS SELECT 1 AS id", "a view"),
    ("duckdb", "CREATE VIEW things AS SELECT 1 AS id", "a view"),
]


@pytest.mark.parametrize("method", ["append", "upsert", "replace"])
@pytest.mark.parametrize(("database", "statement", "what"), OTHERS, indirect=["database"])
def test_a_name_of_something_that_takes_no_rows_is_refused_with_what_it_is(database, statement, what, method):
    database.run(*statement.split("; "))
    before = database.tables()
    with pytest.raises(SchemaError, match=f"stream 'things'.*there is {what} of that name.*set another `table:`"):
        load(database.url, schema({"id": INT}, ["id"]), record({"id": 1}), method=method)
    assert database.tables() == before


def test_rows_go_into_a_view_that_takes_them(postgres_url):
    database = Database("postgres", postgres_url, None, postgres_url)
    database.run("CREATE TABLE t (id bigint)", "CREATE VIEW things AS SELECT id FROM t")
    with pytest.raises(DestinationError, match=r"stream 'things'.*view.*append_through: staging"):
        load(postgres_url, schema({"id": INT}), record({"id": 1}))
    load(postgres_url, schema({"id": INT}), record({"id": 1}), append_through="staging")
    load(postgres_url, schema({"id": INT}, ["id"]), record({"id": 2}), record({"id": 1}))
    assert database.run("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


@pytest.fixture
def _unclosed():
    """Redshift's driver leaves its socket open when it can't log in, until it is forgotten."""
    yield
    gc.collect()


@pytest.mark.usefixtures("_unclosed")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("database", ["postgres", "mariadb", "mysql", "redshift"], indirect=True)
@pytest.mark.parametrize(
    ("login", "setting"),
    [
        ({"password": "wrong"}, "`user` and `password`"),
        ({"user": "nobody"}, "`user` and `password`"),
        ({"host": "no.such.host.invalid"}, "`host`"),
        ({"database": "no_such_database"}, "`database`"),
    ],
)
def test_who_cannot_log_in_is_told_which_setting_to_change_at_once(database, login, setting):
    if database.kind in {"mariadb", "mysql"} and "database" in login:
        pytest.skip("the database is made when it isn't there")
    destination = open_destination(with_login(database.url, **login), {})
    for call in (lambda: destination.recover("p"), destination.check):
        with pytest.raises(DestinationError, match=f"can't be reached.*set {setting}|temporary failure") as raised:
            call()
        assert not destination.is_transient(raised.value)
        assert "wrong" not in str(raised.value)


@pytest.mark.parametrize("database", ["postgres", "mariadb", "mysql", "redshift"], indirect=True)
def test_a_server_that_does_not_listen_is_tried_again(database, free_port):
    destination = open_destination(with_login(database.url, port=free_port), {})
    with pytest.raises(DestinationError, match="check `host` and `port`") as raised:
        destination.recover("p")
    assert destination.is_transient(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"tls": "verify-full", "tls_ca": "/nonexistent/ca.crt"},
        {"tls": "verify-ca", "tls_ca": __file__},
        {"tls": "require"},
    ],
)
def test_certificates_that_are_not_there_are_not_tried_again(postgres_url, settings):
    destination = open_destination(postgres_url, settings)
    with pytest.raises(DestinationError, match=r"; set `tls") as raised:
        destination.recover("p")
    assert not destination.is_transient(raised.value)


@pytest.fixture
def limited(postgres_url):
    """The database, and its address for a role that may do next to nothing."""
    database = Database("postgres", postgres_url, None, postgres_url)
    name = "limited_" + urlsplit(postgres_url).path[1:]
    owner = urlsplit(postgres_url).path[1:]
    database.run(
        f"CREATE ROLE {name} LOGIN PASSWORD 'x'",
        "REVOKE ALL ON SCHEMA public FROM public",
        f"REVOKE TEMPORARY ON DATABASE {owner} FROM public",
    )
    yield database, with_login(postgres_url, user=name, password="x"), name
    database.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def grants_of(text):
    """The GRANT or ALTER that an error says to run."""
    return text.partition("run `")[2].partition("`")[0]


def test_the_grants_that_errors_name_are_all_that_is_needed(limited):
    database, url, _ = limited
    database.run("CREATE TABLE things (id bigint PRIMARY KEY, _sdc_deleted_at timestamptz)")
    ran, errors = [], []
    for _ in range(4):
        try:
            load(url, schema({"id": INT, "_sdc_deleted_at": TIMESTAMPTZ}, ["id"]), record({"id": 1}), hard_delete=True)
        except DestinationError as error:
            errors.append(error)
            ran.append(grants_of(str(error)).replace('"things"', 'public."things"'))
            database.run(ran[-1])
    assert not any(open_destination(url, {}).is_transient(error) for error in errors)
    assert {grant.partition(" ON ")[0] for grant in ran} == {
        "GRANT USAGE, CREATE",
        "GRANT SELECT, INSERT, UPDATE, DELETE",
        "GRANT TEMPORARY",
    }
    assert database.run("SELECT id FROM things") == [(1,)]


def test_the_grants_that_check_names_are_all_that_is_needed(limited):
    database, url, _ = limited
    for _ in range(2):
        with pytest.raises(DestinationError) as raised:
            open_destination(url, {}).check()
        database.run(grants_of(str(raised.value)))
    open_destination(url, {}).check()
    with pytest.raises(DestinationError, match="run `GRANT CREATE ON DATABASE"):
        open_destination(url, {"schema": "fresh"}).check()


def test_a_column_in_a_table_of_somebody_else_is_refused_with_its_owner(limited):
    database, url, name = limited
    database.run(
        "CREATE TABLE things (id bigint PRIMARY KEY)",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON things TO {name}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {name}",
    )
    with pytest.raises(DestinationError, match=r"stream 'things'.*ALTER TABLE \"things\" OWNER TO.*contract: freeze"):
        load(url, schema({"id": INT, "x": INT}, ["id"]), record({"id": 1, "x": 1}))


def test_a_user_of_mysql_without_rights_is_told_the_grant(any_mysql_url):
    database = Database("mysql", any_mysql_url, None, None)
    database.run("CREATE USER IF NOT EXISTS limited IDENTIFIED BY 'x'")
    destination = open_destination(with_login(any_mysql_url, user="limited", password="x"), {})
    with pytest.raises(DestinationError, match="run `GRANT ALL ON `") as raised:
        destination.recover("p")
    assert not destination.is_transient(raised.value)


def test_a_key_that_is_too_big_for_the_index_is_refused_with_the_stream(postgres_url):
    hard = "".join(chr(0x4E00 + n * 7 % 20000) for n in range(4000))
    with pytest.raises(
        DestinationError, match=r"stream 'things'.*index row.*an index doesn't hold the value.*key_properties"
    ):
        load(postgres_url, schema({"id": TEXT}, ["id"]), record({"id": hard}))


def test_a_row_that_is_too_big_for_a_page_is_refused_by_its_line(postgres_url):
    names = [f"c{n}" for n in range(1200)]
    with pytest.raises(RecordError, match=r"line 2.*row is too big.*select: false"):
        load(postgres_url, schema(dict.fromkeys(names, INT)), record(dict.fromkeys(names, 1)))


@pytest.mark.parametrize(
    ("names", "says"),
    [([f"c{n}" for n in range(400)], r"Row size too large.*; leave columns out")],
)
def test_a_table_that_is_too_wide_for_mysql_is_refused_with_the_stream(any_mysql_url, names, says):
    database = Database("mysql", any_mysql_url, None, None)
    with pytest.raises(SchemaError, match=rf"stream 'things'.*{says}"):
        load(any_mysql_url, schema(dict.fromkeys(names, TEXT)), record(dict.fromkeys(names, "x")))
    assert database.tables() == set()


@pytest.mark.parametrize("database", DATABASES, indirect=True)
def test_names_that_a_database_has_not_become_others_or_are_refused(database):
    names = ["😀", "b ", "c\u2028d", "e" * 300]
    sent = schema({"id": INT} | dict.fromkeys(names, INT), ["id"])
    load(database.url, sent, record({"id": 1} | dict.fromkeys(names, 1)), naming="preserve")
    [row] = database.run("SELECT * FROM things")
    assert row == (1,) * 5


def test_an_emoji_of_a_chosen_name_is_refused_by_mysql_alone(any_mysql_url, postgres_url):
    columns = {"id": {"name": "😀"}}
    with pytest.raises(TailraceError, match=r"can't be a name in MySQL.*columns\.id\.name|columns\.id\.name.*MySQL"):
        load(any_mysql_url, schema({"id": INT}), record({"id": 1}), streams={"things": {"columns": columns}})
    load(postgres_url, schema({"id": INT}), record({"id": 1}), streams={"things": {"columns": columns}})


@pytest.mark.parametrize("database", [kind for kind in DATABASES if kind != "sqlite"], indirect=True)
def test_a_cause_is_said_once(database):
    with pytest.raises(TailraceError) as raised:
        load(
            database.url,
            schema({"id": INT}),
            record({"id": 1}),
            streams={"things": {"columns": {"id": {"sql_type": "nope nope"}}}},
        )
    text = str(raised.value)
    assert "'things'" in text
    assert "sql_type" in text
    cause = str(raised.value.__cause__).partition("\n")[0] if raised.value.__cause__ else ""
    assert text.count(cause) <= 1 or not cause


def test_numbers_that_a_table_rounds_are_still_refused_by_line(postgres_url):
    database = Database("postgres", postgres_url, None, postgres_url)
    database.run("CREATE TABLE things (id real)")
    with pytest.raises(RecordError, match="line 2"):
        load(postgres_url, schema({"id": FLOAT}), record({"id": 123456.789}))
