"""Append-only rows stand in their table within the open transaction of MySQL, which DDL and lost connections end."""

import tempfile
from contextlib import closing

import mysqls
import pytest

from tailrace import spool
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError
from tailrace.model import Column, Kind
from tailrace.sql import appended as appended_rows
from tailrace.testing.parts import ID, NAME, batch, checkpoint, stream

SIZE = Column("size", ("size",), Kind.INT)
KINDS = (Kind.INT, Kind.TEXT)
THINGS = stream(key=())
GROWN = stream(ID, NAME, SIZE, key=(), revision=1)
OTHERS = stream(key=(), name="others")
FIRST = "SELECT min(id) FROM information_schema.processlist WHERE db = database()"
"""The session over which the destination loads: others that look at its tables come after it."""


@pytest.fixture
def query(any_mysql_url):
    return lambda sql: mysqls.query(any_mysql_url, sql)


@pytest.fixture
def loading(any_mysql_url, query):
    """A destination, in whose open transaction one row stands in its table, and the row's receipt."""
    with closing(open_destination(any_mysql_url, {"lock_timeout_s": 3})) as destination:
        destination.recover("p")
        destination.prepare(THINGS)
        receipt = destination.stage(batch(THINGS, (1, "a")))
        assert appended(any_mysql_url) == [(1, "a")]
        yield destination, receipt


def appended(url):
    """The rows that stand in their table, where nobody sees them who doesn't ask for what isn't committed."""
    with mysqls.connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM things")
        seen = cursor.fetchall()
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        cursor.execute("SELECT * FROM things")
        return [row for row in cursor.fetchall() if row not in seen]


def commit(destination, *receipts):
    return destination.commit(checkpoint(*receipts, pipeline="p"))


def test_a_table_that_gains_a_column_has_the_rows_before_it_only_with_the_checkpoint(any_mysql_url, loading, query):
    destination, first = loading
    destination.prepare(GROWN)
    second = destination.stage(batch(GROWN, (2, "b", 5), first_line=2))
    third = destination.stage(batch(THINGS, (3, "c"), first_line=3))
    assert (appended(any_mysql_url), query("SELECT * FROM things")) == ([], [])
    assert commit(destination, first, second, third)["things"].inserted == 3
    assert query("SELECT * FROM things ORDER BY id") == [(1, "a", None), (2, "b", 5), (3, "c", None)]
    later = destination.stage(batch(GROWN, (4, "d", 6), first_line=4, checkpoint=2))
    assert appended(any_mysql_url) == [(4, "d", 6)]
    destination.commit(checkpoint(later, number=2, pipeline="p"))
    assert query("SELECT count(*) FROM things") == [(4,)]


def test_a_column_that_becomes_wider_just_before_the_commit_takes_the_rows_before_it(loading, query):
    destination, first = loading
    destination.prepare(stream(Column("id", ("id",), Kind.TEXT), NAME, key=(), revision=1))
    assert query("SELECT * FROM things") == []
    commit(destination, first)
    assert query("SELECT * FROM things") == [("1", "a")]


def test_rows_that_wait_while_their_column_becomes_wider_commit_no_rows_of_another(any_mysql_url, query):
    keyed = [stream(ID, Column("v", ("v",), kind), name="keyed", revision=n) for n, kind in enumerate(KINDS)]
    with closing(open_destination(any_mysql_url, {"after_sql": "UPDATE nothing SET a = 1"})) as destination:
        destination.recover("p")
        for each in (THINGS, keyed[0]):
            destination.prepare(each)
        first = destination.stage(batch(THINGS, (1, "a")))
        second = destination.stage(batch(keyed[0], (7, 5), first_line=2))
        destination.prepare(keyed[1])
        assert appended(any_mysql_url) == [(1, "a")]
        with pytest.raises(DestinationError, match="nothing"):
            commit(destination, first, second)
        assert (query("SELECT * FROM things"), query("SELECT * FROM keyed")) == ([], [])
        query("CREATE TABLE nothing (a int)")
        commit(destination, first, second)
    assert (query("SELECT * FROM things"), query("SELECT * FROM keyed")) == ([(1, "a")], [(7, "5")])


def test_a_table_that_is_made_or_altered_commits_no_rows_of_another(any_mysql_url, loading, query):
    destination, first = loading
    destination.prepare(OTHERS)
    assert query("SELECT * FROM things") == []
    destination.prepare(wider := stream(ID, NAME, SIZE, key=(), name="others", revision=1))
    second = destination.stage(batch(wider, (2, "b", 5), first_line=2))
    assert appended(any_mysql_url) == [(1, "a")]
    commit(destination, first, second)
    assert (query("SELECT * FROM things"), query("SELECT id FROM others")) == ([(1, "a")], [(2,)])


def test_rows_of_a_checkpoint_that_is_never_committed_are_gone(any_mysql_url, query):
    with closing(open_destination(any_mysql_url, {})) as destination:
        destination.recover("p")
        for each in (THINGS, OTHERS, GROWN):
            destination.prepare(each)
            destination.stage(batch(each, *[(1, "a", 2)[: len(each.columns)]]))
    assert (query("SELECT * FROM things"), query("SELECT * FROM others")) == ([], [])
    assert query("SHOW TABLES LIKE '%tailrace_new%'") == []


@pytest.mark.parametrize("when", ["a batch", "the commit"])
def test_rows_outlive_the_connection_over_which_they_were_loaded(loading, query, when):
    destination, first = loading
    ((session,),) = query(FIRST)
    query(f"KILL {session}")
    second = batch(THINGS, (2, "b"), first_line=2)
    if when == "a batch":
        with pytest.raises(DestinationError) as lost:
            destination.stage(second)
        assert destination.is_transient(lost.value)
        receipts = [first, destination.stage(second)]
    else:
        receipts = [first]
        with pytest.raises(DestinationError) as lost:
            commit(destination, *receipts)
        assert destination.is_transient(lost.value)
    assert query("SELECT * FROM things") == []
    assert commit(destination, *receipts)["things"].inserted == len(receipts)
    assert query("SELECT * FROM things ORDER BY id") == [(1, "a"), (2, "b")][: len(receipts)]


def test_rows_wait_in_staging_where_the_disk_takes_no_copy_of_them(
    any_mysql_url, loading, query, tmp_path, monkeypatch
):
    destination, first = loading
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr(spool, "_IN_MEMORY_BYTES", 0)
    receipts = [first, *(destination.stage(batch(THINGS, (n, "b"), first_line=n)) for n in (2, 3))]
    assert appended(any_mysql_url) == []
    commit(destination, *receipts)
    assert query("SELECT id FROM things ORDER BY id") == [(1,), (2,), (3,)]


@pytest.mark.parametrize("is_lost", [False, True], ids=["committed", "lost"])
def test_rows_wait_in_staging_behind_as_many_as_are_kept(any_mysql_url, loading, query, monkeypatch, is_lost):
    destination, first = loading
    monkeypatch.setattr(appended_rows, "_MAX_BYTES", 1)
    second = destination.stage(batch(THINGS, (2, "b"), first_line=2))
    assert appended(any_mysql_url) == [(1, "a")]
    if is_lost:
        ((session,),) = query(FIRST)
        query(f"KILL {session}")
        with pytest.raises(DestinationError):
            commit(destination, first, second)
    commit(destination, first, second)
    assert query("SELECT id FROM things ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize(
    "table",
    [
        "id bigint, name longtext, UNIQUE (id)",
        "id bigint, name longtext, own bigint AUTO_INCREMENT PRIMARY KEY",
        "id bigint, name longtext, CHECK (id > 0)",
        "id bigint CHECK (id > 0), name longtext",
        "id bigint, name longtext) PARTITION BY HASH (id",
        "id bigint, name longtext, other bigint, FOREIGN KEY (other) REFERENCES parents (id)",
        "id bigint, name longtext); CREATE TRIGGER ours BEFORE INSERT ON things FOR EACH ROW SET NEW.id = (NEW.id",
    ],
)
def test_rows_wait_in_staging_where_the_table_has_rules_of_its_own(any_mysql_url, query, table):
    query("CREATE TABLE parents (id bigint PRIMARY KEY)")
    for statement in f"CREATE TABLE things ({table})".split("; "):
        query(statement)
    with closing(open_destination(any_mysql_url, {})) as destination:
        destination.recover("p")
        destination.prepare(THINGS)
        receipt = destination.stage(batch(THINGS, (1, "a")))
        assert appended(any_mysql_url) == []
        commit(destination, receipt)
    assert query("SELECT id, name FROM things") == [(1, "a")]


@pytest.mark.parametrize("settings", [{"append_through": "staging"}, {"before_sql": "DELETE FROM things"}])
def test_rows_wait_in_staging_where_settings_ask_for_it(any_mysql_url, query, settings):
    with closing(open_destination(any_mysql_url, settings)) as destination:
        destination.recover("p")
        destination.prepare(THINGS)
        receipt = destination.stage(batch(THINGS, (1, "a")))
        assert appended(any_mysql_url) == []
        commit(destination, receipt)
    assert query("SELECT id FROM things") == [(1,)]
