"""What a checkpoint does to a table: activations that a later one makes up for are left out, and nothing is changed."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Activation, Column, Fill, Kind, Method, Stream
from tailrace.schema.steps import LAST_LINE, Segment, TableSteps
from tailrace.testing.parts import ID, stream

VERSION = Column("_sdc_table_version", (), Kind.INT, fill=Fill.TABLE_VERSION)
DELETED = Column("_sdc_deleted_at", (), Kind.TIMESTAMPTZ, fill=Fill.DELETED_AT)
LOG = stream(ID, VERSION, DELETED, key=())


@dataclass(frozen=True)
class Part:
    """Rows that wait: the line and the version of each, which may be None."""

    stream: Stream
    rows: tuple[tuple[int, int | None], ...]


def activated(rows, version, *, hard):
    """The rows (line, version, whether marked) after an activation, and how many it has taken."""
    old = [row for row in rows if row[1] is not None and row[1] < version and not row[2]]
    kept = [row for row in rows if row not in old]
    return (kept if hard else kept + [(line, of, True) for line, of, _ in old]), len(old)


def by_steps(there, steps, *, hard):
    rows, taken = [(-line, version, False) for line, version in there], 0
    for step in steps:
        if isinstance(step, Segment):
            rows += [(*row, False) for row in step.staged.rows if step.first <= row[0] < step.end]
        else:
            rows, count = activated(rows, step.version, hard=hard)
            taken += count
    return sorted(rows, key=str), taken


def one_by_one(there, staged, activations, *, hard):
    """The plain model: line after line."""
    rows, taken = [(-line, version, False) for line, version in there], 0
    new = [row for part in staged for row in part.rows]
    for line in range(100):
        for each in activations:
            if each.line == line:
                rows, count = activated(rows, each.version, hard=hard)
                taken += count
        rows += [(*row, False) for row in new if row[0] == line]
    return sorted(rows, key=str), taken


VERSIONS = st.none() | st.integers(1, 5)
ROWS = st.dictionaries(st.integers(1, 40), VERSIONS).map(lambda rows: tuple(rows.items()))


@given(
    there=ROWS,
    parts=st.lists(ROWS, min_size=1, max_size=2),
    given=st.dictionaries(st.integers(1, 41), st.integers(1, 6)),
    hard=st.booleans(),
)
def test_rows_and_counts_are_those_of_the_plain_model(there, parts, given, hard):
    of = replace(LOG, hard_delete=hard)
    staged = tuple(Part(replace(of, revision=number), rows) for number, rows in enumerate(parts, 1))
    activations = tuple(Activation(of, version, line) for line, version in given.items())
    steps = TableSteps("things", staged, activations)
    assert by_steps(there, steps, hard=hard) == one_by_one(there, staged, activations, hard=hard)


def lines_of(*activations, of=LOG, part=LOG):
    steps = TableSteps("things", (Part(part, ()),), tuple(Activation(of, *each) for each in activations))
    return [step.line for step in steps if isinstance(step, Activation)]


def test_of_versions_that_rise_only_the_last_is_activated():
    assert lines_of((1, 10), (3, 30), (2, 20)) == [30]


def test_a_lower_version_that_follows_is_activated_too():
    assert lines_of((3, 10), (1, 20), (2, 30)) == [10, 30]


def test_rows_between_two_activations_that_are_needed_are_parted():
    steps = [*TableSteps("things", (Part(LOG, ()),), (Activation(LOG, 2, 10), Activation(LOG, 1, 20)))]
    assert [(s.first, s.end) for s in steps if isinstance(s, Segment)] == [(0, 10), (10, 20), (20, LAST_LINE)]


@pytest.mark.parametrize("method", [Method.UPSERT, Method.INSERT_IGNORE])
def test_a_stream_that_is_merged_takes_every_activation(method):
    keyed = replace(LOG, key=("id",), method=method)
    assert lines_of((1, 10), (3, 30), (2, 20), of=keyed, part=keyed) == [10, 20, 30]


def test_activations_of_plans_with_other_columns_of_versions_are_all_taken():
    other = stream(ID, replace(VERSION, name="version"), DELETED, key=())
    activations = (Activation(other, 1, 10), Activation(LOG, 2, 20))
    steps = TableSteps("things", (Part(LOG, ()),), activations)
    assert [step.line for step in steps if isinstance(step, Activation)] == [10, 20]
