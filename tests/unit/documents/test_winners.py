"""Which rows of a key are written: the same as if each row were applied by itself, in the order of lines."""

import hypothesis.strategies as st
from hypothesis import given

from tailrace.documents.winners import first_winners, last_winners

ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12)


def keyed(rows):
    return [(key, line, is_deletion) for line, (key, is_deletion) in enumerate(rows, 1)]


def applied(rows, present, *, replaces):
    """The line of each key's row when the rows are applied one by one to those that are there, on line 0."""
    table = dict.fromkeys(present, 0)
    for key, line, is_deletion in keyed(rows):
        if is_deletion:
            table.pop(key, None)
        elif replaces or key not in table:
            table[key] = line
    return table


def written(winners, rows, present):
    """What is left of what is there, the lines that are written by key, and the keys that begin anew."""
    keys = {line: key for key, line, _ in keyed(rows)}
    table = dict.fromkeys(present, 0)
    for line in winners.removes:
        table.pop(keys[line], None)
    return table, {keys[line]: line for line in winners.writes}, {keys[line] for line in winners.fresh}


@given(ROWS, st.sets(st.integers(0, 3)))
def test_the_last_rows_leave_what_all_rows_leave(rows, present):
    table, writes, _ = written(last_winners(keyed(rows)), rows, present)
    assert table | writes == applied(rows, present, replaces=True)


@given(ROWS, st.sets(st.integers(0, 3)))
def test_the_first_rows_leave_what_all_rows_leave(rows, present):
    table, writes, fresh = written(first_winners(keyed(rows)), rows, present)
    kept = {key: line for key, line in writes.items() if key in fresh or key not in table}
    assert table | kept == applied(rows, present, replaces=False)


@given(ROWS)
def test_what_a_new_row_keeps_is_of_the_first_row_since_the_keys_last_deletion(rows):
    firsts = applied(rows, (), replaces=False)
    winners, keys = last_winners(keyed(rows)), {line: key for key, line, _ in keyed(rows)}
    assert {keys[line]: first for line, first in winners.writes.items()} == firsts


@given(ROWS)
def test_every_row_is_counted_once(rows):
    last, first = last_winners(keyed(rows)), first_winners(keyed(rows))
    assert last.rows == first.rows == len(rows)
    assert len(last.writes) + last.removals + last.superseded == len(rows)
    assert first.removals == sum(is_deletion for _, is_deletion in rows)
    assert not last.writes.keys() & last.removes
    assert last.fresh <= last.writes.keys()
