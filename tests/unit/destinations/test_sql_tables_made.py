"""What the kit knows without asking: a table that it has just made, and one whose plan is prepared again."""

from contextlib import closing
from dataclasses import replace

import pytest
from msgspec import structs

from tailrace.destinations.duckdb import STATEMENTS as DUCKDB
from tailrace.destinations.duckdb import TRAITS as DUCKDB_TRAITS
from tailrace.destinations.duckdb import DuckDBFile
from tailrace.destinations.sqlite import STATEMENTS as SQLITE
from tailrace.destinations.sqlite import TRAITS as SQLITE_TRAITS
from tailrace.destinations.sqlite import SQLiteFile
from tailrace.model import Column, Kind, Method, TableName
from tailrace.sql.destination import SqlDestination
from tailrace.sql.staging import InTransaction
from tailrace.sql.tables import Tables
from tailrace.testing.parts import ID, NAME, PIPELINE, batch, checkpoint, stream

DIGITS = {"precision": 20, "scale": 5}
ALL = [Column(kind.lower(), (kind,), kind, **DIGITS if kind is Kind.DECIMAL else {}) for kind in Kind]
WIDE = stream(ID, Column("size", ("size",), Kind.INT), key=())


class Asked:
    """A database whose sessions note what is asked of the catalog."""

    def __init__(self, database):
        self._database = database
        self.queries = []

    def __getattr__(self, name):
        return getattr(self._database, name)

    def open(self):
        session, queries = self._database.open(), self.queries

        class Session(type(session)):
            def query(self, sql, parameters=()):
                queries.append(sql)
                return super().query(sql, parameters)

        session.__class__ = Session
        return session


@pytest.fixture(params=["duckdb", "sqlite"])
def kit(request, tmp_path):
    path = str(tmp_path / "things.file")
    if request.param == "duckdb":
        return DuckDBFile(path, "256MB", 1), DUCKDB, DUCKDB_TRAITS
    return SQLiteFile(path, 5), SQLITE, SQLITE_TRAITS


@pytest.mark.parametrize("key", [(), ("id",), ("text", "id")], ids=len)
@pytest.mark.parametrize("method", [Method.APPEND, Method.UPSERT])
def test_a_new_table_is_what_it_is_said_to_be(kit, key, method):
    database, statements, traits = kit
    tables, table = Tables(statements, traits, None), TableName("things")
    things = stream(ID, *ALL, key=key, method=method)
    with closing(database.open()) as session:
        for sql in tables.statements(None, things, table):
            session.execute(sql)
        made, found = tables.made(things), tables.found(session, table)
        assert structs.replace(made, constraint="") == structs.replace(found, constraint="")
        assert bool(made.constraint) == bool(found.constraint)


def test_a_table_with_a_type_of_ones_own_is_looked_up(kit):
    _, statements, traits = kit
    things = stream(ID, replace(NAME, sql_type="VARCHAR(10)"))
    assert Tables(statements, traits, None).made(things) is None


@pytest.mark.parametrize("method", [Method.APPEND, Method.REPLACE])
def test_plans_that_take_turns_ask_nothing_of_the_catalog_once_they_are_known(kit, method):
    database, statements, traits = kit
    asked = Asked(database)
    narrow, wide = replace(stream(key=()), method=method), replace(WIDE, method=method)
    with closing(SqlDestination(asked, statements, traits, InTransaction())) as destination:
        destination.recover(PIPELINE)
        receipts = []
        for line in range(1, 9):
            one, row = (wide, (line, 5)) if line % 2 else (narrow, (line, "a"))
            if line == 5:
                asked.queries.clear()
            destination.prepare(replace(one, revision=line))
            receipts.append(destination.stage(batch(one, row, first_line=line)))
        assert asked.queries == []
        destination.commit(checkpoint(*receipts, replace=(wide,) if method is Method.REPLACE else ()))
