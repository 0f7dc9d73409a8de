"""Safe points: found by line and by what was read before them, and dropped, as a plain list of them would be."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.runtime.safe_points import SafePoint, SafePoints
from tailrace.singer.states import PassedState, StateMessages


@st.composite
def blocks(draw):
    """Blocks of states, as (line, records before it, bytes before it), with lines rising."""
    line = records = size = 0
    made = []
    for _ in range(draw(st.integers(1, 4))):
        block = []
        for _ in range(draw(st.integers(0, 4))):
            line += draw(st.integers(1, 5))
            more = draw(st.integers(0, 3))
            records, size = records + more, size + more * draw(st.integers(1, 9))
            block.append((line, records, size))
        made.append(block)
    return made


def points_of(made):
    points, records, size = SafePoints(), 0, 0
    for block in made:
        states = (PassedState(at, b"%d" % at, n - records, b - size) for at, n, b in block)
        points.add(StateMessages.of(states), records, size)
        records, size = block[-1][1:] if block else (records, size)
    return points


def plain(made):
    return [SafePoint(at, b"%d" % at, n, b) for block in made for at, n, b in block]


def left(points):
    """All points, from the last back."""
    found = []
    while (point := points.before(found[-1].line if found else 10**9)) is not None:
        found.append(point)
    return found[::-1]


@given(blocks(), st.integers(0, 90))
def test_the_last_one_before_a_line_is_found(made, line):
    points = points_of(made)
    assert points.before(line) == max((p for p in plain(made) if p.line < line), key=lambda p: p.line, default=None)
    assert points.last == (plain(made) or [None])[-1]
    assert len(points) == len(plain(made))


@given(blocks(), st.integers(0, 90), st.integers(0, 40), st.integers(0, 300))
def test_the_first_one_behind_a_line_is_found_where_enough_was_read(made, line, records, size):
    enough = (p for p in plain(made) if p.line > line and (p.records >= records or p.record_bytes >= size))
    assert points_of(made).first_past(line, records, size) == next(enough, None)


@given(blocks(), st.lists(st.integers(0, 90), max_size=3))
def test_those_up_to_a_line_are_dropped(made, lines):
    points = points_of(made)
    for line in lines:
        points.drop_until(line)
    assert left(points) == [p for p in plain(made) if p.line > max(lines, default=0)]
    if not left(points):
        assert points.bytes == 0


@given(blocks(), st.lists(st.integers(0, 90), max_size=3))
def test_of_those_that_are_superseded_the_last_stays(made, lines):
    points, expected = points_of(made), plain(made)
    for line in lines:
        points.supersede(line)
        gone = [p for p in expected if p.line <= line]
        expected = [*gone[-1:], *expected[len(gone) :]]
    assert left(points) == expected


def test_what_is_superseded_takes_no_space():
    states = StateMessages.of(PassedState(line, b"x" * 1000) for line in range(1, 101))
    points = SafePoints()
    points.add(states, 0, 0)
    points.supersede(98)
    assert (len(points), points.bytes) == (3, 3 * 1032)
