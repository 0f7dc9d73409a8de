"""The SQL that is built for each dialect, to the letter."""

import pytest

from tailrace.destinations import duckdb, sqlite
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.keys import read_key
from tailrace.sql.checkpoints import Checkpoints
from tailrace.sql.expressions import identifier
from tailrace.sql.glot import exp
from tailrace.sql.quoting import literal, quoted
from tailrace.sql.selections import Upsert

DUCKDB, SQLITE = duckdb.STATEMENTS, sqlite.STATEMENTS
USERS = TableName("users", "main")
PLAIN = TableName("users")
STAGING = TableName("staging")
WINNERS = TableName("winners")
ID = TableColumn("id", Kind.INT, nullable=False)
NAME = TableColumn("name", Kind.TEXT)


def test_create_table_with_a_primary_key():
    assert SQLITE.create_table(PLAIN, [ID, NAME], ["id"]) == (
        'CREATE TABLE "users" ("id" INTEGER NOT NULL, "name" TEXT, PRIMARY KEY ("id"))'
    )


def test_create_table_with_a_composite_key():
    both = [ID, TableColumn("b", Kind.TEXT, nullable=False)]
    assert DUCKDB.create_table(USERS, both, ["id", "b"]) == (
        'CREATE TABLE "main"."users" ("id" BIGINT NOT NULL, "b" VARCHAR NOT NULL, PRIMARY KEY ("id", "b"))'
    )


def test_create_temporary_table_if_it_is_not_there():
    assert DUCKDB.create_table(STAGING, [NAME], temporary=True, exists=True) == (
        'CREATE TEMPORARY TABLE IF NOT EXISTS "staging" ("name" VARCHAR)'
    )


@pytest.mark.parametrize(
    ("kind", "in_duckdb", "in_sqlite"),
    [
        (Kind.BOOL, "BOOLEAN", "BOOLEAN"),
        (Kind.INT, "BIGINT", "INTEGER"),
        (Kind.FLOAT, "DOUBLE", "DOUBLE"),
        (Kind.DECIMAL, "DECIMAL(20,4)", "DECIMAL_TEXT(20,4)"),
        (Kind.TEXT, "VARCHAR", "TEXT"),
        (Kind.JSON, "JSON", "JSON_TEXT"),
        (Kind.BINARY, "BLOB", "BLOB"),
        (Kind.DATE, "DATE", "DATE_TEXT"),
        (Kind.TIME, "TIME", "TIME_TEXT"),
        (Kind.TIMESTAMP, "TIMESTAMP", "TIMESTAMP_TEXT"),
        (Kind.TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_TEXT"),
        (Kind.UUID, "UUID", "UUID_TEXT"),
    ],
)
def test_every_kind_is_spelled_and_read_back(kind, in_duckdb, in_sqlite):
    digits = (20, 4) if kind is Kind.DECIMAL else (0, 0)
    column = TableColumn("x", kind, *digits)
    for database, spelling in ((DUCKDB, in_duckdb), (SQLITE, in_sqlite)):
        assert database.add_column(PLAIN, column) == f'ALTER TABLE "users" ADD COLUMN "x" {spelling}'
        assert database.dialect.kind_of(spelling) == (kind, *digits)


@pytest.mark.parametrize(
    ("sql_type", "kind"),
    [
        ("smallint", (Kind.INT, 0, 0)),
        ("VARCHAR(3)", (Kind.TEXT, 0, 0)),
        ("ENUM('a', 'b,c')", (Kind.TEXT, 0, 0)),
        ("DECIMAL(5, 2)", (Kind.DECIMAL, 5, 2)),
        ("TIMESTAMP_S", (Kind.TIMESTAMP, 0, 0)),
        ("INTEGER[]", (None, 0, 0)),
        ("STRUCT(a INTEGER)", (None, 0, 0)),
        ("", (None, 0, 0)),
    ],
)
def test_kinds_of_types_that_tables_have(sql_type, kind):
    assert DUCKDB.dialect.kind_of(sql_type) == kind


def test_a_type_of_ones_own_is_used_as_it_stands():
    column = TableColumn("x", Kind.INT, sql_type="SMALLINT CHECK (x > 0)")
    assert DUCKDB.add_column(USERS, column) == ('ALTER TABLE "main"."users" ADD COLUMN "x" SMALLINT CHECK (x > 0)')


def test_names_are_quoted_whatever_is_in_them():
    table, column = TableName('a"b; --', "s'"), TableColumn('c"d', Kind.INT)
    assert DUCKDB.add_column(table, column) == ('ALTER TABLE "s\'"."a""b; --" ADD COLUMN "c""d" BIGINT')
    _, comment = DUCKDB.create_noted(table, [column], ["it's", 'c"d'])
    assert comment == """COMMENT ON TABLE "s'"."a""b; --" IS 'key: ["it''s", "c\\"d"]'"""


def test_a_key_is_noted_within_the_statement_that_sqlite_keeps():
    [create] = SQLITE.create_noted(PLAIN, [NAME], ["*/ x"])
    assert create == 'CREATE TABLE "users" ("name" TEXT /* key: ["*\\/ x"] */)'
    assert read_key(create.partition("key: ")[2]) == ("*/ x",)


def test_tables_are_altered_dropped_and_renamed():
    assert DUCKDB.create_schema("s") == 'CREATE SCHEMA IF NOT EXISTS "s"'
    assert DUCKDB.alter_type(USERS, TableColumn("n", Kind.DECIMAL, 38, 9)) == (
        'ALTER TABLE "main"."users" ALTER COLUMN "n" SET DATA TYPE DECIMAL(38,9)'
    )
    assert DUCKDB.drop_not_null(USERS, TableColumn("n", Kind.INT)) == (
        'ALTER TABLE "main"."users" ALTER COLUMN "n" DROP NOT NULL'
    )
    assert SQLITE.drop_table(PLAIN) == 'DROP TABLE IF EXISTS "users"'
    assert DUCKDB.rename_table(USERS, "people") == 'ALTER TABLE "main"."users" RENAME TO "people"'
    assert SQLITE.count_rows(PLAIN) == 'SELECT COUNT(*) FROM "users"'


def test_rows_are_inserted_from_parameters_a_source_or_a_segment_of_lines():
    assert SQLITE.insert_values(PLAIN, ["id", "name"]) == ('INSERT INTO "users" ("id", "name") VALUES (?, ?)')
    assert DUCKDB.insert_from(USERS, ["id"], STAGING) == (
        'INSERT INTO "main"."users" ("id") SELECT "id" FROM "staging"'
    )
    assert SQLITE.insert_segment(PLAIN, ["id"], STAGING) == (
        'INSERT INTO "users" ("id") SELECT "id" FROM "staging" '
        'WHERE "_tailrace_line" >= ? AND "_tailrace_line" < ? ORDER BY "_tailrace_line"'
    )
    assert DUCKDB.insert_segment(USERS, ["id"], STAGING) == (
        'INSERT INTO "main"."users" ("id") SELECT "id" FROM "staging" '
        'WHERE "_tailrace_line" >= ? AND "_tailrace_line" < ?'
    )


def test_winners_are_the_last_line_of_each_key_beside_what_the_table_keeps():
    assert SQLITE.create_winners(WINNERS, STAGING, PLAIN, key=["a", "b"], kept=["note"]) == (
        'CREATE TEMPORARY TABLE "winners" AS '
        'SELECT "s"."_tailrace_line", "t"."a" AS "_tailrace_match", "t"."note" FROM "staging" AS "s" '
        'INNER JOIN (SELECT MAX("f"."_tailrace_line") AS "_tailrace_line" FROM "staging" AS "f" '
        'WHERE "f"."_tailrace_line" >= ? AND "f"."_tailrace_line" < ? GROUP BY "f"."a", "f"."b") AS "k" '
        'ON "s"."_tailrace_line" = "k"."_tailrace_line" '
        'LEFT JOIN "users" AS "t" ON "t"."a" = "s"."a" AND "t"."b" = "s"."b"'
    )


def test_in_duckdb_winners_are_the_lines_to_which_staged_rows_are_grouped_by_key():
    assert DUCKDB.create_winners(WINNERS, STAGING, USERS, key=["a", "b"], kept=["note"], within="b") == (
        'CREATE TEMPORARY TABLE "winners" AS '
        'SELECT "k"."_tailrace_line", "t"."a" AS "_tailrace_match", "t"."note" '
        'FROM (SELECT MAX("f"."_tailrace_line") AS "_tailrace_line", "f"."a", "f"."b" FROM "staging" AS "f" '
        'WHERE "f"."_tailrace_line" >= ? AND "f"."_tailrace_line" < ? GROUP BY "f"."a", "f"."b") AS "k" '
        'LEFT JOIN "main"."users" AS "t" '
        'ON ("t"."a" = "k"."a" AND "t"."b" = "k"."b") AND ("t"."b" >= ? AND "t"."b" <= ?)'
    )


def test_winners_update_the_rows_that_match():
    assert SQLITE.update_matched(Upsert(PLAIN, STAGING, WINNERS, ["id", "name"], ["id"], ["name"])) == (
        'UPDATE "users" AS "t" SET "name" = "n"."name" FROM (SELECT "s"."id", "s"."name" FROM "staging" AS "s" '
        'INNER JOIN "winners" AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line") AS "n" '
        'WHERE "t"."id" = "n"."id"'
    )


def test_winners_delete_the_rows_that_match_and_are_inserted_with_what_those_kept():
    assert DUCKDB.delete_matched(USERS, STAGING, WINNERS, ["id"]) == (
        'DELETE FROM "main"."users" AS "t" WHERE EXISTS(SELECT 1 FROM "staging" AS "s" '
        'INNER JOIN "winners" AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line" WHERE "t"."id" = "s"."id")'
    )
    assert DUCKDB.insert_winners(USERS, STAGING, WINNERS, columns=["id"], kept=["note"], matched=True) == (
        'INSERT INTO "main"."users" ("id", "note") SELECT "s"."id", "w"."note" FROM "staging" AS "s" '
        'INNER JOIN "winners" AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line" '
        'WHERE NOT "w"."_tailrace_match" IS NULL'
    )


def test_the_first_line_of_a_key_that_the_table_lacks_is_inserted():
    assert SQLITE.insert_first(PLAIN, STAGING, columns=["id"], key=["id"]) == (
        'INSERT INTO "users" ("id") SELECT "s"."id" FROM "staging" AS "s" '
        'INNER JOIN (SELECT MIN("f"."_tailrace_line") AS "_tailrace_line" FROM "staging" AS "f" '
        'WHERE "f"."_tailrace_line" >= ? AND "f"."_tailrace_line" < ? GROUP BY "f"."id") AS "k" '
        'ON "s"."_tailrace_line" = "k"."_tailrace_line" '
        'LEFT JOIN "users" AS "t" ON "t"."id" = "s"."id" WHERE "t"."id" IS NULL'
    )


def test_rows_of_older_versions_are_deleted_or_marked():
    assert SQLITE.delete_older(PLAIN, "v") == 'DELETE FROM "users" WHERE "v" < ?'
    assert SQLITE.mark_older(PLAIN, "v", "gone") == ('UPDATE "users" SET "gone" = ? WHERE "v" < ? AND "gone" IS NULL')


def test_checkpoints_are_advanced_by_compare_and_swap():
    checkpoints = Checkpoints(DUCKDB, "main")
    assert checkpoints.create == (
        'CREATE TABLE IF NOT EXISTS "main"."_tailrace_checkpoints" ("pipeline" VARCHAR NOT NULL, '
        '"number" BIGINT NOT NULL, "fence" VARCHAR NOT NULL, "state" VARCHAR, '
        '"committed_at" TIMESTAMP WITH TIME ZONE, PRIMARY KEY ("pipeline"))'
    )
    assert checkpoints.advance == (
        'UPDATE "main"."_tailrace_checkpoints" SET "number" = ?, "state" = ?, "committed_at" = ?, "fence" = "fence" '
        'WHERE "pipeline" = ? AND "number" = ? AND "fence" = ?'
    )
    assert checkpoints.take == 'UPDATE "main"."_tailrace_checkpoints" SET "fence" = ? WHERE "pipeline" = ?'
    assert checkpoints.forget == (
        'DELETE FROM "main"."_tailrace_checkpoints" WHERE "pipeline" = ? AND "number" = ? AND "fence" = ?'
    )


@pytest.mark.parametrize("dialect", ["bigquery", "duckdb", "mysql", "postgres", "redshift", "snowflake", "sqlite"])
@pytest.mark.parametrize("text", ["a", "é 測", "a.b", "%s?", 'a"b', "a`b", "it's", "a\\b", "a\nb", "\x00", "; --"])
def test_names_and_texts_are_quoted_as_sqlglot_does(dialect, text):
    mark = "`" if dialect in {"bigquery", "mysql"} else '"'
    assert quoted(text, dialect, mark) == identifier(text).sql(dialect=dialect)
    assert literal(text, dialect) == exp.Literal.string(text).sql(dialect=dialect)
