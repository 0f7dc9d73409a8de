"""A tenth database takes one file, put together from the kit: what it would say, to the letter; no server was asked."""

import pickle
from pathlib import Path

import cockroach
import psycopg
import pytest

from tailrace.errors import ConfigError
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.catalogs import query_of
from tailrace.sql.design import Design
from tailrace.sql.selections import Upsert
from tailrace.sql.tables import Tables
from tailrace.testing.parts import ID, NAME, stream

TABLE, STAGING, WINNERS = TableName("things", "raw"), TableName("staging", "raw"), TableName("winners")
SQL = cockroach.STATEMENTS


def test_it_is_one_file_that_says_what_is_its_own():
    assert len(Path(cockroach.__file__).read_text("utf-8").splitlines()) <= 200


def test_it_says_what_every_kind_is_and_reads_it_back():
    for kind in Kind:
        column = TableColumn("x", kind, 20 if kind is Kind.DECIMAL else 0, 4 if kind is Kind.DECIMAL else 0)
        assert SQL.dialect.kind_of(SQL.dialect.spelled(column))[0] is kind


def test_tables_are_made_and_altered():
    tables = Tables(SQL, cockroach.TRAITS, "raw", {"things": Design(indexes=(("name",),))})
    create, index = tables.statements(None, stream(ID, NAME), TABLE)
    assert create == 'CREATE TABLE "raw"."things" ("id" bigint NOT NULL, "name" text, PRIMARY KEY ("id"))'
    assert index.startswith('CREATE INDEX "ix_')
    assert index.endswith('ON "raw"."things"("name")')
    assert SQL.add_column(TABLE, TableColumn("at", Kind.TIMESTAMPTZ)) == (
        'ALTER TABLE "raw"."things" ADD COLUMN "at" timestamp with time zone'
    )


def test_rows_are_merged_where_the_key_is_there_already():
    (upsert,) = SQL.upsert_winners(Upsert(TABLE, STAGING, WINNERS, ["id", "name"], ["id"], ["name"]))
    assert upsert.startswith(
        'INSERT INTO "raw"."things" ("id", "name") SELECT "s"."id", "s"."name" FROM "raw"."staging"'
    )
    assert upsert.endswith('ON CONFLICT("id") DO UPDATE SET "name" = "excluded"."name"')


def test_a_table_that_is_replaced_takes_its_place_by_two_renamings():
    assert SQL.exchange_tables(TableName("new", "raw"), TABLE, TableName("new_old", "raw")) == [
        'DROP TABLE IF EXISTS "raw"."new_old"',
        'ALTER TABLE "raw"."things" RENAME TO "new_old"',
        'ALTER TABLE "raw"."new" RENAME TO "things"',
        'DROP TABLE IF EXISTS "raw"."new_old"',
    ]


def test_the_catalog_is_asked_for_a_table_by_schema_and_name():
    asked = []

    class Asked:
        def query(self, _, parameters=()):
            asked.append(parameters)
            return []

    query_of(Asked(), SQL.dialect.catalog.columns, TABLE)
    query_of(Asked(), SQL.dialect.catalog.others, TABLE)
    assert asked == [("raw", "things")] * 2


@pytest.mark.parametrize(
    ("error", "passes", "rows"),
    [
        (psycopg.errors.SerializationFailure("restart transaction"), True, False),
        (psycopg.errors.UniqueViolation("duplicate key"), False, True),
        (psycopg.OperationalError("the connection is closed"), True, False),
        (psycopg.OperationalError("FATAL: password authentication failed"), False, False),
        (ValueError("no"), False, False),
    ],
)
def test_errors_are_told_apart(error, passes, rows):
    assert (cockroach.RULES.is_transient(error), cockroach.RULES.is_about_rows(error)) == (passes, rows)


def test_it_is_built_from_its_settings_and_refuses_a_layout_that_it_does_not_have():
    given = {"user": "u", "password": "hush-hush", "host": "h"}
    made = cockroach.build(cockroach.Settings.model_validate(given))
    assert isinstance(pickle.loads(pickle.dumps(made)), type(made))
    assert "hush-hush" not in repr(made)
    with pytest.raises(ConfigError, match="CockroachDB has no dist_key"):
        cockroach.build(cockroach.Settings.model_validate(given | {"design": {"*": {"dist_key": "id"}}}))
