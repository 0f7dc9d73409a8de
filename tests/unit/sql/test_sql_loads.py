"""The table of loads: a row for each stream of a checkpoint, however many there are."""

from contextlib import closing
from datetime import UTC, datetime

from tailrace.destinations.sqlite import STATEMENTS, SQLiteFile
from tailrace.model import Published
from tailrace.pipelines import unnamed
from tailrace.sql.loads import Loads, Run
from tailrace.testing.parts import checkpoint

RUN = Run("run", datetime(2024, 5, 6, tzinfo=UTC))


def test_more_streams_than_a_statement_takes_are_told_by_several(tmp_path):
    loads = Loads(STATEMENTS, None)
    published = {f"s{number}": Published(inserted=number) for number in range(1100)}
    with closing(SQLiteFile(str(tmp_path / "x.db"), 1.0).open()) as session:
        session.execute(loads.create)
        loads.add(session, checkpoint(number=7), RUN, published)
        loads.add(session, checkpoint(number=1, pipeline=unnamed("x")), RUN, {"s0": Published(2, 3, 4, 5, 6, 7)})
        told = session.query("SELECT stream, inserted FROM _tailrace_loads WHERE pipeline = 'pipeline'")
        assert {stream: Published(inserted=int(count)) for stream, count in told} == published
        counts = "inserted, updated, deleted, deduplicated, ignored, removals"
        assert session.query(f"SELECT {counts} FROM _tailrace_loads WHERE pipeline IS NULL") == [(2, 3, 4, 5, 6, 7)]
        assert session.query("SELECT count(*) FROM _tailrace_loads WHERE committed_at IS NULL") == [(0,)]
