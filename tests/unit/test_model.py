"""The nouns: how runs of records are joined and parted, and what streams say of themselves."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import (
    Checkpoint,
    Column,
    Fill,
    Kind,
    Method,
    Published,
    RecordBlock,
    Stream,
    TableName,
    is_unnamed,
    unnamed,
)


@st.composite
def runs(draw):
    line, made = draw(st.integers(1, 9)), []
    for _ in range(draw(st.integers(1, 5))):
        spans = []
        for _ in range(draw(st.integers(1, 3))):
            count = draw(st.integers(1, 4))
            spans.append((line, count))
            line += count + draw(st.integers(0, 3))
        data = b"".join(b"%d\n" % at for first, count in spans for at in range(first, first + count))
        made.append(RecordBlock.of("s", data, *spans))
    return made


@given(runs())
def test_a_joined_run_holds_every_record_with_its_line(made):
    joined = RecordBlock.join(made)
    assert list(joined.lines()) == [int(text) for text in joined.data.split()]
    assert joined.count == sum(run.count for run in made)
    assert (joined.first_line, joined.last_line) == (made[0].first_line, made[-1].last_line)


@given(runs(), st.integers(0, 120))
def test_a_run_is_parted_at_any_line(made, line):
    joined = RecordBlock.join(made)
    before, after = joined.until(line)
    lines = [list(part.lines()) if part else [] for part in (before, after)]
    assert lines == [[at for at in joined.lines() if at <= line], [at for at in joined.lines() if at > line]]
    assert b"".join(part.data for part in (before, after) if part) == joined.data


def test_a_decimal_column_spells_its_digits():
    column = Column("price", ("price",), Kind.DECIMAL, precision=10, scale=2)
    assert (column.spelling, str(column.arrow)) == ("DECIMAL(10,2)", "decimal128(10, 2)")


def test_a_stream_knows_its_columns_by_name_and_by_filling():
    ident = Column("id", ("id",), Kind.INT)
    version = Column("_sdc_table_version", (), Kind.INT, fill=Fill.TABLE_VERSION)
    stream = Stream("s", TableName("s"), (ident, version))
    assert (stream.column("id"), stream.column("x"), stream.versioned) == (ident, None, True)
    assert stream.filled_with(Fill.TABLE_VERSION) is version


def test_a_records_own_deletion_field_is_the_deletion_column():
    own = Column("_sdc_deleted_at", ("_sdc_deleted_at",), Kind.TIMESTAMPTZ)
    assert Stream("s", TableName("s"), (own,)).deletion is own


def test_a_table_is_written_with_its_schema():
    assert [str(TableName("t")), str(TableName("t", "s"))] == ["t", "s.t"]


def test_counts_of_commits_add_up():
    assert Published(1, 2, 3, 4, 5, 6) + Published(1, 1, 1, 1, 1, 1) == Published(2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize(
    ("pipeline", "final", "is_forgotten"),
    [(unnamed("run"), True, True), (unnamed("run"), False, False), ("nightly", True, False)],
)
def test_the_last_checkpoint_of_a_run_without_a_pipeline_is_forgotten(pipeline, final, is_forgotten):
    checkpoint = Checkpoint(pipeline, 1, None, dt.datetime.now(dt.UTC), final=final)
    assert (is_unnamed(pipeline), checkpoint.is_forgotten) == (pipeline != "nightly", is_forgotten)


def test_names_that_databases_hold_of_runs_without_a_pipeline_are_known_for_ever():
    assert (unnamed("7f3a"), is_unnamed("~7f3a"), is_unnamed("7f3a~")) == ("~7f3a", True, False)


@pytest.mark.parametrize(
    ("key", "method", "is_versioned", "is_merged", "waits"),
    [
        (("id",), Method.UPSERT, False, True, True),
        (("id",), Method.INSERT_IGNORE, False, True, True),
        (("id",), Method.APPEND, False, False, False),
        (("id",), Method.APPEND, True, False, True),
        ((), Method.REPLACE, False, False, False),
    ],
)
def test_rows_wait_for_the_commit_where_a_key_or_a_version_tells_them_apart(
    key, method, is_versioned, is_merged, waits
):
    version = Column("_sdc_table_version", (), Kind.INT, fill=Fill.TABLE_VERSION)
    columns = (Column("id", ("id",), Kind.INT), *((version,) if is_versioned else ()))
    stream = Stream("s", TableName("s"), columns, key, method)
    assert (stream.is_merged, stream.waits_for_commit) == (is_merged, waits)
