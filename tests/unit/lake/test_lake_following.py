"""Tables that follow an entry: all that can, and what is told of those that can't."""

import pytest

from tailrace.errors import CommitUnknownError, DestinationError, SchemaError
from tailrace.lake.entries import Activate, Change, Entry, Part, Staged
from tailrace.lake.following import Followed, Lacking, follow
from tailrace.lake.nested import Read
from tailrace.lake.notes import Notes
from tailrace.model import Inexact, Method, Noted, Published, TableName
from tailrace.testing.parts import AT, stream

ENTRY = Entry("p", 5, 1, "f", 3, "{}", AT)
DOWN, WRONG = DestinationError("down"), SchemaError("no such type", stream="s")
THINGS = stream(name="s")


def change(table="things", **more):
    return Change("s", table, "own", **more)


def test_every_table_that_can_is_brought_to_the_entry_whatever_becomes_of_the_others():
    errors = {"a": DOWN, "c": WRONG}

    def bring(_, each):
        if each.table in errors:
            raise errors[each.table]
        return Published(inserted=2)

    done = follow(ENTRY, [Change(name, name) for name in "abcd"], bring)
    assert done.published == {"b": Published(inserted=2), "d": Published(inserted=2)}
    assert done.errors == {TableName("a"): DOWN, TableName("c"): WRONG}


def told(errors, pipeline="p"):
    entry = Entry(pipeline, 5, 1, "f", 3, "{}", AT)
    with pytest.raises(CommitUnknownError) as failed:
        Followed(entry, errors=errors).raise_for_errors(lambda error: error is DOWN)
    return str(failed.value), failed.value.__cause__


def test_where_all_are_at_the_entry_nothing_is_raised():
    Followed(ENTRY, {"s": Published()}).raise_for_errors(lambda _: True)


def test_an_error_that_may_pass_is_the_cause_and_the_next_run_does_the_rest():
    text, cause = told({TableName("a"): WRONG, TableName("b"): DOWN})
    assert cause is DOWN
    assert text == (
        "checkpoint 3 is decided, but the table a lacks it: stream 's': no such type; the table b lacks it: down; "
        "run again, which applies it"
    )


def test_an_error_that_will_not_pass_says_how_to_go_on_without_these_rows():
    text, cause = told({TableName("a b"): WRONG}, "the pipe")
    assert cause is WRONG
    assert "`tailrace recover --pipeline 'the pipe' --give-up 'a b'`" in text


def test_a_run_without_a_pipeline_has_no_later_one():
    assert told({TableName("a"): DOWN}, "~1")[0].endswith("load again what the checkpoint covers")


@pytest.mark.parametrize(
    ("given", "lines", "text"),
    [
        (
            change(files=(Part("a", 1200, 9),)),
            None,
            "The table own.things lacks 1,200 rows of the stream 's' of checkpoint 3; the rows are not saved.",
        ),
        (
            change(staged=(Staged(stream(name="s", method=Method.UPSERT), {}, (Part("a", 2, 9),)),)),
            (7, 9),
            (
                "The table own.things lacks 2 rows of the stream 's' of checkpoint 3, from the input lines 7 to 9, "
                "which were to be merged by upsert; the rows are not saved."
            ),
        ),
        (
            change(replace=True, files=(Part("a", 2, 9),)),
            None,
            (
                "The table own.things lacks 2 rows of the stream 's' of checkpoint 3; they were to replace "
                "all rows of the table; the rows are not saved."
            ),
        ),
        (
            change(activate=(Activate(THINGS, 4, 1), Activate(THINGS, 5, 2))),
            None,
            "The table own.things lacks 0 rows of the stream 's' of checkpoint 3; the version 4, 5 isn't activated.",
        ),
    ],
    ids=["files", "staged", "replace", "activate"],
)
def test_what_a_table_lacks_is_told(given, lines, text):
    assert str(Lacking(given, 3, lines, ())) == text


def test_where_the_rows_are_saved_is_told(tmp_path):
    lacking = Lacking(change(files=(Part("a", 1, 9),)), 3, None, (tmp_path / "a.parquet",))
    assert str(lacking).endswith(f"the rows are saved in {tmp_path}.")


def test_what_is_told_of_values_within_structs_is_said_once_of_each_place(caplog):
    notes = Notes()
    read = Read(None, inexact={"o.a": Inexact(2, 7, 18, 2), "l[]": Inexact(1, 8, 18, 2)}, coerced={"o.a": Noted(1, 9)})
    for _ in range(2):
        notes.say(THINGS, read)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "`kind: DECIMAL(20,2)` for the field" in said[0]
    assert "`kind: JSON` for the column" in said[1]
    assert "came as another type" in said[2]
    assert "column=o.a line=9" in said[2]
    notes.say(stream(name="t"), read)
    assert len(caplog.records) == 6
