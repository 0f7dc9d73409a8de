"""Exchanges: what a commit has decided is done, wherever a crash leaves it."""

from contextlib import suppress

import pytest
from msgspec.structs import replace
from sessions import LostError, Recorded

from tailrace.destinations.mysql.statements import MySQLStatements
from tailrace.destinations.sqlite import DIALECT, TRAITS
from tailrace.errors import DestinationError
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.exchanges import TABLE, Exchange, Exchanges
from tailrace.sql.tables import Tables

MYSQL = MySQLStatements(replace(DIALECT, sqlglot="mysql", quote="`"))
THINGS, NEW = TableName("things"), TableName("new")
EXCHANGES = Exchanges(MYSQL, Tables(MYSQL, TRAITS, None), None)


def made(*tables, **broken):
    """A session with tables that hold their own names; the pipeline p has decided that new takes things' place."""
    session = Recorded(**broken)
    session.execute(EXCHANGES.create)
    for table in tables:
        session.execute(MYSQL.create_table(TableName(table), [TableColumn("name", Kind.TEXT)]))
        session.execute(MYSQL.insert_values(TableName(table), ["name"]), (table,))
    EXCHANGES.add(session, "p", NEW, THINGS)
    session.statements.clear()
    return session


def finished(session, pipeline="p"):
    EXCHANGES.finish(session, pipeline)
    return session.tables()


def test_the_new_table_takes_the_place_of_the_one_that_was_there():
    assert finished(made("things", "new")) == {TABLE: [], "things": [("new",)]}


def test_the_new_table_takes_a_place_where_none_was():
    assert finished(made("new")) == {TABLE: [], "things": [("new",)]}


def test_what_is_done_already_is_only_forgotten():
    session = made("things")
    assert finished(session) == {TABLE: [], "things": [("things",)]}
    assert len(session.statements) == 1


def test_what_nobody_has_decided_is_left():
    session = made("things", "new")
    assert finished(session, "q") == {
        TABLE: [("p", None, "new", None, "things")],
        "new": [("new",)],
        "things": [("things",)],
    }
    assert session.statements == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
@pytest.mark.parametrize("tables", [("things", "new"), ("things", "new", "new_old")])
def test_wherever_a_crash_leaves_it_the_next_run_finishes_it(tables, fails_at, after):
    session = made(*tables)
    session.fails_at, session.after = fails_at, after
    with suppress(LostError):  # of the exchange itself it is noticed that it was done
        EXCHANGES.finish(session, "p")
    assert "things" in session.tables()
    session.fails_at = 0
    found = finished(session)
    found.pop("new_old", None)
    assert found == {TABLE: [], "things": [("new",)]}


def test_a_failure_is_raised_where_the_new_table_is_still_there():
    session = made("things", "new", fails_at=0)
    session.fails_at = 2
    with pytest.raises(LostError):
        EXCHANGES.finish(session, "p")
    assert session.tables()["things"] == [("things",)]


def test_the_exchange_of_another_run_at_the_same_time_is_no_failure():
    session = made("things", "new")
    done = session.execute

    def execute(sql, parameters=()):
        changed = done(sql, parameters)
        if sql.startswith("RENAME"):
            raise DestinationError("the other one was quicker")
        return changed

    session.execute = execute
    EXCHANGES.finish(session, "p")
    assert session.tables()[TABLE] == []


def test_runs_without_a_pipeline_are_finished_by_later_ones_as_far_as_that_goes():
    session = made("things", "new")  # p has a name, and is left to its own next run
    for pipeline, new, table in (("~1", "gone", "others"), ("~2", "made", "more")):
        session.execute(MYSQL.create_table(TableName(new), [TableColumn("name", Kind.TEXT)]))
        EXCHANGES.add(session, pipeline, TableName(new), TableName(table))
    session.statements.clear()
    session.fails_at = 1
    EXCHANGES.recover(session, "q")
    decided = {row[0] for row in session.tables()[TABLE]}
    assert decided == {"p", "~1"}
    assert {"gone", "more", "new", "things"} < session.tables().keys()


def test_tables_are_remembered_with_their_schemas():
    session = Recorded()
    session.execute(EXCHANGES.create)
    EXCHANGES.add(session, "p", TableName("new", "a"), TableName("things", "b"))
    assert session.tables() == {TABLE: [("p", "a", "new", "b", "things")]}
    assert EXCHANGES._decided(session) == [Exchange("p", TableName("new", "a"), TableName("things", "b"))]


def test_a_run_that_recovers_finishes_its_own_pipelines_and_raises_what_is_in_the_way():
    session = made("things", "new")
    EXCHANGES.recover(session, "p")
    assert session.tables() == {TABLE: [], "things": [("new",)]}
    session = made("things", "new", fails_at=0)
    session.fails_at = 2
    with pytest.raises(LostError):
        EXCHANGES.recover(session, "p")
