"""Tables that are replaced and have to stay: which those are, and how their rows are exchanged."""

import pytest
from msgspec import structs
from sessions import Recorded

from tailrace.destinations.sqlite import DIALECT, STATEMENTS, TRAITS
from tailrace.errors import SchemaError
from tailrace.model import Kind, Method, Published, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.found import Found
from tailrace.sql.keeping import exchange_rows, is_kept, refitted
from tailrace.sql.tables import Tables
from tailrace.testing.parts import stream

THINGS, BESIDE = TableName("things"), TableName("beside")
ID, NAME = TableColumn("id", Kind.INT, nullable=False), TableColumn("name", Kind.TEXT)
REPLACED = stream(method=Method.REPLACE)


def depending(*dependents):
    """A dialect in which these stand on a table: what each is, and what another table does to it."""
    rows = " UNION ALL ".join(f"SELECT '{what}', '{matters}'" for what, matters in dependents) or "SELECT 1, 2"
    end = "" if dependents else " LIMIT 0"
    query = f"SELECT * FROM ({rows}{end}) WHERE ?1 IS NULL AND ?2 = 'things'"
    return structs.replace(DIALECT, catalog=structs.replace(DIALECT.catalog, dependents=query))


def kept(dialect, key=("id",), of=REPLACED):
    session = Recorded()
    session.execute(STATEMENTS.create_table(THINGS, [ID, NAME], key))
    return is_kept(session, dialect, Tables(structs.replace(STATEMENTS, dialect=dialect), TRAITS, None), of, THINGS)


def test_a_table_that_nothing_stands_on_is_replaced():
    assert not kept(depending())


def test_a_table_that_is_not_there_has_nothing_to_stay_for():
    dialect = depending(("the view v", "broken"))
    assert not is_kept(
        Recorded(), dialect, Tables(structs.replace(STATEMENTS, dialect=dialect), TRAITS, None), REPLACED, THINGS
    )


def test_databases_in_which_nothing_stands_on_tables_are_not_asked():
    assert not kept(DIALECT)


@pytest.mark.parametrize("matters", ["broken", "lost"])
@pytest.mark.parametrize("key", [("id",), ("name", "id"), ()])
def test_a_table_stays_whose_key_is_the_streams_in_any_order(matters, key):
    of = stream(method=Method.REPLACE, key=sorted(key))
    assert kept(depending(("the view v", matters)), key, of)


def test_a_table_that_others_refer_to_can_not_be_replaced():
    with pytest.raises(SchemaError) as failed:
        kept(depending(("the index i", "lost"), ("the foreign key k of the table t", "refused")))
    assert str(failed.value) == (
        "stream 'things': the table things can't be replaced, since the foreign key k of the table t refers to it; "
        "drop that and make it anew afterwards, or load with `method: upsert`"
    )


def test_a_table_of_another_key_can_not_be_replaced_under_a_view():
    with pytest.raises(SchemaError) as failed:
        kept(depending(("the index i", "lost"), ("the view v", "broken")), ("name",))
    assert str(failed.value) == (
        "stream 'things': the table things has to stay, since the view v depends on it, and has the key (name), "
        "the stream (id); drop that and make it anew afterwards, or set `key_properties`"
    )


def test_a_table_of_another_key_loses_what_can_be_lost_and_that_is_said(caplog):
    assert not kept(depending(("the index i", "lost"), ("its grants", "lost")), ())
    assert "lost=the index i, its grants" in caplog.text


WIDE = TableColumn("name", Kind.JSON)


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        (None, [ID, NAME], ['CREATE TABLE "beside" ("id" INTEGER NOT NULL, "name" TEXT, PRIMARY KEY ("id"))']),
        ((ID, NAME), [ID, NAME], []),
        ((ID,), [ID, NAME], ['ALTER TABLE "beside" ADD COLUMN "name" TEXT']),
        ((ID, NAME), [ID, WIDE], ['ALTER TABLE "beside" ALTER COLUMN "name" TYPE JSON_TEXT']),
        ((ID, NAME), [ID, TableColumn("name", None, sql_type="point")], []),
        ((ID, NAME), [ID], []),
    ],
)
def test_the_table_in_which_rows_wait_gets_the_columns_of_the_one_that_takes_them(have, want, expected):
    found = None if have is None else Found(have, ("id",))
    # SQLite alters no types; what a database says that does is the same.
    assert [
        sql.replace("SET DATA TYPE", "TYPE") for sql in refitted(STATEMENTS, BESIDE, found, want, ["id"])
    ] == expected


def test_rows_are_exchanged_in_the_columns_that_both_tables_have():
    session = Recorded()
    session.execute(STATEMENTS.create_table(THINGS, [ID, NAME], ["id"]))
    session.execute(STATEMENTS.create_table(BESIDE, [ID], ["id"]))
    session.execute(STATEMENTS.insert_values(THINGS, ["id", "name"], 2), (1, "a", 2, "b"))
    session.execute(STATEMENTS.insert_values(BESIDE, ["id"], 3), (5, 6, 7))
    done = exchange_rows(session, STATEMENTS, BESIDE, Found((ID,), ("id",)), THINGS)
    assert done == Published(deleted=2)
    assert session.tables() == {"things": [(5, None), (6, None), (7, None)]}
