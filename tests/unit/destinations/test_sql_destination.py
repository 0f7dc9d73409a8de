"""What DuckDB and SQLite do alike, and the conformance suite can't ask of every destination."""

import os
import pickle

import pytest

from tailrace.errors import (
    CommitUnknownError,
    DestinationError,
    FencedError,
    RowsRefusedError,
    SchemaError,
)
from tailrace.model import Column, Kind, Method, Published
from tailrace.sql.destination import SqlDestination
from tailrace.sql.label import Label
from tailrace.sql.session import LoggedSession
from tailrace.sql.staging import InTransaction
from tailrace.testing.parts import ID, NAME, PIPELINE, batch, checkpoint, commit_rows, stream


class FailingSession:
    """A session in which COMMIT fails: before it has taken effect, or after."""

    def __init__(self, session, database):
        self._session = session
        self._database = database

    def __getattr__(self, name):
        return getattr(self._session, name)

    def execute(self, sql, parameters=()):
        if sql == "COMMIT" and self._database.fails:
            if self._database.fails == "after":
                self._session.execute(sql)
            self._database.is_lost = self._database.stays_lost
            raise DestinationError("the connection was lost")
        return self._session.execute(sql, parameters)


class FailingDatabase:
    """A database whose sessions fail at COMMIT, and which can't be reached again while it is lost."""

    def __init__(self, database):
        self._database = database
        self.fails = ""
        self.stays_lost = False
        self.is_lost = False

    def __getattr__(self, name):
        return getattr(self._database, name)

    def open(self):
        if self.is_lost:
            raise DestinationError("nobody answers")
        return FailingSession(self._database.open(), self)


@pytest.fixture
def failing(file):
    plain = file.open()
    database = FailingDatabase(plain._database)
    return SqlDestination(database, plain._statements, plain.traits, InTransaction(), plain._options), database


def test_a_label_says_which_checkpoint_of_which_pipeline_is_next(file):
    plain, label = file.open(), Label()
    made = (plain._database, plain._statements, plain.traits, InTransaction(), plain._options, label)
    destination = SqlDestination(*made)
    commit_rows(destination, stream(), (1, "a"))
    assert label == Label(PIPELINE, 2)
    destination.close()
    destination.recover(PIPELINE)
    assert label == Label(PIPELINE, 2)
    destination.close()
    there = pickle.loads(pickle.dumps(destination))
    there.recover("another")
    assert (there._label, label.pipeline) == (Label("another", 1), PIPELINE)
    there.close()


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_error_in_a_commit_undoes_it_and_what_was_staged_is_not_committed_without_its_rows(file, nth, monkeypatch):
    destination = file.open()
    commit_rows(destination, stream(), (1, "a"))
    receipt = destination.stage(batch(stream(), (2, "b"), checkpoint=2))
    statements = []
    execute = LoggedSession.execute

    def failing(session, sql, parameters=()):
        statements.append(sql)
        if len(statements) == nth:
            raise KeyboardInterrupt
        return execute(session, sql, parameters)

    monkeypatch.setattr(LoggedSession, "execute", failing)
    with pytest.raises(KeyboardInterrupt):
        destination.commit(checkpoint(receipt, number=2))
    assert "COMMIT" not in statements
    with pytest.raises(DestinationError, match="checkpoint 2 can't be committed: what waits"):
        destination.commit(checkpoint(receipt, number=2))
    destination.close()
    assert file.rows("SELECT id FROM things") == [(1,)]


def test_receipts_of_another_process_are_not_committed(file):
    here, there = file.open(), pickle.loads(pickle.dumps(file.open()))
    there.recover("another")
    receipt = there.stage(batch(stream(), (1, "a")))
    there.close()
    here.recover(PIPELINE)
    with pytest.raises(DestinationError, match="other processes have staged"):
        here.commit(checkpoint(receipt))


def test_a_commit_that_landed_though_the_connection_was_lost_is_a_commit(file, failing):
    destination, database = failing
    commit_rows(destination, stream(), (1, "a"))
    receipt = destination.stage(batch(stream(), (2, "b"), checkpoint=2))
    database.fails = "after"
    assert destination.commit(checkpoint(receipt, number=2)) == {"things": Published(inserted=1)}
    destination.close()
    assert file.rows("SELECT id FROM things ORDER BY 1") == [(1,), (2,)]


def test_a_commit_that_did_not_land_is_an_error_and_nothing_is_visible(file, failing):
    destination, database = failing
    commit_rows(destination, stream(), (1, "a"))
    receipt = destination.stage(batch(stream(), (2, "b"), checkpoint=2))
    database.fails = "before"
    with pytest.raises(DestinationError, match="wasn't committed, and nothing of it is visible") as failed:
        destination.commit(checkpoint(receipt, number=2))
    assert not isinstance(failed.value, CommitUnknownError)
    destination.close()
    assert file.rows("SELECT id FROM things") == [(1,)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_whose_outcome_cannot_be_read_back_is_unknown_until_recover(file, failing, moment):
    destination, database = failing
    commit_rows(destination, stream(), (1, "a"))
    receipt = destination.stage(batch(stream(), (2, "b"), checkpoint=2))
    database.fails, database.stays_lost = moment, True
    with pytest.raises(CommitUnknownError):
        destination.commit(checkpoint(receipt, number=2))
    database.fails, database.is_lost = "", False
    assert destination.recover(PIPELINE).number == (2 if moment == "after" else 1)


def test_the_last_commit_of_a_run_without_pipeline_is_known_to_have_landed(file, failing):
    destination, database = failing
    destination.recover("~run")
    receipt = destination.stage(batch(stream(), (1, "a")))
    database.fails = "after"
    published = destination.commit(checkpoint(receipt, pipeline="~run", final=True))
    assert published == {"things": Published(inserted=1)}


def test_an_upsert_leaves_the_columns_that_are_the_users_own(file):
    file.run("CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT, note TEXT DEFAULT 'new')")
    destination = file.open()
    commit_rows(destination, stream(), (1, "a"))
    destination.close()
    file.run("UPDATE things SET note = 'mine'")
    destination = file.open()
    commit_rows(destination, stream(), (1, "b"), (2, "c"))
    destination.close()
    assert file.rows("SELECT id, name, note FROM things ORDER BY 1") == [(1, "b", "mine"), (2, "c", "new")]


def test_an_upsert_keeps_what_the_row_has_in_columns_that_are_kept(file):
    things = stream(ID, NAME, Column("created", ("created",), Kind.TEXT, keep=True))
    destination = file.open()
    commit_rows(destination, things, (1, "a", "monday"))
    commit_rows(destination, things, (1, "b", "tuesday"), (2, "c", "tuesday"))
    destination.close()
    assert file.rows("SELECT id, name, created FROM things ORDER BY 1") == [(1, "b", "monday"), (2, "c", "tuesday")]


def test_an_upsert_into_a_table_with_repeated_keys_updates_each_of_their_rows(file):
    file.run("CREATE TABLE things (id BIGINT, name TEXT)", "INSERT INTO things VALUES (1, 'a'), (1, 'b'), (2, 'c')")
    destination = file.open()
    destination.recover(PIPELINE)
    published = destination.commit(checkpoint(destination.stage(batch(stream(), (1, "d"), (3, "e")))))
    destination.close()
    assert published == {"things": Published(inserted=1, updated=1)}
    assert file.rows("SELECT id, name FROM things ORDER BY 1, 2") == [(1, "d"), (1, "d"), (2, "c"), (3, "e")]


def test_a_stream_of_keys_alone_can_be_upserted(file):
    keys = stream(ID)
    destination = file.open()
    commit_rows(destination, keys, (1,), (2,))
    commit_rows(destination, keys, (2,), (3,))
    destination.close()
    assert file.rows("SELECT id FROM things ORDER BY 1") == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("id BIGINT, name TEXT NOT NULL", (1, "a"), (2, None)),
        ("id BIGINT CHECK (id < 10), name TEXT", (1, "a"), (20, "b")),
        ("id BIGINT, name TEXT UNIQUE", (1, "a"), (2, "a")),
        ("id BIGINT PRIMARY KEY, name TEXT", (1, "a"), (1, "b")),
    ],
)
def test_rows_that_break_a_constraint_are_refused_by_line_and_the_others_go_on(file, constraint, good, bad):
    file.run(f"CREATE TABLE things ({constraint})")
    log = stream(method=Method.APPEND, contract="freeze")
    destination = file.open()
    destination.recover(PIPELINE)
    with pytest.raises(RowsRefusedError) as refused:
        destination.stage(batch(log, good, bad, (3, "c"), first_line=7))
    assert list(refused.value.reasons) == [8]
    rest = destination.stage(batch(log, good, (3, "c"), first_line=7))
    with pytest.raises(RowsRefusedError):
        destination.stage(batch(log, bad, first_line=20))
    assert destination.commit(checkpoint(rest)) == {"things": Published(inserted=2)}
    destination.close()
    assert file.rows("SELECT id, name FROM things ORDER BY 1") == [good, (3, "c")]


def test_rows_are_refused_by_a_unique_index_and_by_a_column_that_the_stream_lacks(file):
    file.run("CREATE TABLE things (id BIGINT, name TEXT)", "CREATE UNIQUE INDEX by_name ON things (lower(name))")
    log = stream(key=())
    destination = file.open()
    commit_rows(destination, log, (1, "a"))
    with pytest.raises(RowsRefusedError) as refused:
        destination.stage(batch(log, (2, "A"), (3, "b"), checkpoint=2))
    assert list(refused.value.reasons) == [1]


def test_a_keyed_batch_with_a_null_where_the_table_has_none_is_refused_when_it_is_staged(file):
    file.run("CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT NOT NULL)")
    things = stream(contract="freeze")
    destination = file.open()
    destination.recover(PIPELINE)
    with pytest.raises(RowsRefusedError) as refused:
        destination.stage(batch(things, (1, "a"), (2, None)))
    assert list(refused.value.reasons) == [2]
    destination.commit(checkpoint(destination.stage(batch(things, (1, "a")))))


def test_a_replaced_table_is_whole_for_readers_until_the_swap(file):
    things = stream(key=(), method=Method.REPLACE)
    file.run(
        "CREATE TABLE things (old TEXT)", "INSERT INTO things VALUES ('x')", "CREATE VIEW v AS SELECT * FROM things"
    )
    destination = file.open()
    destination.recover(PIPELINE)
    destination.prepare(things)
    first = destination.stage(batch(things, (1, "a")))
    destination.commit(checkpoint(first))
    if file.name == "sqlite":
        assert file.rows("SELECT * FROM things") == [("x",)]
    second = destination.stage(batch(things, (2, "b"), checkpoint=2))
    published = destination.commit(checkpoint(second, number=2, replace=(things,), final=True))
    assert published == {"things": Published(inserted=1, deleted=1)}
    destination.close()
    assert file.rows("SELECT id, name FROM things ORDER BY 1") == [(1, "a"), (2, "b")]
    assert file.tables() == ["_tailrace_checkpoints", "things"]


def test_a_table_that_was_half_built_is_dropped_by_the_pipelines_next_run(file):
    things = stream(key=(), method=Method.REPLACE)
    destination = file.open()
    commit_rows(destination, things, (1, "a"))
    destination.close()
    assert len(file.tables()) == 2
    destination = file.open()
    destination.recover("another")
    destination.close()
    assert len(file.tables()) == 2
    destination = file.open()
    destination.recover(PIPELINE)
    destination.close()
    assert file.tables() == ["_tailrace_checkpoints"]


def test_a_plan_runs_nothing_and_makes_no_file(file):
    planned = file.open().plan(stream())
    assert not file.path.exists()
    assert len(planned) == (2 if file.name == "duckdb" else 1)
    assert "CREATE TABLE" in planned[0]


def test_a_plan_names_what_prepare_would_run(file):
    destination = file.open()
    commit_rows(destination, stream(), (1, "a"))
    wider = stream(ID, NAME, Column("n", ("n",), Kind.INT))
    assert destination.plan(stream()) == []
    [added] = destination.plan(wider)
    assert 'ADD COLUMN "n"' in added
    destination.prepare(wider)
    assert destination.plan(wider) == []
    made, *_, dropped, renamed = destination.plan(stream(ID, key=(), method=Method.REPLACE))
    assert (made.split()[0], dropped.split()[0], renamed.split()[-3:]) == (
        "CREATE",
        "DROP",
        ["RENAME", "TO", '"things"'],
    )
    destination.close()


def test_checking_says_where_the_file_is_and_makes_none(file):
    destination = file.open()
    assert "isn't there yet and will be made" in destination.check()[0]
    assert not file.path.exists()
    commit_rows(destination, stream(), (1, "a"))
    destination.close()
    where, what = destination.check()
    assert str(file.path) in where
    assert "can be written to" in where
    assert "2 tables" in what


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_checking_a_file_that_cannot_be_written_to_fails(file):
    file.run("CREATE TABLE t (a INTEGER)")
    file.path.chmod(0o400)
    with pytest.raises(DestinationError, match="can't be"):
        file.open().check()


def test_a_schema_error_leaves_what_was_staged(file):
    destination = file.open()
    destination.recover(PIPELINE)
    receipt = destination.stage(batch(stream(), (1, "a")))
    with pytest.raises(SchemaError):
        destination.prepare(stream(ID, Column("name", ("name",), Kind.BINARY), contract="freeze"))
    destination.commit(checkpoint(receipt))
    destination.close()
    assert file.rows("SELECT id, name FROM things") == [(1, "a")]


def test_a_run_that_was_overtaken_is_fenced_though_its_session_was_idle(file):
    older, newer = file.open(), file.open()
    older.recover(PIPELINE)
    newer.recover(PIPELINE)
    with pytest.raises(FencedError):
        older.commit(checkpoint())
    newer.commit(checkpoint())


def test_a_key_that_is_not_the_tables_is_refused(file):
    destination = file.open()
    commit_rows(destination, stream(), (1, "a"))
    with pytest.raises(SchemaError, match=r"its key changes: \(id\) -> \(name\)"):
        destination.prepare(stream(key=("name",)))
