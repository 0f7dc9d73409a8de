"""Staging tables: rows wait there once, however often a load is tried, and only sessions that are sound are kept."""

import pyarrow as pa
import pytest
from sessions import LostError, Recorded

from tailrace.destinations.sqlite import STATEMENTS
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.publisher import Staging
from tailrace.sql.staging import StagingTables
from tailrace.sql.tables import Place
from tailrace.testing.parts import batch, stream

THINGS = stream()
COLUMNS = [TableColumn("id", Kind.INT, nullable=False), TableColumn("name", Kind.TEXT), TableColumn(LINE, Kind.INT)]


class Server:
    """A database of which every session is known."""

    def __init__(self, path):
        self.path = path
        self.sessions = []

    def open(self):
        self.sessions.append(Recorded(path=self.path))
        return self.sessions[-1]

    def tables(self):
        return Recorded(path=self.path).tables()


def make(number):
    table = TableName(f"stage_{number}")
    place = Place(TableName("things"), {column.name: column for column in COLUMNS[:2]})
    return Staging(THINGS, table, place), STATEMENTS.create_table(table, COLUMNS)


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path / "things.db")


@pytest.fixture
def waiting(server):
    made = StagingTables(server, STATEMENTS)
    yield made
    made.close()


def load(waiting, *rows, first_line=1, of=THINGS):
    given = batch(of, *rows, first_line=first_line)
    staging = waiting.of(of, make)
    waiting.load(staging, given, given.rows)
    return staging


def test_batches_of_a_stream_wait_in_one_table_and_each_revision_in_its_own(server, waiting):
    first, again = load(waiting, (1, "a")), load(waiting, (2, "b"), first_line=2)
    later = load(waiting, (3, "c"), first_line=3, of=stream(revision=2))
    assert (first, waiting.tables) == (again, [first, later])
    assert server.tables() == {"stage_1": [(1, "a", 1), (2, "b", 2)], "stage_2": [(3, "c", 3)]}


def test_a_session_that_is_sound_is_used_again(server, waiting):
    for line in (1, 2, 3):
        load(waiting, (line, "a"), first_line=line)
    assert len(server.sessions) == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_load_of_unknown_outcome_that_is_tried_again_leaves_its_rows_once(server, waiting, after):
    staging = load(waiting, (1, "a"))
    session = server.sessions[0]
    session.fails_at, session.after = len(session.statements) + 2, after  # its COMMIT
    given = batch(THINGS, (2, "b"), (3, "c"), first_line=2)
    with pytest.raises(LostError):
        waiting.load(staging, given, given.rows)
    waiting.load(staging, given, given.rows)
    assert server.tables() == {"stage_1": [(1, "a", 1), (2, "b", 2), (3, "c", 3)]}


def test_a_session_that_an_error_leaves_in_doubt_is_closed_and_so_are_the_idle_ones(server, waiting):
    staging = load(waiting, (1, "a"))
    with waiting._borrowed(), waiting._borrowed():
        pass  # now two are idle
    for session in server.sessions:
        session.fails_at = len(session.statements) + 1
    given = batch(THINGS, (2, "b"), first_line=2)
    with pytest.raises(LostError):
        waiting.load(staging, given, given.rows)
    assert [session.is_closed for session in server.sessions] == [True, True]
    waiting.load(staging, given, given.rows)
    assert (len(server.sessions), len(server.tables()["stage_1"])) == (3, 2)


def test_refused_rows_are_all_undone_and_the_session_goes_on(server, waiting):
    staging = load(waiting, (1, "a"))
    given = batch(THINGS, (2, "b"), (3, "c"), first_line=2)
    rows = given.rows.set_column(0, "id", pa.array([2, None], pa.int64()))
    with pytest.raises(RowsRefusedError) as failed:
        waiting.load(staging, given, rows)
    assert [*failed.value.reasons] == [3]
    load(waiting, (2, "b"), first_line=2)
    assert server.tables() == {"stage_1": [(1, "a", 1), (2, "b", 2)]}
    assert len(server.sessions) == 1


def test_what_is_discarded_is_gone_and_its_number_is_not_used_again(server, waiting):
    load(waiting, (1, "a"))
    waiting.discard(None)
    waiting.discard(None)
    assert (server.tables(), waiting.tables) == ({}, [])
    assert load(waiting, (2, "b")).table.name == "stage_2"


def test_a_run_begins_anew_though_the_tables_before_can_not_be_dropped(server, waiting):
    load(waiting, (1, "a"))
    session = server.sessions[0]
    session.fails_at = len(session.statements) + 1
    waiting.begin("pipeline")
    assert (waiting.tables, [*server.tables()]) == ([], ["stage_1"])


def test_at_the_end_tables_are_dropped_and_sessions_closed(server, waiting):
    load(waiting, (1, "a"))
    waiting.close()
    assert (server.tables(), [session.is_closed for session in server.sessions]) == ({}, [True])


def test_the_commit_finds_rows_in_their_tables_and_leaves_these_to_be_dropped_after_it(server, waiting):
    staging, session = load(waiting, (1, "a")), Recorded()
    waiting.arrive(session)
    waiting.drop(session, staging)
    assert (session.statements, waiting.tables) == ([], [staging])
