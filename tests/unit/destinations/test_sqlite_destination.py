"""What is SQLite's own: declared types that convert nothing, durability, locks, and no schemas."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from tailrace.errors import DestinationError, RowsRefusedError, SchemaError
from tailrace.model import Column, Kind, TableName
from tailrace.testing.parts import ID, PIPELINE, batch, checkpoint, commit_rows, stream


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (Kind.BOOL, True, ("integer", 1)),
        (Kind.INT, -(2**63), ("integer", -(2**63))),
        (Kind.FLOAT, 3.0, ("real", 3.0)),
        (Kind.FLOAT, float("inf"), ("real", float("inf"))),
        (Kind.DECIMAL, Decimal("12345678901234567890123456789.123456789"), None),
        (Kind.DECIMAL, Decimal("1.000000000"), ("text", "1.000000000")),
        (Kind.DECIMAL, Decimal("0.000000001"), ("text", "0.000000001")),
        (Kind.DECIMAL, Decimal("0.000000000"), ("text", "0.000000000")),
        (Kind.TEXT, "007", ("text", "007")),
        (Kind.TEXT, "a\0b", ("text", "a\0b")),
        (Kind.TEXT, "", ("text", "")),
        (Kind.JSON, "1.50", ("text", "1.50")),
        (Kind.BINARY, b"\x00\xff", ("blob", b"\x00\xff")),
        (Kind.DATE, date(1, 2, 3), ("text", "0001-02-03")),
        (Kind.TIME, time(1, 2, 3), ("text", "01:02:03.000000")),
        (Kind.TIMESTAMP, datetime.max, ("text", "9999-12-31 23:59:59.999999")),
        (Kind.TIMESTAMPTZ, datetime(1, 1, 1, tzinfo=UTC), ("text", "0001-01-01 00:00:00.000000+00:00")),
        (Kind.UUID, "00000000-0000-0000-0000-000000000001", ("text", "00000000-0000-0000-0000-000000000001")),
    ],
)
def test_declared_types_change_no_value(sqlite_file, kind, value, stored):
    digits = {"precision": 38, "scale": 9} if kind is Kind.DECIMAL else {}
    destination = sqlite_file.open()
    commit_rows(destination, stream(ID, Column("x", ("x",), kind, **digits)), (1, value))
    destination.close()
    assert sqlite_file.rows("SELECT typeof(x), x FROM things") == [stored or ("text", str(value))]


def test_not_a_number_is_refused_by_line_since_sqlite_would_store_null(sqlite_file):
    floats = stream(ID, Column("x", ("x",), Kind.FLOAT))
    destination = sqlite_file.open()
    destination.recover(PIPELINE)
    with pytest.raises(RowsRefusedError) as refused:
        destination.stage(batch(floats, (1, None), (2, float("nan")), (3, 0.5)))
    assert refused.value.reasons == {2: "column 'x': SQLite has no NaN"}
    destination.commit(checkpoint(destination.stage(batch(floats, (1, None), (3, 0.5)))))


def test_commits_are_synced_to_the_write_ahead_log(sqlite_file):
    session = sqlite_file.open()._database.open()
    assert session.query("PRAGMA journal_mode") == [("wal",)]
    assert session.query("PRAGMA synchronous") == [(2,)]
    session.close()


def test_keyed_tables_have_a_primary_key(sqlite_file):
    destination = sqlite_file.open()
    commit_rows(destination, stream(), (1, "a"))
    destination.close()
    assert sqlite_file.rows("SELECT name, pk FROM pragma_table_info('things')") == [("id", 1), ("name", 0)]


def test_a_wider_kind_gets_a_column_beside(sqlite_file):
    destination = sqlite_file.open()
    commit_rows(destination, stream(ID, Column("n", ("n",), Kind.INT)), (1, 5))
    commit_rows(destination, stream(ID, Column("n", ("n",), Kind.TEXT)), (2, "x"))
    destination.close()
    assert sqlite_file.rows("SELECT id, n, n__text FROM things ORDER BY 1") == [(1, 5, None), (2, None, "x")]


def test_a_schema_is_refused_with_what_to_do(sqlite_file):
    with pytest.raises(SchemaError, match="SQLite has no schemas"):
        sqlite_file.open().plan(replace(stream(), table=TableName("things", "raw")))


def test_a_column_that_cannot_be_null_and_is_not_in_the_stream_is_a_schema_error(sqlite_file):
    sqlite_file.run("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, note TEXT NOT NULL)")
    with pytest.raises(SchemaError, match="'note', which is NOT NULL, has no default"):
        sqlite_file.open().prepare(stream())


def test_a_database_that_another_program_writes_to_may_be_free_later(sqlite_file):
    sqlite_file.run("CREATE TABLE t (a INTEGER)")
    destination = sqlite_file.open(lock_timeout_s=0)
    with closing(sqlite_file.connect()) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DestinationError, match="database is locked") as locked:
            destination.recover(PIPELINE)
        assert destination.is_transient(locked.value)
    assert destination.recover(PIPELINE) is None


def test_readers_see_the_checkpoint_before_while_rows_are_staged(sqlite_file):
    destination = sqlite_file.open()
    commit_rows(destination, stream(key=()), (1, "a"))
    receipt = destination.stage(batch(stream(key=()), (2, "b"), checkpoint=2))
    assert sqlite_file.rows("SELECT id FROM things") == [(1,)]
    destination.commit(checkpoint(receipt, number=2))
    assert sqlite_file.rows("SELECT id FROM things") == [(1,), (2,)]
    destination.close()


@pytest.mark.parametrize("sql_type", ["NUMERIC", "DECIMAL(10,2)", "STRING"])
def test_texts_do_not_go_into_columns_that_sqlite_makes_numbers_of(sqlite_file, sql_type):
    sqlite_file.run(f"CREATE TABLE things (id INTEGER PRIMARY KEY, name {sql_type})")
    destination = sqlite_file.open()
    commit_rows(destination, stream(), (1, "007"))
    destination.close()
    assert sqlite_file.rows("SELECT name, name__text FROM things") == [(None, "007")]
