"""Laws of JSON text that becomes structs and lists: it comes back as it was sent, or its row is refused."""

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from nested_values import BOOL, INT, NESTED, TEXT, array, column_of, obj, refused, values

from tailrace.lake.marks import found_in, lacking, marked_schema
from tailrace.model import Kind
from tailrace.schema.evolve import TableColumn
from tailrace.schema.nested import grown, nested_of, nested_text


@given(st.data())
def test_what_is_valid_under_a_schema_comes_back_equal(data):
    schema, example = data.draw(NESTED)
    pairs = [example(data.draw) for _ in range(data.draw(st.integers(1, 4)))]
    sent = [None if text == "null" else text for text, _ in pairs]
    found = values(schema, *sent, chunks=data.draw(st.integers(1, 2)))
    assert found == [value for _, value in pairs]


KINDS = {Kind.INT: int, Kind.BOOL: bool, Kind.TEXT: str}
SMALL = st.recursive(
    st.sampled_from([INT, BOOL, TEXT, {}]),
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2).map(lambda f: obj(**f))
        | inner.map(array)
    ),
    max_leaves=4,
)
SENT = st.recursive(
    st.sampled_from([None, 0, 7, 2**63, -(2**63), True, False, "", "7", "é", 1.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=2),
    max_leaves=6,
)


class WrongError(Exception):
    pass


def expected(nested, value):
    """What the value is as a struct or list; WrongError where it can't be that."""
    if value is None:
        return None
    if nested.fields:
        if not isinstance(value, dict) or not value.keys() <= nested.fields.keys():
            raise WrongError
        return {name: expected(inner, value.get(name)) for name, inner in nested.fields.items()}
    if nested.items is not None:
        if not isinstance(value, list):
            raise WrongError
        return [expected(nested.items, item) for item in value]
    if nested.is_text:
        return json.dumps(value)
    if type(value) is not KINDS[nested.kind] or (nested.kind is Kind.INT and not -(2**63) <= value < 2**63):
        raise WrongError
    return value


@given(SMALL.map(lambda inner: obj(a=inner)) | SMALL.filter(bool).map(array), SENT)
def test_whatever_is_sent_is_kept_or_its_row_is_refused(schema, value):
    text = None if value is None else json.dumps(value)
    try:
        kept = expected(nested_of(column_of(schema).nested), value)
    except WrongError:
        assert refused(schema, text).keys() == {11}
    else:
        assert values(schema, text) == [kept]


@given(NESTED)
def test_a_tables_field_says_what_its_structs_and_lists_are_of(drawn):
    column = TableColumn.of(column_of(drawn[0]))
    (found,) = found_in(marked_schema([column])).columns
    assert (found.kind, found.nested) == (Kind.JSON, column.nested)
    assert nested_text(nested_of(column.nested)) == column.nested


@given(NESTED, NESTED)
def test_a_grown_table_has_room_for_both_schemas(one, other):
    have, want = (nested_of(column_of(obj(**fields)).nested).of_table for fields in ({"x": one[0]}, {"y": other[0]}))
    both = grown(have, want)
    assert grown(both, have) == grown(both, want) == both
    assert [*both.fields] == ["x", "y"]
    field = pa.field("a", both.arrow)
    assert lacking(None, field) == field
    assert lacking(have.arrow, field) == pa.field("a", want.arrow)
    assert lacking(both.arrow, field) is None
