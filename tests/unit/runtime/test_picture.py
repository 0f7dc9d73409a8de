"""The picture of a run on a terminal, as its lines."""

import pytest

from tailrace.runtime.picture import Moment, StreamProgress, picture
from tailrace.runtime.texttable import folded, in_time, width_of


def current(name, read=10, **more):
    return StreamProgress(name, read=read, left=read, is_current=True, **more)


def waiting(name, read=10):
    return StreamProgress(name, read=read, staged=read, left=read)


def done(name, read=10):
    return StreamProgress(name, read=read, loaded=read)


def of(*streams, **more):
    return Moment(**{"title": "DuckDB", "streams": streams, "elapsed_s": 8.0} | more)


def names(moment, width=100, height=24):
    """The first words of the table's lines."""
    return [line.split("  ")[0] for line in picture(moment, width, height)[2:-1]]


def footer(width=100, **more):
    return picture(of(current("a"), **more), width, 24)[-1]


def test_what_is_being_read_is_on_top_and_what_waits_below():
    assert names(of(waiting("a"), done("b"), current("c"), waiting("d"), current("e"))) == [
        *("e", "c", "d", "a", "b", "total")
    ]


def test_several_finished_or_empty_streams_are_a_line_each():
    streams = [done("a"), done("b"), StreamProgress("c"), StreamProgress("d"), current("e")]
    assert names(of(*streams)) == ["e", "… 2 done", "… 2 empty", "total"]


def test_a_stream_that_still_comes_is_not_finished_though_all_of_it_is_loaded():
    assert names(of(done("a"), StreamProgress("b", read=1, loaded=1, is_current=True), done("c")))[0] == "b"


@pytest.mark.parametrize("height", range(1, 30))
def test_total_and_footer_are_there_on_any_height_and_no_line_is_too_many(height):
    streams = [*(done(f"d{n}") for n in range(40)), *(current(f"c{n}") for n in range(40)), StreamProgress("e")]
    lines = picture(of(*streams), 80, height)
    assert len(lines) <= height
    assert lines[-1].startswith("8.0 s · no checkpoint yet")
    if height > 1:
        assert lines[-2].startswith("total ")
        assert lines[-2].split()[1] == "800"


def test_streams_that_have_no_room_are_summed_up():
    lines = picture(of(*(current(f"s{n}", rate=1.0) for n in range(10))), 80, 8)
    assert [line.split("  ")[0] for line in lines] == [
        "DuckDB",
        "stream",
        "s9",
        "s8",
        "s7",
        "… 7 more",
        "total",
        lines[-1],
    ]
    assert lines[5].split()[3:5] == ["70", "7"]


@pytest.mark.parametrize("width", range(30, 120, 7))
def test_a_narrow_terminal_has_fewer_columns_and_no_line_that_is_too_long(width):
    lines = picture(of(current("a_name_" * 10, read=123_456), done("銘柄" * 30)), width, 24)
    assert max(map(width_of, lines)) <= width
    assert "123,456" in lines[2]


def test_the_share_of_the_input_tells_the_time_that_is_left():
    assert footer(share=0.25).startswith("25% · 24 s left · 8.0 s · ")
    assert footer(share=0.999).startswith("99% · 0.0 s left · ")
    assert footer(share=1.0).startswith("100% · 8.0 s")
    assert footer(share=0.001).startswith("0% · 8.0 s")
    assert footer(share=0.5, elapsed_s=1.0).startswith("50% · 1.0 s · ")
    assert footer().startswith("8.0 s · ")


def test_the_footer_leaves_out_what_matters_least_where_there_is_no_room():
    whole = footer(share=0.25, checkpoint=7, held=2048)
    assert whole == "25% · 24 s left · 8.0 s · checkpoint 7 · 2.0 KiB in memory"
    assert footer(40, share=0.25, checkpoint=7, held=2048) == "25% · 24 s left · 8.0 s · checkpoint 7"
    assert footer(5, share=0.25) == "25%"


def test_before_the_first_message_there_are_a_title_and_a_footer():
    assert picture(of(title="DuckDB · pipeline p"), 80, 24) == [
        "DuckDB · pipeline p",
        "8.0 s · no checkpoint yet · 0 B in memory",
    ]


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("orders", 6, "orders"),
        ("orders", 5, "or…rs"),
        ("orders", 4, "or…s"),
        ("銘柄時価", 7, "銘…価"),
        ("cafe\u0301s", 5, "cafe\u0301s"),
    ],
)
def test_a_text_is_folded_in_the_middle(text, width, shown):
    assert folded(text, width) == shown
    assert width_of(shown) <= width


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.94, "9.9 s"), (10.4, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7380, "2 h 03 min")],
)
def test_a_time_is_told_as_people_read_it(seconds, text):
    assert in_time(seconds) == text
