"""The report: counts that add up, names that are told up to a limit, and what people see of it."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Inexact, Noted, Published
from tailrace.runtime.report import MAX_NAME_LENGTH, MAX_NAMES, Report, StreamReport, Tally
from tailrace.runtime.texttable import in_units

BEGUN = datetime(2024, 5, 6, tzinfo=UTC)


def report_of(tally):
    return tally.report("p", BEGUN, BEGUN + timedelta(seconds=2.5))


def test_what_was_read_and_went_nowhere_is_uncommitted():
    counts = StreamReport(read=20, loaded=8, updated=3, deleted=9, deduplicated=4, filtered=2, quarantined=1)
    assert counts.uncommitted == 5


@given(st.lists(st.tuples(st.sampled_from("ab"), st.builds(Published, *[st.integers(0, 9)] * 6))))
def test_what_is_published_adds_up_to_what_was_staged(commits):
    tally = Tally()
    for stream, done in commits:
        staged = done.inserted + done.updated + done.removals + done.deduplicated + done.ignored
        tally.add(stream, read=staged)
        tally.add_published({stream: done})
    found = tally.streams()
    assert all(counts.uncommitted == 0 for counts in found.values())
    assert sum(counts.deleted for counts in found.values()) == sum(done.deleted for _, done in commits)
    assert sum(counts.updated for counts in found.values()) == sum(done.updated for _, done in commits)


def test_streams_are_in_the_order_of_their_first_message():
    tally = Tally()
    for name in ("z", "a", "z", "m"):
        tally.add(name, read=1)
    assert [(name, counts.read) for name, counts in tally.streams().items()] == [("z", 2), ("a", 1), ("m", 1)]


def test_unknown_fields_are_new_once_and_counted_by_name():
    tally = Tally()
    tally.add("s")
    assert tally.add_unknown("s", {"a": 2, "b": 1}) == ["a", "b"]
    assert tally.add_unknown("s", {"b": 4, "c": 1}) == ["c"]
    assert tally.add_unknown("other", {"b": 4}) == ["b"]
    assert tally.streams()["s"].unknown_fields == {"a": 2, "b": 5, "c": 1}


def test_a_hundred_unknown_fields_have_names_and_all_others_a_count():
    tally = Tally()
    tally.add("s")
    first = tally.add_unknown("s", {f"f{number}": 1 for number in range(MAX_NAMES + 5)})
    assert len(first) == MAX_NAMES
    assert tally.add_unknown("s", {"f0": 3, "f104": 2}) == []
    counts = tally.streams()["s"]
    assert (len(counts.unknown_fields), counts.unknown_fields["f0"], counts.other_unknown_fields) == (100, 4, 7)


def test_a_long_name_is_told_cut():
    tally = Tally()
    tally.add("s")
    whole, long = "x" * MAX_NAME_LENGTH, "x" * (MAX_NAME_LENGTH + 1)
    assert tally.add_unknown("s", {whole: 1, long: 1}) == [whole, whole + "…"]


def test_what_is_noted_is_new_once_and_has_the_line_of_the_first():
    tally = Tally()
    tally.add("s")
    assert tally.add_noted("s", "coerced", {"a": Noted(2, 9)}) == ["a"]
    assert tally.add_noted("s", "coerced", {"a": Noted(1, 4), "b": Noted(1, 5)}) == ["b"]
    assert tally.add_noted("s", "inexact", {"a": Inexact(1, 3, 17, 0)}) == ["a"]
    tally.add_noted("s", "inexact", {"a": Inexact(1, 8, 2, 5)})
    counts = tally.streams()["s"]
    assert counts.coerced == {"a": Noted(3, 4), "b": Noted(1, 5)}
    assert (counts.inexact, counts.odd) == ({"a": Inexact(2, 3, 17, 5)}, {})


def test_counts_of_several_threads_add_up():
    tally = Tally()
    threads = [threading.Thread(target=lambda: [tally.add("s", read=1) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.streams()["s"].read == 2000


def test_a_report_is_json_with_the_state_as_the_value_that_it_is(tmp_path):
    tally = Tally()
    tally.add("s", read=3, loaded=2, bytes=10)
    tally.add("t", read=1, filtered=1)
    tally.checkpoints, tally.checkpoint, tally.state = 2, 7, b'{"at": [1, "\xe9"]}'.decode("latin-1").encode()
    report_of(tally).write(tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    total = told.pop("total")
    streams = told.pop("streams")
    assert told == {
        "pipeline": "p",
        "started_at": "2024-05-06T00:00:00+00:00",
        "finished_at": "2024-05-06T00:00:02.500000+00:00",
        "seconds": 2.5,
        "checkpoints": 2,
        "checkpoint": 7,
        "state": {"at": [1, "é"]},
    }
    assert total == {
        "read": 4,
        "loaded": 2,
        "updated": 0,
        "deleted": 0,
        "deduplicated": 0,
        "filtered": 1,
        "quarantined": 0,
        "bytes": 10,
        "uncommitted": 1,
    }
    assert (streams["s"]["uncommitted"], streams["t"]["uncommitted"], streams["s"]["unknown_fields"]) == (1, 0, {})


def test_a_report_without_a_state_says_none():
    assert report_of(Tally()).as_dict()["state"] is None


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (2**20, "1.0 MiB"),
        (2**30, "1.0 GiB"),
        (5 * 2**40, "5120.0 GiB"),
    ],
)
def test_bytes_are_told_in_units(size, text):
    assert in_units(size) == text


def test_a_report_is_what_it_was_when_it_was_made():
    tally = Tally()
    tally.add("s", read=1)
    tally.add_unknown("s", {"a": 1})
    before = report_of(tally)
    tally.add("s", read=1)
    tally.add_unknown("s", {"a": 1})
    assert isinstance(before, Report)
    assert (before.streams["s"].read, before.streams["s"].unknown_fields) == (1, {"a": 1})
