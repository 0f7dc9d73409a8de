"""What is DuckDB's own: types in place, refusals by query, the key as a comment, one process at a time."""

import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from tailrace.destinations.duckdb import DIALECT, DuckDBFile, memory
from tailrace.errors import DestinationError, RowsRefusedError, SchemaError
from tailrace.model import Column, Kind, TableName
from tailrace.testing.parts import ID, NAME, PIPELINE, batch, checkpoint, commit_rows, stream

NAIVE = datetime(2024, 5, 6, 7, 8, 9, 123456)

VALUES = {
    Kind.BOOL: (True, "true"),
    Kind.INT: (2**63 - 1, "9223372036854775807"),
    Kind.FLOAT: (0.1, "0.1"),
    Kind.DECIMAL: (Decimal("517.60"), "517.60"),
    Kind.DATE: (date(2024, 5, 6), "2024-05-06"),
    Kind.TIME: (time(7, 8, 9, 123456), "07:08:09.123456"),
    Kind.TIMESTAMP: (NAIVE, "2024-05-06 07:08:09.123456"),
    Kind.TIMESTAMPTZ: (datetime(2024, 5, 6, 7, 8, 9, 123456, UTC), "2024-05-06 07:08:09.123456+00"),
    Kind.UUID: ("6a2f41a3-c54c-fce8-32d2-0324e1c32e22", "6a2f41a3-c54c-fce8-32d2-0324e1c32e22"),
}


def column(kind, **more):
    digits = {"precision": 10, "scale": 2} if kind is Kind.DECIMAL else {}
    return Column("x", ("x",), kind, **digits | more)


@pytest.mark.parametrize("pair", sorted(DIALECT.alterable), ids="-".join)
def test_a_column_is_altered_in_place_and_its_values_are_the_same(duckdb_file, pair):
    have, want = pair
    value, text = VALUES[have]
    digits = {"precision": 38, "scale": 9} if want is Kind.DECIMAL else {}
    destination = duckdb_file.open()
    commit_rows(destination, stream(ID, column(have)), (1, value))
    destination.prepare(stream(ID, Column("x", ("x",), want, **digits)))
    destination.commit(checkpoint(number=2))
    destination.close()
    sql_type = DIALECT.types[want].format(**digits)
    with closing(duckdb_file.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        [(got, got_type)] = connection.execute("SELECT CAST(x AS VARCHAR), typeof(x) FROM things").fetchall()
    assert got_type == sql_type
    if want is Kind.DECIMAL:
        assert Decimal(got) == Decimal(text)
    elif want in {Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
        assert got.startswith(f"{text} 00:00:00")
    else:
        assert got.strip('"') == text


@pytest.mark.parametrize(
    ("kind", "sql_type", "good", "bad"),
    [
        (Kind.INT, "SMALLINT", 32767, 32768),
        (Kind.INT, "UTINYINT", 255, -1),
        (Kind.TEXT, "ENUM('a', 'b')", "a", "c"),
        (Kind.TIMESTAMP, "TIMESTAMP_S", NAIVE.replace(microsecond=0), NAIVE),
        (Kind.TEXT, "UUID", "6a2f41a3-c54c-fce8-32d2-0324e1c32e22", "6a2f"),
        (Kind.TEXT, "VARCHAR NOT NULL", "a", None),
    ],
)
@pytest.mark.parametrize("key", [("id",), ()])
def test_values_that_a_type_of_ones_own_cannot_hold_are_refused_by_line(duckdb_file, kind, sql_type, good, bad, key):
    things = stream(ID, column(kind, sql_type=sql_type), key=key)
    destination = duckdb_file.open()
    destination.recover(PIPELINE)
    destination.prepare(things)
    destination.commit(checkpoint())
    with pytest.raises(RowsRefusedError) as refused:
        destination.stage(batch(things, (1, good), (2, bad), checkpoint=2))
    assert list(refused.value.reasons) == [2]
    receipt = destination.stage(batch(things, (1, good), checkpoint=2))
    destination.commit(checkpoint(receipt, number=2))
    destination.close()
    assert duckdb_file.rows("SELECT count(x) FROM things") == [(1,)]


def test_the_key_is_noted_as_the_tables_comment(duckdb_file):
    destination = duckdb_file.open()
    commit_rows(destination, stream(ID, NAME, key=("id", "name")), (1, "a"))
    destination.close()
    assert duckdb_file.rows("SELECT comment FROM duckdb_tables() WHERE table_name = 'things'") == [
        ('key: ["id", "name"]',)
    ]


def test_a_comment_of_the_users_own_is_no_key(duckdb_file):
    duckdb_file.run("CREATE TABLE things (id BIGINT, name TEXT)", "COMMENT ON TABLE things IS 'key: see the wiki'")
    destination = duckdb_file.open()
    commit_rows(destination, stream(), (1, "a"))
    destination.close()
    assert duckdb_file.rows("SELECT * FROM things") == [(1, "a")]


def test_generated_columns_and_foreign_keys_are_left_to_duckdb(duckdb_file):
    duckdb_file.run(
        "CREATE TABLE kinds (name TEXT PRIMARY KEY)",
        "INSERT INTO kinds VALUES ('a')",
        "CREATE TABLE things (id BIGINT, name TEXT REFERENCES kinds (name), twice BIGINT AS (id * 2))",
    )
    destination = duckdb_file.open()
    commit_rows(destination, stream(), (1, "a"))
    commit_rows(destination, stream(), (1, "a"), (3, "a"))
    destination.close()
    assert duckdb_file.rows("SELECT * FROM things ORDER BY 1") == [(1, "a", 2), (3, "a", 6)]


def test_a_file_that_another_process_has_open_may_be_free_later(duckdb_file):
    script = f"import duckdb; c = duckdb.connect({str(duckdb_file.path)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        destination = duckdb_file.open()
        with pytest.raises(DestinationError, match="can't be opened: IO Error: Could not set lock") as locked:
            destination.recover(PIPELINE)
        assert destination.is_transient(locked.value)
        other.communicate(b"\n")
    assert destination.recover(PIPELINE) is None


def test_a_file_in_a_folder_that_is_not_there_is_not_transient(duckdb_file, tmp_path):
    destination = duckdb_file.open(path=str(tmp_path / "no" / "x.duckdb"))
    with pytest.raises(DestinationError, match="can't be opened") as failed:
        destination.recover(PIPELINE)
    assert not destination.is_transient(failed.value)


def test_the_cause_of_an_error_is_duckdbs(duckdb_file):
    destination = duckdb_file.open()
    destination.recover(PIPELINE)
    with pytest.raises(SchemaError, match="NO_SUCH_TYPE") as failed:
        destination.prepare(stream(ID, column(Kind.INT, sql_type="NO_SUCH_TYPE")))
    assert isinstance(failed.value.__cause__, duckdb.Error)


def test_tables_stand_in_the_schema_that_is_set(duckdb_file):
    destination = duckdb_file.open(schema="raw")
    commit_rows(destination, stream(), (1, "a"))
    destination.close()
    assert duckdb_file.rows("SELECT id FROM raw.things") == [(1,)]
    assert duckdb_file.rows("SELECT number FROM raw._tailrace_checkpoints") == [(1,)]


def test_rows_of_large_batches_staged_in_one_transaction_are_all_merged(duckdb_file):
    rows = [(number, "a") for number in range(150_000)]
    destination = duckdb_file.open()
    destination.recover(PIPELINE)
    receipts = [
        destination.stage(batch(stream(), *rows)),
        destination.stage(batch(stream(), *((i + 100_000, "b") for i, _ in rows), first_line=150_001)),
    ]
    published = destination.commit(checkpoint(*receipts))["things"]
    destination.close()
    assert (published.inserted, published.deduplicated) == (250_000, 50_000)
    assert duckdb_file.rows("SELECT name, count(*) FROM things GROUP BY 1 ORDER BY 1") == [
        ("a", 100_000),
        ("b", 150_000),
    ]


def test_a_null_in_a_later_batch_is_refused_where_there_can_be_none(duckdb_file):
    things = stream(ID, NAME)
    with closing(duckdb_file.open()) as destination:
        destination.recover(PIPELINE)
        destination.prepare(things)
        receipts = [destination.stage(batch(things, (1, "a"), (2, "b")))]
        with pytest.raises(RowsRefusedError) as refused:
            destination.stage(batch(things, (3, "c"), (None, "d"), first_line=3))
        receipts.append(destination.stage(batch(things, (5, "e"), first_line=5)))
        destination.commit(checkpoint(*receipts))
    assert refused.value.reasons == {4: "column 'id' can't be null"}
    assert sorted(duckdb_file.rows("SELECT id FROM things")) == [(1,), (2,), (5,)]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE UNIQUE INDEX one ON log (name)", 'there is a row with the same ("name")'),
        ("ALTER TABLE log ALTER COLUMN name SET NOT NULL", "column 'name' can't be null"),
    ],
)
def test_what_a_statement_of_the_settings_does_to_a_table_is_known_afterwards(duckdb_file, statement, reason):
    log = stream(ID, NAME, key=(), name="log")
    with closing(duckdb_file.open(after_sql=[statement])) as destination:
        commit_rows(destination, log, (1, "a"))
        again = [(2, "a"), (3, None)]
        with pytest.raises(RowsRefusedError) as refused:
            destination.stage(batch(log, *again, checkpoint=2))
    assert reason in refused.value.reasons.values()


@pytest.mark.parametrize("name", ["a (b", "it's", 'say "IS"', "x IS y", "check", "Größe"])
def test_tables_of_any_name_are_found_again(duckdb_file, name):
    things = stream(ID, NAME, name=name)
    for number in (1, 2):
        with closing(duckdb_file.open()) as destination:
            commit_rows(destination, things, (number, "a"))
            destination.prepare(stream(ID, NAME, Column("size", ("size",), Kind.INT), name=name))
    quoted = name.replace('"', '""')
    assert sorted(duckdb_file.rows(f'SELECT id FROM "{quoted}"')) == [(1,), (2,)]


def test_row_groups_are_put_together_where_rows_were_deleted_and_no_others(duckdb_file):
    asked = "SELECT current_setting('max_vacuum_tasks')"
    with closing(DuckDBFile(str(duckdb_file.path), "384MB", 2).open()) as session:
        for name in ("_tailrace_checkpoints", "things"):
            session.execute(f"CREATE TABLE {name} AS SELECT 1 AS id")
        session.execute('DELETE FROM "main"."_tailrace_checkpoints" WHERE "id" = 1')
        assert session.query(asked) == [(0,)]
        session.execute('DELETE FROM "main"."things" WHERE "id" = 1')
        assert session.query(asked)[0][0] > 0


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_value_gets_the_memory_that_it_needs_unless_memory_limit_says_how_much(duckdb_file, monkeypatch, key):
    monkeypatch.setattr(memory, "LEAST_BYTES", 30 * 10**6)
    things, row = stream(key=key), (1, "x" * 30_000_000)
    with (
        closing(duckdb_file.open(memory_limit="30MB")) as destination,
        pytest.raises(DestinationError, match="raise `memory_limit`"),
    ):
        commit_rows(destination, things, row)
    with closing(duckdb_file.open()) as destination:
        commit_rows(destination, things, row)
    assert duckdb_file.rows("SELECT length(name) FROM things") == [(30_000_000,)]


def test_wide_tables_get_the_memory_that_their_columns_need(duckdb_file, monkeypatch):
    monkeypatch.setattr(memory, "LEAST_BYTES", 30 * 10**6)
    columns = [Column(f"c{number}", (f"c{number}",), Kind.INT) for number in range(300)]
    wide, rows = stream(ID, *columns), [(number, *[None] * 300) for number in range(5000)]
    with (
        closing(duckdb_file.open(memory_limit="30MB")) as destination,
        pytest.raises(DestinationError, match="raise `memory_limit`"),
    ):
        commit_rows(destination, wide, *rows)
    with closing(duckdb_file.open()) as destination:
        commit_rows(destination, wide, *rows)
    assert duckdb_file.rows("SELECT count(*) FROM things") == [(5000,)]


def test_what_a_merge_has_read_of_a_table_is_not_kept_beside_the_rows_that_are_merged(duckdb_file, monkeypatch):
    asked = f"SELECT memory_usage_bytes > {2**22} FROM duckdb_memory() WHERE tag = 'BASE_TABLE'"
    rows = pa.table({"id": range(1000)})
    with closing(DuckDBFile(str(duckdb_file.path), None, 1).open()) as session:
        session.execute("CREATE TABLE things AS SELECT range * 7919 % 2000000 AS id FROM range(2000000)")
        session.execute("CHECKPOINT")
        session.execute("CREATE TEMPORARY TABLE new (id BIGINT)")
        for worth_bytes, is_kept in ((memory._CACHED_BYTES, True), (rows.nbytes, False)):
            monkeypatch.setattr(memory, "_CACHED_BYTES", worth_bytes)
            session.release_memory()
            session.load(TableName("new"), ["id"], rows)
            session.execute("CREATE TEMPORARY TABLE won AS SELECT t.id FROM things AS t JOIN new AS n ON t.id = n.id")
            assert session.query(asked) == [(is_kept,)]
            session.execute("DROP TABLE won")
            session.execute("DELETE FROM things AS t WHERE EXISTS (SELECT 1 FROM new AS n WHERE t.id = n.id + 2000000)")
            assert session.query(asked) == [(is_kept,)]


def test_a_new_column_of_a_table_is_no_longer_in_memory_once_it_is_committed(duckdb_file):
    log = duckdb_file.path.with_name("things.duckdb.wal")
    with closing(duckdb_file.open()) as destination:
        commit_rows(destination, stream(), (1, "a"))
        assert log.stat().st_size > 0
        commit_rows(destination, stream(ID, NAME, column(Kind.INT)), (2, "b", 3))
        assert not log.exists() or log.stat().st_size == 0
    assert sorted(duckdb_file.rows("SELECT id, x FROM things")) == [(1, None), (2, 3)]
