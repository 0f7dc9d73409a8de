"""The table of the end report, as people see it."""

from datetime import UTC, datetime, timedelta

import pytest

from tailrace.runtime.report import Tally
from tailrace.runtime.summary import report_table

AT = datetime(2024, 5, 6, tzinfo=UTC)


def report_of(tally, seconds=2):
    return tally.report("p", AT, AT + timedelta(seconds=seconds))


def shown(report):
    return [line.split() for line in report_table(report).splitlines()]


def test_the_table_of_one_stream_has_no_total_and_no_column_for_what_is_not_there():
    tally = Tally()
    tally.add("s", read=1234, loaded=1234)
    assert shown(report_of(tally))[:-1] == [["stream", "read", "loaded"], ["s", "1,234", "1,234"]]


def test_a_column_is_there_where_one_stream_has_something_in_it():
    tally = Tally()
    tally.add("s", read=3, filtered=3)
    tally.add("t", read=1)
    assert shown(report_of(tally))[:-1] == [
        ["stream", "read", "loaded", "filtered", "uncommitted"],
        ["s", "3", "0", "3", "0"],
        ["t", "1", "0", "0", "1"],
        ["total", "4", "0", "3", "1"],
    ]


@pytest.mark.parametrize(
    ("seconds", "line"), [(2, "2.0 s, 617 records/s"), (3600, "1 h 00 min, 0 records/s"), (0, "0.0 s")]
)
def test_the_last_line_has_the_time_and_the_rate(seconds, line):
    tally = Tally()
    tally.add("s", read=1234, loaded=1234)
    assert report_table(report_of(tally, seconds)).splitlines()[-1] == line


def test_the_table_of_several_streams_adds_up():
    tally = Tally()
    tally.add("s", read=2, loaded=1)
    tally.add("[red]t\x1b[0m", read=3, loaded=3)
    heading, first, second, total, _ = shown(report_of(tally))
    assert heading[-1] == "uncommitted"
    assert (first[-1], second[-1], total[0], total[1], total[-1]) == ("1", "0", "total", "5", "1")
    assert "[red]t" in second[0]
    assert "\x1b" not in second[0]


def test_a_long_name_is_folded_and_no_figure_is_cut_however_narrow_the_terminal_is():
    tally = Tally()
    tally.add("a_name_" * 20 + "end", read=123_456_789, loaded=123_456_789)
    for width in (80, 40, 1):
        _, line, _ = report_table(report_of(tally), width).splitlines()
        name, *figures = line.split()
        assert (name[0], name[-3:], figures) == ("a", "end", ["123,456,789"] * 2)
        assert len(line) == max(width, 14 + 2 * 13)


def test_counts_stand_on_the_right_of_their_columns_beside_wide_names():
    tally = Tally()
    tally.add("銘柄", read=1234567, loaded=1)
    tally.add("cafe\u0301", read=1)
    lines = report_table(report_of(tally)).splitlines()
    assert [line[: line.index("  ")] for line in lines[:-1]] == ["stream", "銘柄", "cafe\u0301", "total"]
    assert lines[0].startswith("stream       read  loaded")
    assert lines[1].startswith("銘柄    1,234,567       1")
    assert lines[2].startswith("cafe\u0301            1       0")
