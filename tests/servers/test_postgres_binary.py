"""PostgreSQL's binary format: what is copied in it is what is copied as text, and what isn't certain goes as text."""

import json
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

import tailrace
from tailrace.destinations import postgres
from tailrace.destinations.postgres.binary import takes, types_of
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE, TableName
from tailrace.testing.messages import INT, TEXT, record, schema

pytest.importorskip("tailrace_native", reason="cargo isn't at hand, so that tailrace-native isn't built")

TABLE = TableName("things", "public")

VALUES = {
    "bigint": (pa.int64(), [0, 1, -1, 2**63 - 1, -(2**63)]),
    "integer": (pa.int64(), [0, 2**31 - 1, -(2**31)]),
    "smallint": (pa.int64(), [0, 2**15 - 1, -(2**15)]),
    "double precision": (pa.float64(), [0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, float("nan"), float("-inf")]),
    "boolean": (pa.bool_(), [True, False]),
    "text": (pa.string(), ["", " ", "NULL", "\\N", "\\.", '"', "a,b\nc\r\n\t\\", "naïve 測試 🚀", "x" * 70_000]),
    "character varying": (pa.string(), ["", "a ", "é"]),
    "jsonb": (pa.string(), ["null", '{"b":1,"a":[1.50,"\\u00e9"]}', '"\\\\u0000"', "1e2"]),
    "json": (pa.string(), ["null", '{"b":1,  "a":2}']),
    "uuid": (pa.string(), ["00000000-0000-0000-0000-000000000000", "123e4567-E89B-12d3-a456-426614174000"]),
    "bytea": (pa.binary(), [b"", b"\0\xff\\", bytes(range(256))]),
    "date": (pa.date32(), [date(1, 1, 1), date(1999, 12, 31), date(2000, 2, 29), date(9999, 12, 31)]),
    "time without time zone": (pa.time64("us"), [time(0), time(23, 59, 59, 999_999)]),
    "timestamp without time zone": (
        pa.timestamp("us"),
        [datetime(1, 1, 1), datetime(1999, 12, 31, 23, 59, 59, 999_999), datetime(9999, 12, 31, 23, 59, 59, 999_999)],
    ),
    "timestamp with time zone": (
        pa.timestamp("us", "UTC"),
        [datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 1, UTC)],
    ),
    "numeric": (pa.decimal128(38, 9), [*map(Decimal, ("0", "-0.000000001", "9999.9999", "10000", "-1e28"))]),
    "numeric(12,3)": (pa.decimal128(12, 3), [*map(Decimal, ("0.001", "-999999999.999", "0.5", "120000"))]),
    "numeric(60,5)": (pa.decimal256(60, 5), [Decimal("-" + "9" * 55 + ".12345"), Decimal("0.00001")]),
}
"""What columns of each type can have, beside null."""


@pytest.fixture
def server(postgres_url):
    """A session of somebody else."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def session(postgres_url):
    """A session of ours, in a transaction."""
    settings = postgres.Settings(**postgres.from_url(postgres_url))
    with closing(postgres.PostgresServer(settings).open()) as session:
        session.execute("BEGIN")
        yield session


def as_text(monkeypatch):
    monkeypatch.setattr(postgres, "takes", lambda _schema, _types: False)


def rows_of(**columns):
    lines = pa.array(range(1, len(next(iter(columns.values()))) + 1), pa.int64())
    return pa.table({**columns, LINE: lines})


def loaded(session, rows):
    """The table's rows as PostgreSQL's text, once these are copied into it."""
    names = [name for name in rows.column_names if name != LINE]
    session.load(TABLE, names, rows)
    found = session.query("SELECT t::text FROM things t")
    session.execute("DELETE FROM things")
    return found


@pytest.mark.parametrize("sql_type", VALUES)
def test_each_type_has_the_same_values_in_binary_as_in_text(session, monkeypatch, sql_type):
    arrow, values = VALUES[sql_type]
    session.execute(f"CREATE TABLE things (id bigint, v {sql_type})")
    rows = rows_of(id=pa.array(range(len(values) + 1)), v=pa.array([*values, None], arrow))
    assert takes(rows.select(["id", "v"]).schema, types_of(session, TABLE, ["id", "v"]))
    binary = loaded(session, rows)
    as_text(monkeypatch)
    assert binary == loaded(session, rows)
    assert len(binary) == len(values) + 1


def test_rows_come_in_pieces_and_from_slices_in_the_order_of_the_columns(session, monkeypatch):
    session.execute("CREATE TABLE things (b text, a bigint)")
    rows = rows_of(a=pa.array(range(25_000)), b=pa.array([f"n{n}" for n in range(25_000)])).slice(3, 24_000)
    binary = loaded(session, rows)
    as_text(monkeypatch)
    assert binary == loaded(session, rows)
    assert binary[0] == ("(n3,3)",)


@pytest.mark.parametrize(
    ("sql_type", "arrow"),
    [
        ("character varying(5)", pa.string()),
        ("timestamp(3)", pa.timestamp("us")),
        ("real", pa.float64()),
        ("money", pa.string()),
        ("numeric", pa.int64()),
        ("bigint[]", pa.string()),
        ("double precision", pa.int64()),
        ("bigint", pa.float64()),
        ("timestamp", pa.int64()),
    ],
)
def test_what_may_be_read_differently_goes_as_text(session, sql_type, arrow):
    session.execute(f"CREATE TABLE things (v {sql_type})")
    assert not takes(pa.schema([("v", arrow)]), types_of(session, TABLE, ["v"]))


def test_a_column_that_is_altered_while_rows_come_has_its_values_all_the_same(server, session, monkeypatch):
    server.execute("CREATE TABLE things (v double precision)")
    rows = rows_of(v=pa.array([1.5, -2.25]))
    known = types_of(session, TABLE, ["v"])
    session.execute("COMMIT")
    server.execute("ALTER TABLE things ALTER v TYPE numeric")
    session.execute("BEGIN")
    real, calls = postgres.types_of, []

    def seen_before(*of):
        calls.append(of)
        return known if len(calls) == 1 else real(*of)

    monkeypatch.setattr(postgres, "types_of", seen_before)
    session.load(TABLE, ["v"], rows)
    assert session.query("SELECT v::text FROM things") == [("1.5",), ("-2.25",)]


def test_bytes_that_another_type_would_take_are_undone(server, session, monkeypatch):
    server.execute("CREATE TABLE things (v bigint)")
    real, calls = postgres.types_of, []

    def seen_before(*of):
        calls.append(of)
        return [701] if len(calls) == 1 else real(*of)

    monkeypatch.setattr(postgres, "types_of", seen_before)
    session.load(TABLE, ["v"], rows_of(v=pa.array([1.0, 2.0])))
    assert session.query("SELECT v FROM things") == [(1,), (2,)]


def test_rows_that_are_refused_in_binary_are_named_as_those_of_text(session):
    session.execute("CREATE TABLE things (id integer CHECK (id <> 7), v text)")
    rows = rows_of(id=pa.array([1, 2**31, 7, 4]), v=pa.array(["a", "b", "c", "d\0"]))
    with pytest.raises(RowsRefusedError) as refused:
        session.load(TABLE, ["id", "v"], rows)
    assert set(refused.value.reasons) == {4}
    with pytest.raises(RowsRefusedError) as refused:
        session.load(TABLE, ["id", "v"], rows.slice(0, 3))
    assert set(refused.value.reasons) == {2, 3}
    assert "out of range" in refused.value.reasons[2]
    assert session.query("SELECT count(*) FROM things") == [(0,)]
    session.load(TABLE, ["id", "v"], rows.slice(0, 1))
    assert session.query("SELECT id FROM things") == [(1,)]


def test_a_stream_is_loaded_in_binary_behind_one_that_cant_be(server, postgres_url):
    server.execute("CREATE TABLE things (id integer, name varchar(5))")
    messages = [
        schema({"id": INT, "name": TEXT}),
        record({"id": 1, "name": "abc"}),
        schema({"id": INT, "name": TEXT}, stream="others"),
        record({"id": 2, "name": "abcdefgh"}, stream="others"),
    ]
    tailrace.load((json.dumps(message).encode() for message in messages), postgres_url)
    assert server.execute("SELECT * FROM things").fetchall() == [(1, "abc")]
    assert server.execute("SELECT * FROM others").fetchall() == [(2, "abcdefgh")]
