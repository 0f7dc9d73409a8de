"""Marks: a table's columns and key come back from its fields as they were, and foreign fields are what they are."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.lake.formats import KIND
from tailrace.lake.marks import KEY, found_in, lacking, marked_schema
from tailrace.model import Kind
from tailrace.schema.evolve import TableColumn

COLUMNS = st.lists(
    st.builds(
        lambda name, kind: TableColumn(name, kind, *(20, 4) if kind is Kind.DECIMAL else ()),
        st.text('ab日 "', min_size=1),
        st.sampled_from([*Kind]),
    ),
    min_size=1,
    unique_by=lambda column: column.name,
)


@given(COLUMNS, st.data())
def test_columns_and_their_key_come_back_in_their_order(columns, data):
    names = [column.name for column in columns]
    key = data.draw(st.one_of(st.none(), st.lists(st.sampled_from(names), unique=True)))
    found = found_in(marked_schema(columns, key))
    assert [(c.name, c.kind, c.precision, c.scale) for c in found.columns] == [
        (c.name, c.kind, c.precision, c.scale) for c in columns
    ]
    assert found.key == (None if key is None else tuple(key))


def test_of_a_table_without_marks_the_key_is_not_known():
    assert found_in(pa.schema([("id", pa.int64())])).key is None
    assert found_in(marked_schema([TableColumn("id", Kind.INT)], ())).key == ()


def test_a_mark_of_a_kind_stays_where_there_is_one_of_the_key():
    schema = marked_schema([TableColumn("at", Kind.TIME), TableColumn("id", Kind.UUID)], ("id", "at"))
    assert [field.metadata for field in schema] == [
        {KIND: b"TIME", KEY.encode(): b"1"},
        {KIND: b"UUID", KEY.encode(): b"0"},
    ]


@pytest.mark.parametrize(
    ("arrow", "kind"),
    [
        (pa.int8(), Kind.INT),
        (pa.float32(), Kind.FLOAT),
        (pa.timestamp("ns"), Kind.TIMESTAMP),
        (pa.timestamp("ms", "Europe/Berlin"), Kind.TIMESTAMPTZ),
        (pa.large_string(), None),
        (pa.date64(), Kind.DATE),
        (pa.time64("us"), None),
        (pa.duration("s"), None),
        (pa.list_(pa.field("item", pa.int64(), nullable=False)), None),
        (pa.struct([pa.field("a", pa.float32())]), None),
        (pa.struct([pa.field("a", pa.int64(), nullable=False)]), None),
        (pa.struct([]), None),
        (pa.list_(pa.int64()), Kind.JSON),
        (pa.struct([("a", pa.list_(pa.decimal128(5, 2)))]), Kind.JSON),
    ],
)
def test_a_field_of_somebody_else_is_of_the_kind_that_its_type_holds(arrow, kind):
    (column,) = found_in(pa.schema([pa.field("x", arrow, nullable=False)])).columns
    assert (column.kind, column.nullable, bool(column.nested)) == (kind, False, kind is Kind.JSON)


INT, TEXT = pa.int64(), pa.string()


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        (None, INT, INT),
        (INT, INT, None),
        (INT, TEXT, None),
        (pa.struct([("a", INT)]), pa.struct([("a", INT)]), None),
        (pa.struct([("a", INT)]), pa.struct([("a", INT), ("b", TEXT)]), pa.struct([("b", TEXT)])),
        (pa.struct([("a", INT), ("b", TEXT)]), pa.struct([("a", INT)]), None),
        (
            pa.list_(pa.struct([("a", pa.struct([("x", INT)]))])),
            pa.list_(pa.struct([("a", pa.struct([("x", INT), ("y", INT)])), ("b", INT)])),
            pa.list_(pa.struct([("a", pa.struct([("y", INT)])), ("b", INT)])),
        ),
        (pa.list_(INT), pa.list_(INT), None),
        (pa.list_(INT), pa.struct([("a", INT)]), None),
    ],
)
def test_what_a_column_lacks_are_fields_of_its_structs(have, want, expected):
    lacked = lacking(have, pa.field("x", want))
    assert lacked == (None if expected is None else pa.field("x", expected))
