"""A type that a tap sends is one plain type or refused; one of the settings never ends a column's definition."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace import load
from tailrace.destinations import duckdb as duckdb_destination
from tailrace.destinations import mysql, postgres, redshift, sqlite
from tailrace.errors import ConfigError, SchemaError
from tailrace.sql.types import plain_type, type_problem

DIALECTS = {
    "duckdb": duckdb_destination.DIALECT,
    "sqlite": sqlite.DIALECT,
    "postgres": postgres.DIALECT,
    "mysql": mysql.DIALECT,
    "redshift": redshift.DIALECT,
}
EVERYWHERE = list(DIALECTS)


@pytest.mark.parametrize(
    ("dialect", "sent", "written"),
    [
        *((name, "VARCHAR(20)", "VARCHAR(20)") for name in EVERYWHERE),
        *((name, "DECIMAL( 10 , 2 )", "DECIMAL(10,2)") for name in EVERYWHERE),
        *((name, "  date ", "date") for name in EVERYWHERE),
        *((name, "UUID", "UUID") for name in EVERYWHERE),
        ("duckdb", "HUGEINT", "HUGEINT"),
        ("duckdb", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
        ("duckdb", "DATETIME", "TIMESTAMP"),
        ("postgres", "timestamp(3) without time zone", "timestamp(3) without time zone"),
        ("postgres", "double  precision", "double precision"),
        ("postgres", "character varying(20)", "character varying(20)"),
        ("postgres", "INET", "INET"),
        ("postgres", "JSONB", "JSONB"),
        ("postgres", "GEOMETRY(POINT, 4326)", "GEOMETRY(POINT,4326)"),
        ("postgres", "DATETIME(6)", "TIMESTAMP(6)"),
        ("mysql", "DATETIME(6)", "DATETIME(6)"),
        ("mysql", "BIGINT(20) UNSIGNED", "BIGINT(20) UNSIGNED"),
        ("mysql", "ENUM('a', 'it, too')", "ENUM('a','it, too')"),
        ("mysql", "LONGTEXT", "LONGTEXT"),
        ("redshift", "SUPER", "SUPER"),
        ("redshift", "VARCHAR(MAX)", "VARCHAR(MAX)"),
        ("sqlite", "DECIMAL(10,2)", "DECIMAL(10,2)"),
    ],
)
def test_a_plain_type_of_a_tap_is_written_anew(dialect, sent, written):
    assert plain_type(DIALECTS[dialect], sent) == written


HOSTILE = [
    "VARCHAR); DROP TABLE victim; COPY (SELECT 1) TO 'f'; CREATE TABLE zz(a INT",
    "INT; DROP TABLE victim",
    "INT;",
    "VARCHAR) --",
    "INT -- x",
    "INT /* x */",
    "INT # x",
    "INT, pwned INT",
    "VARCHAR(20))",
    "((INT))",
    "(INT)",
    "VARCHAR((SELECT 1))",
    "VARCHAR(lower('x'))",
    "INT DEFAULT 5",
    "INT DEFAULT (SELECT 1)",
    "INT NOT NULL",
    "INT PRIMARY KEY",
    "INT CHECK (1 = 1)",
    "INT REFERENCES victim (id)",
    "INT GENERATED ALWAYS AS (1)",
    'VARCHAR(10) COLLATE "C"',
    "INT AS (1)",
    '"INT"',
    "`INT`",
    "'INT'",
    "ENUM('a');",
    "ENUM('a'') , x INT --')",
    "ENUM('\\'",
    "INT\0",
    "INT\nDEFAULT 5",
    "INT\n",
    "ＩＮＴ",
    "ⅠNT",
    "INT\u00a0",
    "\u202eINT",
    "INT INT",
    "NULL",
    "SERIAL",
    "NO_SUCH_TYPE",
    "pg_catalog.int4",
    "INT[]",
    "STRUCT(a INT)",
    "MAP(INT, INT)",
    "",
    " ",
    "1",
    "SELECT 1",
    "VARCHAR(99999999999999999999)",
    "INT " * 500,
    "(" * 5000,
    "E'x'",
    "$$x$$",
]


@pytest.mark.parametrize("dialect", EVERYWHERE)
@pytest.mark.parametrize("sent", HOSTILE, ids=lambda text: repr(text[:30]))
def test_what_is_more_or_less_than_a_plain_type_isnt_taken_from_a_tap(dialect, sent):
    assert plain_type(DIALECTS[dialect], sent) is None


PIECES = st.sampled_from(
    ["INT", "VARCHAR", "(", ")", "10", ",", ";", "--", "'", '"', "`", " ", "DEFAULT", "[", "]", "\\", "$"]
)


@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from(EVERYWHERE))
def test_what_is_written_is_words_numbers_and_texts_in_one_pair_of_brackets(sent, dialect):
    written = plain_type(DIALECTS[dialect], sent)
    if written is not None:
        assert not set(written) & set(';-"`[]\\$')
        assert written.count("(") == written.count(")") <= 1
        assert "DEFAULT" not in written.split()
        assert type_problem(DIALECTS[dialect], written) is None


@pytest.mark.parametrize(
    ("dialect", "given_type"),
    [
        ("postgres", 'VARCHAR(10) COLLATE "C"'),
        ("postgres", "GEOMETRY(POINT,4326)"),
        ("postgres", "numeric(10,2) not null default 0"),
        ("postgres", "timestamp(3) with time zone"),
        ("postgres", "int generated always as identity"),
        ("postgres", "citext"),
        ("postgres", "public.my_type"),
        ("postgres", "text[]"),
        ("mysql", "varchar(20) character set utf8mb4"),
        ("mysql", "ENUM('a','b#c','d$e')"),
        ("mysql", "datetime on update current_timestamp"),
        ("duckdb", "STRUCT(a INT, b VARCHAR)"),
        ("duckdb", "ENUM('a', 'b;c')"),
        ("duckdb", "SMALLINT CHECK (x > 0)"),
        ("redshift", "varchar(200) encode zstd"),
        ("sqlite", "DECIMAL(10,2)"),
    ],
)
def test_a_type_of_the_settings_may_say_more(dialect, given_type):
    assert type_problem(DIALECTS[dialect], given_type) is None


ENDING = [
    "VARCHAR); DROP TABLE victim; CREATE TABLE zz(a INT",
    "INT; DROP TABLE victim",
    "INT;",
    "VARCHAR) --",
    "INT -- x",
    "INT /* x */",
    "INT /*! x */",
    "INT, pwned INT",
    "VARCHAR(20))",
    "VARCHAR(20",
    "INT DEFAULT (SELECT 1)",
    "INT DEFAULT 'a\\'",
    "INT DEFAULT 'a",
    "$$x$$",
    "INT\0",
    "",
    "  ",
    "-- x",
    "INT " * 500,
]


@pytest.mark.parametrize("dialect", EVERYWHERE)
@pytest.mark.parametrize("given_type", ENDING, ids=lambda text: repr(text[:30]))
def test_a_type_of_the_settings_never_ends_the_columns_definition(dialect, given_type):
    assert type_problem(DIALECTS[dialect], given_type) is not None


def messages(sent):
    properties = {"id": {"type": "integer"}, "a": sent}
    yield {"type": "SCHEMA", "stream": "s", "key_properties": [], "schema": {"properties": properties}}
    yield {"type": "RECORD", "stream": "s", "record": {"id": 1, "a": "x"}}


INJECTION = HOSTILE[0]


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "string", "x-sql-datatype": INJECTION},
        {"anyOf": [{"type": "string", "x-sql-datatype": INJECTION}, {"type": "null"}]},
        {"$ref": "#/properties/b", "x-sql-datatype": INJECTION},
        {"allOf": [{"type": "string"}, {"x-sql-datatype": INJECTION}]},
    ],
)
@pytest.mark.parametrize("method", ["append", "replace"])
@pytest.mark.parametrize("scheme", ["duckdb", "sqlite"])
def test_sql_in_a_taps_type_is_refused_before_anything_is_made(tmp_path, sent, scheme, method):
    victim = "VARCHAR"
    lines = list(messages(sent))
    lines[0]["schema"]["properties"]["b"] = {"type": "string", "x-sql-datatype": victim}
    with pytest.raises(SchemaError, match=r"^stream 's', column 'a', line 1: .*isn't one plain type"):
        load(lines, to=f"{scheme}:///{tmp_path / 'x.db'}", method=method)
    if scheme == "duckdb":
        with duckdb.connect(str(tmp_path / "x.db")) as connection:
            tables = connection.execute("select table_name from information_schema.tables").fetchall()
        assert {name for (name,) in tables} <= {"_tailrace_checkpoints"}


def test_a_setting_gets_past_a_type_of_the_tap(tmp_path):
    sent = {"type": "string", "x-sql-datatype": INJECTION}
    for number, column in enumerate(({"sql_type": "VARCHAR(9)"}, {"kind": "TEXT"}, {"select": False})):
        report = load(
            messages(sent), to=f"duckdb:///{tmp_path / str(number)}.db", streams={"s": {"columns": {"a": column}}}
        )
        assert report.total.loaded == 1


def test_a_type_of_the_settings_that_is_more_is_a_config_error_with_its_key(tmp_path):
    settings = {"streams": {"s": {"columns": {"a": {"sql_type": "INT); DROP TABLE victim; --"}}}}}
    with pytest.raises(
        ConfigError, match=r"^columns\.a\.sql_type: stream 's': 'INT\); DROP TABLE victim; --' has a comment"
    ):
        load(messages({"type": "string"}), to=f"duckdb:///{tmp_path / 'x.db'}", **settings)


@pytest.mark.parametrize("sent", [5, ["INT"], {"a": 1}, True])
def test_a_type_of_a_tap_that_is_no_text_is_refused_with_its_path(tmp_path, sent):
    with pytest.raises(SchemaError, match=r"line 1, \$\.properties\.a\.x-sql-datatype: "):
        load(messages({"type": "string", "x-sql-datatype": sent}), to=f"duckdb:///{tmp_path / 'x.db'}")


def test_files_and_lakes_take_no_type_of_a_tap(tmp_path):
    report = load(messages({"type": "string", "x-sql-datatype": INJECTION}), to=f"files:{tmp_path / 'files'}")
    assert report.total.loaded == 1
