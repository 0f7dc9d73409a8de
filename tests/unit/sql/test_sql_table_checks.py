"""Tables of somebody else: what is in the way there is told with the statement that mends it, before any row."""

from dataclasses import replace

import pytest
from msgspec import structs
from sessions import Recorded

from tailrace.destinations.mysql.statements import MySQLStatements
from tailrace.destinations.sqlite import DIALECT, STATEMENTS, TRAITS
from tailrace.errors import SchemaError
from tailrace.model import Column, Kind, Method, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.tables import Tables
from tailrace.testing.parts import ID, NAME, stream

MYSQL = structs.replace(
    DIALECT,
    sqlglot="mysql",
    quote="`",
    unkeyable=frozenset({Kind.JSON}),
    relaxes=True,
    alterable=frozenset({(Kind.INT, Kind.TEXT), (Kind.INT, Kind.DECIMAL)}),
    key_types={Kind.TEXT: lambda columns: f"varchar({760 // columns})"},
)
THINGS = TableName("things")
AMOUNT = Column("amount", ("amount",), Kind.INT)


def tables(*obstacles):
    """Tables that have these obstacles: column, when it matters, what the trouble is, and the cure."""
    rows = " UNION ALL ".join("SELECT '{}', '{}', '{}', '{}'".format(*each) for each in obstacles)
    if not rows:
        rows = "SELECT 1, 2, 3, 4 LIMIT 0"
    of_things = "? IS NULL AND ? = 'things'"
    catalog = structs.replace(MYSQL.catalog, problems=f"SELECT * FROM ({rows}) WHERE {of_things} AND {of_things}")
    return Tables(MySQLStatements(structs.replace(MYSQL, catalog=catalog)), TRAITS, None)


def asked(of, *obstacles, columns=(("id", Kind.INT), ("name", Kind.TEXT), ("amount", Kind.INT)), key=("id",)):
    """What makes a table that stands fit the stream."""
    session, made = Recorded(), tables(*obstacles)
    have = [TableColumn(name, kind, nullable=name not in key) for name, kind in columns]
    session.execute(STATEMENTS.create_table(THINGS, have, key))
    return made.statements(made.found(session, THINGS), of, THINGS)


def refusal(of, *obstacles, **more):
    with pytest.raises(SchemaError) as failed:
        asked(of, *obstacles, **more)
    return str(failed.value).partition(": ")[2]


PLAIN, WIDENED = stream(ID, NAME), stream(ID, NAME, replace(AMOUNT, kind=Kind.DECIMAL, precision=20, scale=2))


def test_a_table_that_nothing_is_wrong_with_is_loaded():
    assert asked(PLAIN) == []


def test_what_is_wrong_with_the_table_is_always_in_the_way():
    assert refusal(PLAIN, ("", "always", "takes no CJK", "CHARACTER SET utf8mb4")) == (
        "the table things takes no CJK; run `ALTER TABLE `things` CHARACTER SET utf8mb4`"
    )


def test_what_is_wrong_with_a_column_matters_where_it_is_loaded():
    obstacle = ("amount", "loaded", "that rounds", "decimal(20,2)")
    assert asked(PLAIN, obstacle) == []
    assert (
        refusal(stream(ID, AMOUNT), obstacle)
        == (
            "column 'amount': the table things has the column 'amount' that rounds; run `ALTER TABLE `things` MODIFY "
            "COLUMN `amount` decimal(20,2)`, with what else SHOW CREATE TABLE says of the column, or leave it out with "
            "`select: false` under `columns:`"
        ).partition(": ")[2]
    )


def test_what_is_wrong_with_a_key_matters_where_rows_are_told_apart_by_it():
    obstacle = ("id", "key", "that knows no case", "varbinary(10)")
    assert asked(stream(ID, NAME, method=Method.APPEND), obstacle) == []
    assert refusal(PLAIN, obstacle) == (
        "the table things has the column 'id' that knows no case; run `ALTER TABLE `things` MODIFY COLUMN `id` "
        "varbinary(10) NOT NULL`, with what else SHOW CREATE TABLE says of the column"
    )


def test_what_a_column_would_lose_matters_where_it_is_altered():
    obstacle = ("amount", "altered", "COMMENT", "")
    assert asked(PLAIN, obstacle) == []
    assert refusal(WIDENED, obstacle) == (
        "the column 'amount' of the table things has to be altered, and would lose its COMMENT; run `ALTER TABLE "
        "`things` MODIFY COLUMN `amount` DECIMAL_TEXT(21,2)` with that added"
    )


def test_the_first_of_several_obstacles_that_matter_is_told():
    assert "takes no CJK" in refusal(
        PLAIN, ("amount", "loaded", "that rounds", "x"), ("", "always", "takes no CJK", "x"), ("id", "key", "late", "x")
    )


def test_a_part_of_the_key_does_not_become_a_kind_that_a_key_takes_in_part():
    texts = stream(replace(ID, kind=Kind.TEXT), NAME)
    assert refusal(texts) == (
        "the column 'id' is part of the key of the table things, and has to become TEXT; run `ALTER TABLE `things` "
        "MODIFY COLUMN `id` varchar(760) NOT NULL`, or with another length"
    )


@pytest.mark.parametrize(
    ("of", "is_made"),
    [
        (stream(replace(ID, kind=Kind.JSON), NAME), False),
        (stream(replace(ID, kind=Kind.JSON), NAME, method=Method.APPEND), True),
        (stream(replace(ID, kind=Kind.JSON, sql_type="varchar(9)"), NAME), True),
        (stream(ID, replace(NAME, kind=Kind.JSON)), True),
    ],
)
def test_a_key_of_json_makes_no_table(of, is_made):
    made = tables()
    assert made.found(Recorded(), THINGS) is None
    if is_made:
        assert made.statements(None, of, THINGS)[0].startswith("CREATE TABLE `things`")
        return
    with pytest.raises(SchemaError, match="takes in no key; give it another kind"):
        made.statements(None, of, THINGS)
