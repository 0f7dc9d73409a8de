"""Rows of a transaction that is undone are staged once each, however often that is tried."""

import pytest
from sessions import Recorded

from tailrace.destinations.sqlite import STATEMENTS
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.spool import Spool
from tailrace.sql.appended import Appended
from tailrace.sql.tables import Place
from tailrace.sql.unit_of_work import UnitOfWork
from tailrace.testing.parts import batch, checkpoint, stream

THINGS, OTHERS = stream(key=()), stream(key=(), name="others")
COLUMNS = {"id": TableColumn("id", Kind.INT, nullable=False), "name": TableColumn("name", Kind.TEXT)}


class Server:
    """A database of SQLite, which any number of sessions open."""

    def __init__(self, path):
        self.path = path

    def open(self):
        return Recorded(path=self.path)


class Stage:
    """Stages batches, but for the one whose turn is `fails_at`."""

    def __init__(self, fails_at=0, error=None):
        self.fails_at, self.error = fails_at, error or DestinationError("the connection is lost")
        self.lines = []
        self.turns = 0

    def __call__(self, given):
        self.turns += 1
        if self.turns == self.fails_at:
            raise self.error
        self.lines.append((given.stream.name, given.first_line))
        return given.receipt(given.rows.num_rows, f"stage_{given.stream.name}")


@pytest.fixture
def work(tmp_path):
    made = UnitOfWork(Server(tmp_path / "things.db"), "BEGIN")
    for name in ("things", "others"):
        made.run(f"CREATE TABLE {name} (id INTEGER, name TEXT)")
    yield made
    made.disconnect()


@pytest.fixture
def appended(work):
    return Appended(work, STATEMENTS.dialect, Spool())


def load(appended, of, *lines):
    place = Place(TableName(of.name), COLUMNS)
    return [appended.load(batch(of, (line, "a"), first_line=line), place) for line in lines]


def test_rows_of_an_open_transaction_are_not_staged(work, appended):
    receipts, stage = load(appended, THINGS, 1, 2), Stage()
    appended.restage(stage)
    assert (stage.lines, appended.renamed(given := checkpoint(*receipts))) == ([], given)


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
def test_each_batch_is_staged_once_and_receipts_say_where(work, appended, fails_at):
    receipts, stage = [*load(appended, THINGS, 1, 3), *load(appended, OTHERS, 2)], Stage(fails_at)
    work.undo(None)
    if fails_at:
        with pytest.raises(DestinationError, match="lost"):
            appended.restage(stage)
    appended.restage(stage)
    appended.restage(stage)
    assert sorted(stage.lines) == [("others", 2), ("things", 1), ("things", 3)]
    tokens = [receipt.token for receipt in appended.renamed(checkpoint(*receipts)).publish]
    assert tokens == ["stage_things", "stage_others", "stage_things"]


def test_rows_that_staging_refuses_are_no_fault_of_the_batch_that_comes(work, appended):
    load(appended, THINGS, 1)
    work.undo(None)
    with pytest.raises(DestinationError, match="loaded once") as told:
        appended.restage(Stage(1, RowsRefusedError("no")))
    assert type(told.value) is DestinationError


def test_the_next_checkpoint_begins_without_rows(work, appended):
    load(appended, THINGS, 1)
    appended.forget()
    work.undo(None)
    appended.restage(stage := Stage())
    assert stage.lines == []
