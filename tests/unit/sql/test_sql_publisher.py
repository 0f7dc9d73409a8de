"""Publishing: staged rows merged into a table in the order of their lines, by every way that databases have."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merges import AT, BORN, GONE, ID, TABLE, VALUE, VERSION, Merging, by_reference, by_sql, session, things

from tailrace.destinations.sqlite import STATEMENTS
from tailrace.model import Activation, Kind, Method, Published, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dialect import Merge
from tailrace.sql.publisher import Publisher, Staging
from tailrace.sql.tables import Place

PLAIN = things(ID, VALUE)
KEEPING = things(ID, VALUE, BORN)
DELETING = things(ID, VALUE, GONE, hard_delete=True)
IGNORING = things(ID, VALUE, GONE, hard_delete=True, method=Method.INSERT_IGNORE)
INLINE = (Merge.UPDATE, Merge.CONFLICT)
WAYS = pytest.mark.parametrize(
    "merge",
    [*({"merge": way} for way in Merge), *({"merge": way, "has_temporary": False} for way in INLINE)],
    ids=lambda way: f"{way['merge']}{'' if way.get('has_temporary', True) else ', inline'}",
)


@WAYS
def test_the_last_line_wins_and_columns_that_the_stream_lacks_keep_their_values(merge):
    rows = [(1, "a"), (2, "b"), (1, "c")]
    have = [(1, "z", "extra", "old"), (3, "y", "extra", "old")]
    assert by_sql(Merging(PLAIN, have, rows), **merge) == (
        [(1, "c", "extra", None), (2, "b", None, None), (3, "y", "extra", "old")],
        Published(inserted=1, updated=1, deduplicated=1),
    )


@WAYS
def test_what_an_update_keeps_is_the_first_lines_in_a_row_that_is_new(merge):
    rows = [(1, "a", "later"), (2, "b", "first"), (2, "c", "second")]
    assert by_sql(Merging(KEEPING, [(1, "z", "before", None, None)], rows), **merge) == (
        [(1, "a", "before", None, None), (2, "c", "first", None, None)],
        Published(inserted=1, updated=1, deduplicated=1),
    )


@WAYS
def test_a_row_that_asks_for_it_is_deleted_and_one_behind_it_comes_anew(merge):
    rows = [(1, "a", "now"), (2, "b", None), (2, "b", "now"), (2, "c", None), (3, "d", ""), (4, "e", "now")]
    have = [(1, "z", None, "x", None), (2, "y", None, "x", None), (5, "w", None, "x", "old")]
    assert by_sql(Merging(DELETING, have, rows), **merge) == (
        [(2, "c", None, None, None), (3, "d", "", None, None), (5, "w", None, "x", "old")],
        Published(inserted=2, deleted=2, deduplicated=2, removals=2),
    )


@WAYS
@pytest.mark.parametrize("clears", [True, False])
def test_rows_of_nothing_but_a_key_are_inserted_once_and_change_nothing_else(merge, clears):
    given_rows = Merging(things(ID), [(1, "x", "old")], [(1,), (2,), (2,)], clears=clears)
    assert by_sql(given_rows, **merge) == (
        [(1, "x", None if clears else "old"), (2, None, None)],
        Published(inserted=1, updated=1, deduplicated=1),
    )


@WAYS
def test_a_value_that_rows_lose_is_lost_though_they_keep_all_others(merge):
    given_rows = Merging(things(ID, BORN), [(1, "first", "x", "old")], [(1, "later")])
    assert by_sql(given_rows, **merge) == ([(1, "first", "x", None)], Published(updated=1))


@WAYS
def test_all_rows_of_a_key_get_new_values_in_a_table_that_does_not_hold_them_apart(merge):
    have = [(1, "z", "x", None), (1, "y", "w", None)]
    assert by_sql(Merging(PLAIN, have, [(1, "a"), (2, "b")], is_unique=False), **merge) == (
        [(1, "a", "w", None), (1, "a", "x", None), (2, "b", None, None)],
        Published(inserted=1, updated=1),
    )


def test_keys_are_compared_value_by_value():
    both = things(ID, VALUE, BORN, key=("id", "value"))
    rows = [(1, "23", "a"), (12, "3", "b"), (1, "23", "c")]
    found, done = by_sql(Merging(both, [], rows))
    assert (len(found), done) == (2, Published(inserted=2, deduplicated=1))


def test_of_rows_that_are_ignored_the_first_line_wins_and_the_tables_rows_before_all():
    rows = [(1, "a", None), (2, "b", None), (2, "c", None)]
    assert by_sql(Merging(IGNORING, [(1, "z", None, "x", "old")], rows)) == (
        [(1, "z", None, "x", "old"), (2, "b", None, None, None)],
        Published(inserted=1, ignored=2),
    )


def test_a_row_that_is_kept_can_be_deleted_and_come_anew():
    rows = [(1, "a", None), (1, "b", "now"), (1, "c", None), (1, "d", None), (2, "e", "now")]
    assert by_sql(Merging(IGNORING, [(1, "z", None, "x", None)], rows)) == (
        [(1, "c", None, None, None)],
        Published(inserted=1, deleted=1, ignored=2, removals=2),
    )


@pytest.mark.parametrize("of", [things(ID, VALUE, key=()), things(ID, VALUE, method=Method.APPEND)])
def test_rows_without_a_key_to_go_by_are_added(of):
    given_rows = Merging(of, [(1, "z", None, None)], [(1, "a"), (1, "a")], is_unique=False)
    assert by_sql(given_rows) == (
        [(1, "a", None, None), (1, "a", None, None), (1, "z", None, None)],
        Published(inserted=2),
    )


def test_nothing_staged_is_nothing_done():
    assert by_sql(Merging(PLAIN, [(1, "z", "x", "old")], [])) == ([(1, "z", "x", "old")], Published())


def test_an_activation_takes_away_what_came_before_its_line_and_is_of_an_older_version():
    of = things(ID, VALUE, VERSION, hard_delete=True)
    rows = [(1, "a", 1), (2, "b", 2), (3, "c", 1)]
    have = [(4, "z", 1, None, None), (5, "y", None, None, None), (6, "x", 2, None, None)]
    assert by_sql(Merging(of, have, rows, activations=[(2, 3)])) == (
        [(2, "b", 2, None, None), (3, "c", 1, None, None), (5, "y", None, None, None), (6, "x", 2, None, None)],
        Published(inserted=3, deleted=2),
    )


def test_an_activation_marks_rows_as_deleted_that_are_not_marked_yet():
    of = things(ID, VALUE, GONE, VERSION)
    have = [(1, "a", None, 1, None, None), (2, "b", "long ago", 1, None, None), (3, "c", None, 2, None, None)]
    assert by_sql(Merging(of, have, [], activations=[(2, 1)])) == (
        [
            (1, "a", "2024-05-06T00:00:00+00:00", 1, None, None),
            (2, "b", "long ago", 1, None, None),
            (3, "c", None, 2, None, None),
        ],
        Published(deleted=1),
    )


@pytest.mark.parametrize(
    ("kind", "marked"),
    [
        (Kind.TEXT, "2024-05-06T00:00:00+00:00"),
        (Kind.TIMESTAMP, "2024-05-06 00:00:00.000000"),
        (Kind.TIMESTAMPTZ, "2024-05-06 00:00:00.000000+00:00"),
    ],
)
def test_rows_are_marked_with_the_time_in_utc_as_the_column_takes_it(kind, marked):
    of = things(ID, replace(GONE, kind=kind), VERSION)
    columns = {c.name: TableColumn(c.name, c.kind) for c in of.columns}
    database = session()
    database.execute(STATEMENTS.create_table(TABLE, columns.values()))
    database.execute(STATEMENTS.insert_values(TABLE, ["id", "version"]), (1, 1))
    at = datetime(2024, 5, 6, 2, tzinfo=timezone(timedelta(hours=2)))
    done = Publisher(STATEMENTS).activate(database, Place(TABLE, columns), Activation(of, 2, 5), at)
    assert (done, database.query('SELECT "gone" FROM "things"')) == (Published(deleted=1), [(marked,)])


@pytest.mark.parametrize("missing", ["version", "gone"])
@pytest.mark.parametrize("hard_delete", [False, True])
def test_an_activation_does_nothing_where_the_table_lacks_the_columns_for_it(missing, hard_delete):
    of = things(ID, GONE, VERSION, hard_delete=hard_delete)
    columns = {c.name: TableColumn(c.name, c.kind) for c in of.columns if c.name != missing}
    database = session()
    database.execute(STATEMENTS.create_table(TABLE, columns.values()))
    database.execute(STATEMENTS.insert_values(TABLE, list(columns)), [1] * len(columns))
    done = Publisher(STATEMENTS).activate(database, Place(TABLE, columns), Activation(of, 2, 5), AT)
    assert done == Published(deleted=1 if missing == "gone" and hard_delete else 0)


@pytest.mark.parametrize("exists", [True, False])
def test_a_table_that_was_built_beside_takes_the_place_of_the_one_that_was_there(exists):
    database, beside = session(), TableName("beside")
    for table in [beside, TABLE] if exists else [beside]:
        database.execute(STATEMENTS.create_table(table, [TableColumn("id", Kind.INT)]))
        for number in (1, 2):
            database.execute(STATEMENTS.insert_values(table, ["id"]), (number + 10 * (table == beside),))
    Publisher(STATEMENTS).swap(database, beside, TABLE)
    assert database.query('SELECT * FROM "things"') == [(11,), (12,)]
    assert database.query("SELECT name FROM sqlite_master WHERE type = 'table'") == [("things",)]


@pytest.mark.parametrize(
    ("of", "merged", "waiting"),
    [
        (things(ID), True, True),
        (things(ID, method=Method.INSERT_IGNORE), True, True),
        (things(ID, method=Method.REPLACE), True, True),
        (things(ID, key=(), method=Method.REPLACE), False, False),
        (things(ID, method=Method.APPEND), False, False),
        (things(ID, VERSION, method=Method.APPEND), False, True),
        (things(ID, key=(), method=Method.UPSERT), False, False),
    ],
)
def test_rows_wait_for_the_commit_where_their_order_matters(of, merged, waiting):
    assert (of.is_merged, of.waits_for_commit) == (merged, waiting)


LETTERS = st.sampled_from([None, "a", "b"])
ROWS = st.tuples(st.integers(1, 3), LETTERS, LETTERS, st.sampled_from([None, None, "", "now"]), st.integers(1, 2))


@st.composite
def mergings(draw):
    method = draw(st.sampled_from([Method.UPSERT, Method.UPSERT, Method.INSERT_IGNORE]))
    columns = draw(st.sampled_from([(), (BORN,), (VALUE,), (VALUE, GONE), (VALUE, BORN, GONE, VERSION)]))
    of = things(ID, *columns, method=method, hard_delete=draw(st.booleans()))
    place = {column: at for at, column in enumerate((ID, VALUE, BORN, GONE, VERSION))}
    rows = [tuple(row[place[column]] for column in of.columns) for row in draw(st.lists(ROWS, max_size=6))]
    is_unique = draw(st.booleans())
    have = [(*row, "extra", "old") for row in draw(st.lists(ROWS, max_size=3, unique_by=lambda row: row[0]))]
    have = [(*(row[place[column]] for column in of.columns), *row[-2:]) for row in have]
    activations = draw(st.sampled_from([(), ((2, 3),), ((1, 2), (2, 4))])) if VERSION in of.columns else ()
    return Merging(of, have, rows, activations, is_unique, clears=draw(st.booleans()))


@WAYS
@settings(max_examples=20)
@given(mergings())
def test_sql_merges_as_the_reference_does(merge, merging):
    assert by_sql(merging, **merge) == by_reference(merging)


def test_only_a_segment_that_parts_the_lines_of_a_table_has_to_be_counted():
    staging = Staging(PLAIN, TABLE, Place(TABLE, {}), rows=3, lines=(5, 9))
    segments = {(0, 5): 0, (10, 20): 0, (0, 10): 3, (5, 10): 3, (0, 9): None, (6, 20): None, (5, 6): None}
    assert {segment: staging.count_between(*segment) for segment in segments} == segments
