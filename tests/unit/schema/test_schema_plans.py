"""Values by plan: revisions share one, and a stream that differs in anything else has its own."""

from dataclasses import replace

from tailrace.schema.plans import ByPlan, is_same_plan
from tailrace.testing.parts import ID, stream

NARROW, WIDE = stream(ID), stream()


def test_revisions_of_a_plan_have_one_value():
    places = ByPlan()
    places.put(NARROW, "narrow")
    assert places.get(replace(NARROW, revision=7)) == "narrow"


def test_plans_of_a_stream_have_values_of_their_own():
    places = ByPlan()
    for each in (NARROW, WIDE):
        assert places.get(each) is None
        assert places.put(each, each.columns) == each.columns
    assert [places.get(each) for each in (NARROW, WIDE, NARROW)] == [NARROW.columns, WIDE.columns, NARROW.columns]


def test_streams_that_differ_in_anything_but_their_revision_are_other_plans():
    others = [replace(NARROW, hard_delete=True), replace(NARROW, key=()), replace(NARROW, name="log")]
    assert [is_same_plan(NARROW, other) for other in others] == [False, False, False]
    assert is_same_plan(NARROW, replace(NARROW, revision=2))


def test_the_values_of_one_stream_are_dropped_or_some_of_them():
    places, log = ByPlan(), stream(name="log")
    for each in (NARROW, WIDE, log):
        places.put(each, len(each.columns))
    places.drop("things", lambda count: count == 1)
    assert [places.get(each) for each in (NARROW, WIDE, log)] == [None, 2, 2]
    places.drop("things")
    assert [places.get(each) for each in (NARROW, WIDE, log)] == [None, None, 2]
