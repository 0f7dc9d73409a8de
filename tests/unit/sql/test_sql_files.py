"""Staged files: each batch is a file, and the commit copies those of a stream into its table in one go."""

import pytest
from sessions import Recorded

from tailrace.destinations.sqlite import STATEMENTS
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import LINE, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.files import StagedFiles
from tailrace.sql.publisher import Staging
from tailrace.sql.tables import Place
from tailrace.testing.parts import batch, stream

THINGS = stream()
COLUMNS = {"id": TableColumn("id", Kind.INT), "name": TableColumn("label", Kind.TEXT)}


class Folder:
    """Files in memory."""

    def __init__(self):
        self.files, self.calls, self.refuses, self.is_down = {}, [], False, False

    def put(self, name, rows, columns):
        if self.refuses:
            raise RowsRefusedError("odd", {1: "odd"})
        self.calls.append(("put", name, *columns))
        self.files[name] = rows

    def copy(self, session, table, columns, names):
        self.calls.append(("copy", str(table), *names))
        for name in names:
            session.load(table, columns, self.files[name].rename_columns(columns))

    def close(self):
        self.is_closed = True

    def remove(self, folder):
        if self.is_down:
            raise DestinationError("down")
        self.calls.append(("remove", folder))
        self.files = {name: rows for name, rows in self.files.items() if not name.startswith(f"{folder}/")}


def make(number):
    table = TableName(f"stage_{number}")
    columns = [*COLUMNS.values(), TableColumn(LINE, Kind.INT)]
    create = STATEMENTS.create_table(table, columns, temporary=True)
    return Staging(THINGS, table, Place(TableName("things"), COLUMNS)), create


@pytest.fixture
def folder():
    return Folder()


@pytest.fixture
def waiting(folder):
    made = StagedFiles(folder, STATEMENTS)
    made.begin("pipeline")
    return made


def load(waiting, *rows, first_line=1, of=THINGS):
    given = batch(of, *rows, first_line=first_line)
    staging = waiting.of(of, make)
    waiting.load(staging, given, given.rows)
    return staging


def test_a_run_begins_without_the_files_of_runs_before_it(folder):
    folder.files = {"pipeline/stage_1/1-2": None, "other/stage_1/1-2": None}
    StagedFiles(folder, STATEMENTS).begin("pipeline")
    assert [*folder.files] == ["other/stage_1/1-2"]


def test_a_batch_is_a_file_named_by_its_lines_with_the_columns_of_its_table(folder, waiting):
    load(waiting, (1, "a"), (2, "b"), first_line=7)
    assert folder.calls[-1] == ("put", "pipeline/stage_1/7-8", "id", "label", LINE)


def test_a_stream_has_one_table_and_another_revision_another(waiting):
    first, again = load(waiting, (1, "a")), load(waiting, (2, "b"), first_line=2)
    later = load(waiting, (3, "c"), first_line=3, of=stream(revision=2))
    assert (first, waiting.tables) == (again, [first, later])
    assert [staging.table.name for staging in waiting.tables] == ["stage_1", "stage_2"]


def test_the_commit_makes_the_tables_and_copies_each_ones_files_in_one_go(folder, waiting):
    session = Recorded()
    load(waiting, (2, "b"), first_line=2)
    load(waiting, (1, "a"), first_line=1)
    load(waiting, (1, "a"), first_line=1)  # a second try
    waiting.of(stream(revision=2), make)
    waiting.arrive(session)
    assert folder.calls[-1] == ("copy", "stage_1", "pipeline/stage_1/1-1", "pipeline/stage_1/2-2")
    assert session.query("SELECT * FROM stage_1 ORDER BY id") == [(1, "a", 1), (2, "b", 2)]
    assert session.query("SELECT * FROM stage_2") == []
    for staging in waiting.tables:
        waiting.drop(session, staging)
    assert session.query("SELECT name FROM sqlite_temp_master") == []


def test_refused_rows_leave_no_file_to_copy(folder, waiting):
    folder.refuses = True
    with pytest.raises(RowsRefusedError):
        load(waiting, (1, "a"))
    folder.refuses = False
    waiting.arrive(Recorded())
    assert folder.calls == [("remove", "pipeline")]


def test_what_is_discarded_is_gone_and_its_number_is_not_used_again(folder, waiting):
    load(waiting, (1, "a"))
    waiting.discard(None)
    assert (folder.files, waiting.tables) == ({}, [])
    assert load(waiting, (2, "b")).table.name == "stage_2"


def test_files_that_can_not_be_removed_are_left_to_the_next_run_at_the_end_alone(folder, waiting):
    load(waiting, (1, "a"))
    folder.is_down = True
    with pytest.raises(DestinationError):
        waiting.discard(None)
    load(waiting, (1, "a"))
    waiting.close()
    assert waiting.tables == []


def test_tables_that_are_not_temporary_are_made_before_the_transaction_and_dropped_after_it(folder):
    session, waiting = Recorded(), StagedFiles(folder, STATEMENTS, temporary=False)
    waiting.begin("pipeline")
    assert waiting.kind == {"unlogged": True}
    load(waiting, (1, "a"))
    for _ in range(2):  # the transaction of the first attempt was undone
        waiting.expect(session)
        session.execute("BEGIN")
        waiting.arrive(session)
        waiting.drop(session, *waiting.tables)
        assert session.query("SELECT * FROM stage_1") == [(1, "a", 1)]
        session.execute("ROLLBACK")
        assert session.query("SELECT * FROM stage_1") == []
    waiting.discard(session)
    assert (session.tables(), folder.files) == ({}, {})
