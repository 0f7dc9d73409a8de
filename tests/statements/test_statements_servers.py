"""The SQL of database servers, to the letter: what only Redshift and MySQL have, and no server here can try."""

import json

import pyarrow as pa
import pytest
from msgspec import structs

from tailrace.destinations import mysql, redshift
from tailrace.model import LINE, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.checkpoints import Checkpoints
from tailrace.sql.design import Design
from tailrace.sql.selections import Mark, Upsert

REDSHIFT, MYSQL = redshift.STATEMENTS, mysql.STATEMENTS
USERS, STAGING, WINNERS = TableName("users", "raw"), TableName("staging"), TableName("winners")
UPSERT = Upsert(USERS, STAGING, WINNERS, ["id", "name"], ["id"], ["name"])


class Sent:
    """A session that only remembers what it is told; no part of tailrace."""

    def __init__(self):
        self.told = []

    def execute(self, sql, parameters=()):
        self.told.append((sql, tuple(parameters)))
        return 0


def copied(monkeypatch, **given):
    """What COPY of two files says, and the manifest that it reads."""
    settings = redshift.Settings.model_validate(
        {"host": "h", "user": "u", "password": "p", "database": "d", "bucket": "b'", "prefix": "a/b"} | given
    )
    files, session, put = redshift.S3Files(settings), Sent(), {}
    monkeypatch.setattr(files, "_null", "null-x")
    monkeypatch.setattr(files._folder, "put", put.__setitem__)
    files.copy(session, TableName('t"1'), ["id", LINE], ["f/t/1-2", "f/t/3-4"])
    ((name, manifest),) = put.items()
    return session.told, name, json.loads(manifest), files._folder.url


def test_copy_reads_a_manifest_with_keys_that_arent_in_its_text(monkeypatch):
    keys = {"access_key_id": "AK", "secret_access_key": "s'", "session_token": "t", "region": "eu-west-1"}
    told, name, manifest, url = copied(monkeypatch, **keys)
    quoted = f"{url}/{name}".replace("'", "''")
    copy = (
        f"""COPY "t""1" ("id", "_tailrace_line") FROM '{quoted}' NULL AS 'null-x' REGION AS 'eu-west-1' """
        "MANIFEST CSV ZSTD DATEFORMAT 'YYYY-MM-DD' TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF "
        "ACCESS_KEY_ID %s SECRET_ACCESS_KEY %s SESSION_TOKEN %s"
    )
    assert told == [(copy, ("AK", "s'", "t"))]
    assert manifest == {"entries": [{"url": f"{url}/f/t/{part}", "mandatory": True} for part in ("1-2", "3-4")]}
    assert url.startswith("s3://b'/a/b/")


@pytest.mark.parametrize(
    ("role", "clause"),
    [("default", "IAM_ROLE default"), ("arn:aws:iam::1:role/r", "IAM_ROLE 'arn:aws:iam::1:role/r'")],
)
def test_copy_by_a_role(monkeypatch, role, clause):
    told, *_ = copied(monkeypatch, iam_role=role)
    assert told[0][0].endswith(f"STATUPDATE OFF {clause}")


def test_redshift_spells_each_kind_and_reads_its_own_names_of_them():
    columns = [TableColumn(kind.lower(), kind, *((20, 4) if kind is Kind.DECIMAL else (0, 0))) for kind in Kind]
    assert REDSHIFT.create_table(USERS, [structs.replace(columns[1], nullable=False), *columns[2:]], ["int"]) == (
        'CREATE TABLE "raw"."users" ("int" bigint NOT NULL, "float" double precision, "decimal" numeric(20,4), '
        '"text" varchar(65535), "json" super, "binary" varbyte(1024000), "date" date, "time" time without time zone, '
        '"timestamp" timestamp without time zone, "timestamptz" timestamp with time zone, "uuid" varchar(36), '
        'PRIMARY KEY ("int"))'
    )
    named = ("boolean", "bigint", "double precision", "numeric(20,4)", "character varying(65535)", "super")
    named += ("binary varying(1024000)", "date", "time without time zone", "timestamp without time zone")
    kinds = [REDSHIFT.dialect.kind_of(name)[0] for name in (*named, "timestamp with time zone")]
    assert kinds == [kind for kind in Kind if kind is not Kind.UUID]


def test_a_table_of_redshift_is_laid_out_by_its_keys():
    # https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html, read on 2026-11-26
    columns = [TableColumn("id", Kind.INT, nullable=False), TableColumn("at", Kind.DATE)]
    design = Design(dist_key="id", sort_keys=("at", "id"))
    assert REDSHIFT.create_table(USERS, columns, ["id"], design) == (
        'CREATE TABLE "raw"."users" ("id" bigint NOT NULL, "at" date, PRIMARY KEY ("id")) '
        'DISTSTYLE KEY DISTKEY ("id") COMPOUND SORTKEY ("at", "id")'
    )


def test_an_index_of_mysql_has_the_beginning_of_what_is_long():
    columns = [TableColumn("id", Kind.INT), TableColumn("name", Kind.TEXT), TableColumn("own", Kind.TEXT, sql_type="x")]
    assert MYSQL.create_index(USERS, columns).endswith(" ON `raw`.`users`(`id`, `name`(191), `own`)")


def test_redshift_deletes_without_an_alias():
    assert REDSHIFT.delete_matched(USERS, STAGING, WINNERS, ["a", "b"]) == (
        'DELETE FROM "raw"."users" WHERE EXISTS(SELECT 1 FROM "staging" AS "s" '
        'INNER JOIN "winners" AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line" '
        'WHERE "raw"."users"."a" = "s"."a" AND "raw"."users"."b" = "s"."b")'
    )


def test_redshift_updates_what_matches_and_renames():
    assert REDSHIFT.update_matched(UPSERT) == (
        'UPDATE "raw"."users" AS "t" SET "name" = "n"."name" FROM (SELECT "s"."id", "s"."name" FROM "staging" AS "s" '
        'INNER JOIN "winners" AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line") AS "n" '
        'WHERE "t"."id" = "n"."id"'
    )
    assert REDSHIFT.rename_table(USERS, "people") == 'ALTER TABLE "raw"."users" RENAME TO "people"'
    assert Checkpoints(REDSHIFT, "raw").read == (
        'SELECT "number", "fence", "state", CAST("committed_at" AS VARCHAR(MAX)) AS "committed_at" '
        'FROM "raw"."_tailrace_checkpoints" WHERE "pipeline" = %s'
    )


def test_redshift_inserts_json_and_bytes_through_functions():
    columns = [TableColumn("a", Kind.INT), TableColumn("j", Kind.JSON), TableColumn("b", Kind.BINARY)]
    assert redshift._insert_values(USERS, columns, 2) == (
        'INSERT INTO "raw"."users" ("a", "j", "b") VALUES (%s, JSON_PARSE(%s), FROM_HEX(%s)), '
        "(%s, JSON_PARSE(%s), FROM_HEX(%s))"
    )
    assert redshift._values(pa.chunked_array([[b"\x00\xff", None]])) == ["00ff", None]


def test_first_rows_behind_a_deletion_take_no_correlated_query():
    assert REDSHIFT.insert_first(USERS, STAGING, columns=["id"], key=["id"], marks=[Mark("gone")]) == (
        'INSERT INTO "raw"."users" ("id") SELECT "s"."id" FROM "staging" AS "s" '
        'INNER JOIN (SELECT MIN("f"."_tailrace_line") AS "_tailrace_line" FROM "staging" AS "f" '
        'LEFT JOIN (SELECT "id", MAX("_tailrace_line") AS "_tailrace_line" FROM "staging" '
        'WHERE ("_tailrace_line" >= %s AND "_tailrace_line" < %s) AND NOT "gone" IS NULL GROUP BY "id") AS "d" '
        'ON "d"."id" = "f"."id" WHERE ("f"."_tailrace_line" >= %s AND "f"."_tailrace_line" < %s) '
        'AND ("d"."_tailrace_line" IS NULL OR "f"."_tailrace_line" > "d"."_tailrace_line") GROUP BY "f"."id") AS "k" '
        'ON "s"."_tailrace_line" = "k"."_tailrace_line" '
        'LEFT JOIN "raw"."users" AS "t" ON "t"."id" = "s"."id" WHERE "t"."id" IS NULL'
    )


def test_mysql_updates_by_a_join_and_upserts_in_a_form_that_mysql_and_mariadb_have():
    assert MYSQL.update_matched(UPSERT) == (
        "UPDATE /*+ NO_MERGE(n) */ `raw`.`users` AS `t` JOIN (SELECT `s`.`id`, `s`.`name` FROM `staging` AS `s` "
        "INNER JOIN `winners` AS `w` ON `s`.`_tailrace_line` = `w`.`_tailrace_line`) AS `n` ON TRUE "
        "SET t.`name` = `n`.`name` WHERE `t`.`id` = `n`.`id`"
    )
    update, insert = MYSQL.upsert_winners(UPSERT)
    rows = (
        "INSERT INTO `raw`.`users` (`id`, `name`) SELECT `s`.`id`, `s`.`name` FROM `staging` AS `s` "
        "INNER JOIN `winners` AS `w` ON `s`.`_tailrace_line` = `w`.`_tailrace_line` "
    )
    assert update == (f"{rows}WHERE NOT `w`.`_tailrace_match` IS NULL ON DUPLICATE KEY UPDATE `name` = VALUES(`name`)")
    assert insert == f"{rows}WHERE `w`.`_tailrace_match` IS NULL"


def test_any_of_several_columns_asks_for_deletion_and_an_empty_text_does_not():
    marks = [Mark("gone"), Mark("at", is_text=True)]
    assert REDSHIFT.count_segment(STAGING, marks).endswith(""" AND (NOT "gone" IS NULL OR "at" <> '')""")
