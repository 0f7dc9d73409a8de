"""Which rows of a key are written: the same as if each row were applied by itself, in the order of lines."""

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import given

from tailrace.documents.winners import GONE, first_winners, last_winners
from tailrace.model import LINE

ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12)


def keyed(rows):
    return [(key, line, is_deletion) for line, (key, is_deletion) in enumerate(rows, 1)]


def tables(rows, size=5):
    """The rows as tables of a few each, by a key of two columns."""
    every = keyed(rows)
    for at in range(0, len(every), size):
        keys, lines, gone = zip(*every[at : at + size], strict=True)
        columns = {"key0": keys, "key1": [f"k{key}" for key in keys], LINE: lines}
        yield pa.table({**columns, GONE: pa.array(gone, pa.bool_())})


def chosen(select, rows):
    """What becomes of the rows, as is asked for a part at a time."""
    winners = select(tables(rows))
    parts = [winners.within(at, at + 2) for at in range(1, len(rows) + 1, 3)]
    writes = {line: first for part in parts for line, first in part.writes.items()}
    fresh, removes = ({line for part in parts for line in getattr(part, name)} for name in ("fresh", "removes"))
    assert winners.among(range(-1, len(rows) + 2)) == writes.keys() | removes
    return winners, writes, fresh, removes


def applied(rows, present, *, replaces):
    """The line of each key's row when the rows are applied one by one to those that are there, on line 0."""
    table = dict.fromkeys(present, 0)
    for key, line, is_deletion in keyed(rows):
        if is_deletion:
            table.pop(key, None)
        elif replaces or key not in table:
            table[key] = line
    return table


def written(select, rows, present):
    """What is left of what is there, the lines that are written by key, and the keys that begin anew."""
    keys = {line: key for key, line, _ in keyed(rows)}
    table = dict.fromkeys(present, 0)
    _, writes, fresh, removes = chosen(select, rows)
    for line in removes:
        table.pop(keys[line], None)
    return table, {keys[line]: line for line in writes}, {keys[line] for line in fresh}


@given(ROWS, st.sets(st.integers(0, 3)))
def test_the_last_rows_leave_what_all_rows_leave(rows, present):
    table, writes, _ = written(last_winners, rows, present)
    assert table | writes == applied(rows, present, replaces=True)


@given(ROWS, st.sets(st.integers(0, 3)))
def test_the_first_rows_leave_what_all_rows_leave(rows, present):
    table, writes, fresh = written(first_winners, rows, present)
    kept = {key: line for key, line in writes.items() if key in fresh or key not in table}
    assert table | kept == applied(rows, present, replaces=False)


@given(ROWS)
def test_what_a_new_row_keeps_is_of_the_first_row_since_the_keys_last_deletion(rows):
    firsts = applied(rows, (), replaces=False)
    (_, writes, *_), keys = chosen(last_winners, rows), {line: key for key, line, _ in keyed(rows)}
    assert {keys[line]: first for line, first in writes.items()} == firsts


@given(ROWS)
def test_every_row_is_counted_once(rows):
    last, writes, fresh, removes = chosen(last_winners, rows)
    first, *_ = chosen(first_winners, rows)
    assert last.rows == first.rows == len(rows)
    assert len(last.writes) + last.removals + last.superseded == len(rows)
    assert first.removals == sum(is_deletion for _, is_deletion in rows)
    assert not writes.keys() & removes
    assert fresh <= writes.keys()
