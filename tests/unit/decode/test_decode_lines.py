"""Lines are taken apart without losing that a name repeats, and are refused with what is wrong with them."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decode.lines import MAX_DEPTH, fields_of, is_too_deep, repeated_names

NAMES = st.one_of(st.sampled_from(["a", "b", "aa", "", "a%b", '"', "\\", '": 1, "', "é"]), st.text(max_size=3))
SPACING = st.sampled_from([(":", ","), (": ", ", "), (" :", ", "), (":\t", ",")])


@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from(["1", "12345", '"x"', '"a": 1, "b": 2'.replace('"', "'").join('""'), "{}"]))
    ),
    SPACING,
    st.booleans(),
)
def test_names_that_repeat_are_found_however_the_object_is_written(fields, spacing, escaped):
    fields = [(name.encode(errors="replace").decode(), value) for name, value in fields]
    colon, comma = spacing
    text = "{" + comma.join(f"{json.dumps(name, ensure_ascii=escaped)}{colon}{value}" for name, value in fields) + "}"
    raw = text.encode()
    counts = Counter(name for name, _ in fields)
    found = fields_of(raw)
    assert found == {name: value.encode() for name, value in fields}
    assert list(repeated_names(raw, found)) == [name for name, count in counts.items() if count > 1]


@pytest.mark.parametrize(
    ("levels", "is_deep"), [(1, False), (MAX_DEPTH, False), (MAX_DEPTH + 1, True), (100_000, True)]
)
def test_a_line_is_too_deep_beyond_the_limit(levels, is_deep):
    assert is_too_deep(b"[" * levels + b"]" * levels) is is_deep
    assert is_too_deep(b'{"a":' * levels + b"1" + b"}" * levels) is is_deep


def test_brackets_in_strings_have_no_depth():
    assert not is_too_deep(b'{"a":"' + b"[{" * 10_000 + b'","b":"\\"' + b"[" * 10_000 + b'"}')


def test_lists_side_by_side_have_the_depth_of_one():
    assert not is_too_deep(b"[" + b",".join([b"[]"] * 10_000) + b"]")
