"""A session that is opened ahead: it is the one that is used, and what opening it fails with isn't lost."""

import threading

import pytest

from tailrace.destinations.sqlite import SQLiteFile
from tailrace.errors import DestinationError
from tailrace.sql.unit_of_work import UnitOfWork


class Noted:
    """A database file that notes by which threads it was opened, and the sessions; the first so many times it fails."""

    def __init__(self, fails=0):
        self.threads = []
        self.sessions = []
        self._fails = fails

    def open(self):
        self.threads.append(threading.current_thread().name.partition("_")[0])
        if len(self.threads) <= self._fails:
            raise DestinationError("not yet")
        self.sessions.append(SQLiteFile(":memory:", 5).open())
        return self.sessions[-1]


def test_a_session_that_was_opened_ahead_is_the_one_that_is_used():
    database = Noted()
    work = UnitOfWork(database, "BEGIN")
    work.open_ahead()
    assert work.session.query("SELECT 1") == [(1,)]
    work.disconnect()
    assert work.session.query("SELECT 1") == [(1,)]
    work.disconnect()
    assert database.threads == ["tailrace-connect", threading.current_thread().name]


def test_what_opening_ahead_fails_with_is_raised_where_the_session_is_needed_first():
    database = Noted(fails=1)
    work = UnitOfWork(database, "BEGIN")
    work.open_ahead()
    with pytest.raises(DestinationError, match="not yet"):
        work.run("SELECT 1")
    assert work.session.query("SELECT 1") == [(1,)]
    work.disconnect()


@pytest.mark.parametrize("fails", [0, 1])
def test_a_session_that_was_opened_ahead_is_closed_though_nobody_needed_it(fails):
    database = Noted(fails)
    work = UnitOfWork(database, "BEGIN")
    work.open_ahead()
    work.disconnect()
    assert len(database.threads) == 1
    for session in database.sessions:
        with pytest.raises(DestinationError):
            session.query("SELECT 1")
