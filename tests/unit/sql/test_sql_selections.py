"""Statements that merge, in the forms of databases that aren't at hand: what they set, and what they leave alone."""

import pytest
from msgspec.structs import replace

from tailrace.destinations import mysql, redshift
from tailrace.destinations.sqlite import DIALECT
from tailrace.model import TableName
from tailrace.sql.selections import Mark, Upsert
from tailrace.sql.statements import Statements

POSTGRES = Statements(replace(DIALECT, sqlglot="postgres"))
MYSQL, REDSHIFT = mysql.STATEMENTS, redshift.STATEMENTS
THINGS, STAGED, WINNERS = TableName("things"), TableName("staged"), TableName("winners")
COLUMNS = ["id", "value"]


def upsert(database, to, clear):
    return database.upsert_winners(Upsert(THINGS, STAGED, WINNERS, COLUMNS, ["id"], to, clear))


@pytest.mark.parametrize(
    ("to", "clear", "action"),
    [
        (["value"], [], 'DO UPDATE SET "value" = "excluded"."value"'),
        (["value"], ["old"], 'DO UPDATE SET "value" = "excluded"."value", "old" = NULL'),
        ([], ["old"], 'DO UPDATE SET "old" = NULL'),
        ([], [], "DO NOTHING"),
    ],
)
def test_a_conflict_changes_what_there_is_to_change(to, clear, action):
    (sql,) = upsert(POSTGRES, to, clear)
    assert sql == (
        'INSERT INTO "things" ("id", "value") SELECT "s"."id", "s"."value" FROM "staged" AS "s" INNER JOIN "winners" '
        f'AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line" ON CONFLICT("id") {action}'
    )


@pytest.mark.parametrize(
    ("to", "clear", "changes"),
    [
        (["value"], [], "`value` = VALUES(`value`)"),
        (["value"], ["old"], "`value` = VALUES(`value`), `old` = NULL"),
        ([], ["old"], "`old` = NULL"),
        ([], [], None),
    ],
)
def test_in_mysql_matching_rows_are_updated_and_the_others_inserted_by_themselves(to, clear, changes):
    rows = (
        "INSERT INTO `things` (`id`, `value`) SELECT `s`.`id`, `s`.`value` FROM `staged` AS `s` INNER JOIN `winners` "
        "AS `w` ON `s`.`_tailrace_line` = `w`.`_tailrace_line` WHERE "
    )
    fresh = rows + "`w`.`_tailrace_match` IS NULL"
    matching = f"{rows}NOT `w`.`_tailrace_match` IS NULL ON DUPLICATE KEY UPDATE {changes}"
    assert upsert(MYSQL, to, clear) == ([matching, fresh] if changes else [fresh])


def test_matching_rows_get_the_winners_values():
    sql = POSTGRES.update_matched(Upsert(THINGS, STAGED, WINNERS, COLUMNS, ["id"], ["value"], ["old"]))
    assert sql == (
        'UPDATE "things" AS "t" SET "value" = "n"."value", "old" = NULL FROM (SELECT "s"."id", "s"."value" FROM '
        '"staged" AS "s" INNER JOIN "winners" AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line") AS "n" WHERE '
        '"t"."id" = "n"."id"'
    )


def test_in_mysql_matching_rows_are_joined_with_the_winners_once():
    sql = MYSQL.update_matched(Upsert(THINGS, STAGED, WINNERS, COLUMNS, ["id"], ["value"], ["old"]))
    assert sql == (
        "UPDATE /*+ NO_MERGE(n) */ `things` AS `t` JOIN (SELECT `s`.`id`, `s`.`value` FROM `staged` AS `s` INNER JOIN "
        "`winners` AS `w` ON `s`.`_tailrace_line` = `w`.`_tailrace_line`) AS `n` ON TRUE SET t.`value` = `n`.`value`, "
        "t.`old` = NULL WHERE `t`.`id` = `n`.`id`"
    )


def test_redshift_names_the_table_of_a_delete_by_its_own_name():
    assert REDSHIFT.delete_matched(TableName("things", "own"), STAGED, WINNERS, ["id"]) == (
        'DELETE FROM "own"."things" WHERE EXISTS(SELECT 1 FROM "staged" AS "s" INNER JOIN "winners" AS "w" ON '
        '"s"."_tailrace_line" = "w"."_tailrace_line" WHERE "own"."things"."id" = "s"."id")'
    )


def test_rows_ask_for_deletion_in_any_of_their_columns_and_an_empty_text_asks_for_none():
    marks = [Mark("gone"), Mark("told", is_text=True)]
    assert MYSQL.delete_segment(THINGS, STAGED, ["id", "value"], marks) == (
        "DELETE `t` FROM `things` AS `t` INNER JOIN (SELECT DISTINCT `s`.`id`, `s`.`value` FROM `staged` AS `s` WHERE "
        "(NOT `s`.`gone` IS NULL OR `s`.`told` <> '') AND (`s`.`_tailrace_line` >= ? AND `s`.`_tailrace_line` < ?)) AS "
        "`n` ON `t`.`id` = `n`.`id` AND `t`.`value` = `n`.`value`"
    )
