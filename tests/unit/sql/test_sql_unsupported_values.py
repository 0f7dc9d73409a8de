"""Values that a database lacks: NUL in text and JSON, NaN and infinity; and values written into SQL that takes none."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions import Recorded

from tailrace.destinations.sqlite import DIALECT, STATEMENTS
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.placeholders import literal, percent, with_literals, with_numbers
from tailrace.sql.unsupported_values import refuse_infinite, typed, without_nul

BACKSLASHES = r"\\"


def rows_of(*texts, **more):
    return pa.table({"t": pa.array(texts, pa.string()), **more, LINE: range(1, len(texts) + 1)})


def never():
    raise AssertionError("asked")


def test_rows_without_nul_stay_as_they_are_and_nothing_is_asked():
    rows = rows_of("a", None, r"\u0001", n=[1, 2, 3])
    assert without_nul(rows, "X", never, strips=False) is rows


def test_nul_in_text_is_refused_and_what_looks_like_its_escape_is_not():
    with pytest.raises(RowsRefusedError, match="2 rows have one") as failed:
        without_nul(rows_of("a\0b", r"a\u0000b", "\0", None), "X", list, strips=False)
    reason = "column 't': X has no NUL in text (`nul: strip` drops it)"
    assert failed.value.reasons == {1: reason, 3: reason}


@pytest.mark.parametrize(
    ("text", "is_nul"),
    [
        (r'"\u0000"', True),
        (r'"a\u0000b"', True),
        (r'"\\u0000"', False),
        (r'"\\\u0000"', True),
        (r'"\\\\u0000"', False),
        (r'"\u00001"', True),
        (r'"\u0001"', False),
    ],
)
def test_nul_in_json_is_its_escape_unless_the_backslash_is_escaped_itself(text, is_nul):
    if not is_nul:
        assert without_nul(rows_of(text), "X", lambda: ["t"], strips=False).num_rows == 1
        return
    with pytest.raises(RowsRefusedError) as failed:
        without_nul(rows_of(text), "X", lambda: ["t"], strips=False)
    assert failed.value.reasons == {1: "column 't': X has no NUL in JSON (`nul: strip` drops it)"}


def test_a_row_is_refused_for_each_of_its_columns():
    rows = rows_of("\0", u=["\0"])
    with pytest.raises(RowsRefusedError) as failed:
        without_nul(rows, "X", never, strips=False)
    assert failed.value.reasons[1].count("has no NUL in text") == 2


def test_nul_is_left_out_where_it_is_to_be_stripped():
    rows = rows_of("a\0b\0", None, "c", j=[r'"\u0000\u0000a\\u0000"', r'"\\\u0000"', r'"\u0000"'])
    stripped = without_nul(rows, "X", lambda: {"j"}, strips=True)
    assert stripped.to_pydict() == {
        "t": ["ab", None, "c"],
        "j": [r'"a\\u0000"', r'"\\"', '""'],
        LINE: [1, 2, 3],
    }


@given(st.lists(st.text('a\0\\"日'), min_size=1))
def test_stripped_text_has_every_other_character(texts):
    stripped = without_nul(rows_of(*texts), "X", list, strips=True)
    assert stripped["t"].to_pylist() == [text.replace("\0", "") for text in texts]


def test_columns_of_a_type_are_those_that_the_database_spells_so():
    session, table = Recorded(), TableName("things")
    columns = [TableColumn("a", Kind.JSON), TableColumn("b", Kind.TEXT), TableColumn("c", Kind.JSON)]
    session.execute(STATEMENTS.create_table(table, columns))
    assert typed(session, DIALECT.catalog, table, "JSON_TEXT")() == ["a", "c"]


def test_nan_and_infinity_are_refused_in_columns_of_floats():
    rows = pa.table({"f": [1.0, float("nan"), None, float("-inf")], "i": [1, 2, 3, 4], LINE: [5, 6, 7, 8]})
    with pytest.raises(RowsRefusedError, match="2 rows have one") as failed:
        refuse_infinite(rows, ["i", "f"], "X")
    reason = "column 'f': X has no NaN and no infinity"
    assert failed.value.reasons == {6: reason, 8: reason}
    refuse_infinite(rows, ["i"], "X")


@pytest.mark.parametrize(
    ("sql", "numbers", "expected"),
    [
        ("a >= ? AND a < ?", (1, -2), ("a >= 1 AND a < -2", ())),
        ("a >= %s", (7,), ("a >= 7", ())),
        ("'?' = ? AND \"?\" = `?`", (7,), ("'?' = 7 AND \"?\" = `?`", ())),
        ("a = ? AND b = ?", (1, "x"), ("a = ? AND b = ?", (1, "x"))),
        ("a = ?", (True,), ("a = ?", (True,))),
        ("a = 1", (), ("a = 1", ())),
    ],
)
def test_whole_numbers_are_written_as_digits_and_nothing_else_is(sql, numbers, expected):
    assert with_numbers(sql, numbers) == expected


def test_marks_become_those_of_the_driver_outside_of_quotes():
    assert percent("SELECT '5%?' || \"a%\" || `%s?` WHERE a = ? AND b = %s AND c % 2") == (
        "SELECT '5%%?' || \"a%%\" || `%%s?` WHERE a = %s AND b = %s AND c %% 2"
    )


def test_values_stand_as_literals_at_the_end_of_a_statement_in_their_order():
    sql = with_literals("COPY '%s' FROM %s KEY %s", ["it's", BACKSLASHES])
    assert sql == r"COPY '%s' FROM 'it''s' KEY '\\\\'"


@given(st.text("a'\\%s?"))
def test_a_literal_ends_where_its_text_does(text):
    quoted = literal(text)
    assert (quoted[0], quoted[-1]) == ("'", "'")
    inner = quoted[1:-1]
    assert inner.replace("''", "").replace("\\\\", "").count("'") == 0
    assert inner.replace("\\\\", "\\").replace("''", "'") == text
