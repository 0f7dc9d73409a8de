"""Tables of a database: what stands there, what is in the way of altering it, and where waiting rows go by then."""

from dataclasses import replace

import pytest
from msgspec import structs
from sessions import Recorded

from tailrace.destinations.sqlite import DIALECT, STATEMENTS, TRAITS
from tailrace.errors import SchemaError
from tailrace.model import Column, Kind, Method, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.found import Found
from tailrace.sql.tables import Place, Tables
from tailrace.testing.parts import ID, NAME, stream

THINGS, STAGED = TableName("things"), TableName("staged")
AMOUNT = Column("amount", ("amount",), Kind.INT)
WIDENING = structs.replace(
    DIALECT, relaxes=True, alterable=frozenset({(Kind.INT, Kind.TEXT), (Kind.INT, Kind.DECIMAL)})
)

ALTERING = structs.replace(STATEMENTS, dialect=WIDENING)


def pinning(*pins):
    """A dialect in which these keep columns from being altered: the column, what it is, and when that matters."""
    rows = " UNION ALL ".join(f"SELECT {column}, '{what}', '{matters}'" for column, what, matters in pins)
    query = f"SELECT * FROM ({rows}) WHERE ?1 IS NULL AND ?2 = 'things'"
    return structs.replace(WIDENING, catalog=structs.replace(WIDENING.catalog, pins=query))


def examined(dialect, of, key=("id",)):
    session = Recorded()
    columns = [TableColumn("id", Kind.INT), TableColumn("name", Kind.TEXT), TableColumn("amount", Kind.INT)]
    session.execute(STATEMENTS.create_table(THINGS, columns, key))
    found = Tables(structs.replace(STATEMENTS, dialect=dialect), TRAITS, None).examined(session, THINGS, of)
    return {column.name: column.pinned for column in found.columns}


def test_a_table_that_is_there_is_found_with_its_key_in_order():
    session = Recorded()
    columns = [TableColumn(name, Kind.INT) for name in ("a", "b", "c")]
    session.execute(STATEMENTS.create_table(THINGS, columns, ("c", "a")))
    found = Tables(STATEMENTS, TRAITS, None).found(session, THINGS)
    assert ([column.name for column in found.columns], found.key, found.constraint) == (
        ["a", "b", "c"],
        ("c", "a"),
        "PRIMARY KEY",
    )
    assert Tables(STATEMENTS, TRAITS, None).found(session, STAGED) is None


TEXTS = stream(ID, NAME, replace(AMOUNT, kind=Kind.TEXT))
DECIMALS = stream(ID, NAME, replace(AMOUNT, kind=Kind.DECIMAL, precision=20, scale=2))
PLAIN = stream(ID, NAME, AMOUNT)


@pytest.mark.parametrize(
    ("of", "pins", "pinned"),
    [
        (TEXTS, [("'amount'", "the view v", "always")], "the view v"),
        (TEXTS, [("'amount'", "the view v", "always"), ("NULL", "a policy", "always")], "the view v, a policy"),
        (TEXTS, [("'amount'", "the index i", "text")], "the index i"),
        (DECIMALS, [("'amount'", "the index i", "text")], ""),
        (DECIMALS, [("NULL", "the view v", "always"), ("'amount'", "the index i", "text")], "the view v"),
        (TEXTS, [("'name'", "the view v", "always")], ""),
        (PLAIN, [("'amount'", "the view v", "always")], ""),
    ],
)
def test_a_column_that_is_to_be_altered_is_pinned_by_what_matters_for_that(of, pins, pinned):
    assert examined(pinning(*pins), of)["amount"] == pinned


def test_a_column_does_not_lose_not_null_while_something_is_in_the_way():
    dialect, session = pinning(("'amount'", "the index i", "null")), Recorded()
    columns = [TableColumn("id", Kind.INT), TableColumn("amount", Kind.INT, nullable=False)]
    session.execute(STATEMENTS.create_table(THINGS, columns, ("id",)))
    with pytest.raises(SchemaError) as failed:
        Tables(structs.replace(STATEMENTS, dialect=dialect), TRAITS, None).examined(session, THINGS, stream(ID, AMOUNT))
    assert failed.value.column == "amount"
    assert "and the index i is in the way" in str(failed.value)


def test_more_columns_than_a_table_can_have_are_refused_with_what_is_taken_to_load_it():
    few = structs.replace(STATEMENTS, dialect=structs.replace(DIALECT, max_columns=3))
    of = stream(ID, NAME, AMOUNT)
    with pytest.raises(SchemaError, match=r"would have 3 columns, and SQLite has tables of 3, one of which"):
        Tables(few, TRAITS, None).require_room(Recorded(), of, THINGS)
    appended = replace(of, key=(), method=Method.APPEND)
    Tables(few, TRAITS, None).require_room(Recorded(), appended, THINGS)


def test_a_table_stands_in_the_default_schema_unless_it_has_its_own():
    catalog = structs.replace(DIALECT.catalog, schemas="SELECT 1 WHERE ?1 = 'there'")
    tables = Tables(structs.replace(STATEMENTS, dialect=structs.replace(DIALECT, catalog=catalog)), TRAITS, "main")
    assert tables.named(stream()) == TableName("things", "main")
    assert tables.named(replace(stream(), table=TableName("t", "own"))) == TableName("t", "own")
    assert tables.schemas(Recorded(), "own") == ['CREATE SCHEMA IF NOT EXISTS "own"']
    assert (tables.schemas(Recorded(), "there"), tables.schemas(Recorded(), None)) == ([], [])


def test_without_schemas_a_table_has_none():
    with pytest.raises(SchemaError, match=r"has no schemas, and the table is own\.t"):
        Tables(STATEMENTS, TRAITS, None).named(replace(stream(), table=TableName("t", "own")))


def test_rows_that_wait_while_a_column_becomes_wider_are_made_wider_too():
    tables = Tables(ALTERING, TRAITS, None)
    narrow, wide = TableColumn("amount", Kind.INT), TableColumn("amount", Kind.TEXT)
    key, new = TableColumn("id", Kind.INT), TableColumn("new", Kind.TEXT)
    place = Place(THINGS, {"id": key, "amount": narrow}, others=("extra",), cleared=("old",))
    extra, old = TableColumn("extra", Kind.INT), TableColumn("old", Kind.INT)
    again, wider = tables.recast(Found((key, wide, extra, old, new), ("id",)), place, STAGED)
    assert wider == [ALTERING.alter_type(STAGED, wide)]
    assert again == Place(THINGS, {"id": key, "amount": wide}, others=("extra", "new"), cleared=("old",))


def test_rows_wait_as_they_are_where_nothing_became_wider():
    key = TableColumn("id", Kind.INT)
    place = Place(THINGS, {"id": key})
    assert Tables(ALTERING, TRAITS, None).recast(Found((key,), ("id",)), place, STAGED) == (place, [])
