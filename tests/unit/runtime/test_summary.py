"""The table of the end report, as people see it."""

from datetime import UTC, datetime

from tailrace.runtime.report import Tally
from tailrace.runtime.summary import report_table

AT = datetime(2024, 5, 6, tzinfo=UTC)


def report_of(tally):
    return tally.report("p", AT, AT)


def shown(report):
    return [line.split() for line in report_table(report).splitlines()]


def test_the_table_of_one_stream_has_no_total_and_no_column_for_what_is_not_there():
    tally = Tally()
    tally.add("s", read=1234, loaded=1234)
    assert shown(report_of(tally)) == [
        ["stream", "read", "loaded", "updated", "deleted", "deduplicated", "filtered", "quarantined"],
        ["s", "1,234", "1,234", "0", "0", "0", "0", "0"],
    ]


def test_the_table_of_several_streams_adds_up():
    tally = Tally()
    tally.add("s", read=2, loaded=1)
    tally.add("[red]t\x1b[0m", read=3, loaded=3)
    heading, first, second, total = shown(report_of(tally))
    assert heading[-1] == "uncommitted"
    assert (first[-1], second[-1], total[0], total[1], total[-1]) == ("1", "0", "total", "5", "1")
    assert "[red]t" in second[0]
    assert "\x1b" not in second[0]


def test_counts_stand_on_the_right_of_their_columns_beside_wide_names():
    tally = Tally()
    tally.add("銘柄", read=1234567, loaded=1)
    tally.add("cafe\u0301", read=1)
    lines = report_table(report_of(tally)).splitlines()
    assert [line[: line.index("  ")] for line in lines] == ["stream", "銘柄", "cafe\u0301", "total"]
    assert lines[0].startswith("stream       read  loaded  updated")
    assert lines[1].startswith("銘柄    1,234,567       1        0")
    assert lines[2].startswith("cafe\u0301            1       0        0")
