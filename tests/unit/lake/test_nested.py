"""JSON text becomes structs and lists, or its row is refused by its path: example by example."""

import datetime as dt
import json
from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest
from nested_values import BOOL, INT, MONEY, NUMBER, TEXT, WRITTEN, array, column_of, obj, read, refused, values

from tailrace.lake.marks import found_in
from tailrace.lake.nested import read_nested
from tailrace.model import LINE, Column, Inexact, Kind, Noted, Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.nested import Nested, are_fields, nested_of


def test_what_a_stream_does_not_have_is_null_in_a_table_that_has_more():
    table = TableColumn.of(column_of(obj(z=array(INT), x=INT, q=obj(y=INT, w=TEXT))))
    found = values(obj(q=obj(y=INT), x=INT), '{"x": 1, "q": {"y": 2}}', '{"q": null}', None, table=table)
    assert found == [{"z": None, "x": 1, "q": {"y": 2, "w": None}}, {"z": None, "x": None, "q": None}, None]


@pytest.mark.parametrize(
    ("schema", "text", "kept"),
    [
        (INT, "7", "7"),
        (obj(b=INT), '{"b":  1.50, "c": 2}', '{"b":  1.50, "c": 2}'),
        (array(INT), '[1, "x"]', '[1, "x"]'),
        (TEXT, '"x"', '"x"'),
    ],
)
def test_a_tables_text_of_anything_takes_what_has_a_schema_by_now(schema, text, kept):
    table = TableColumn.of(column_of(obj(x={})))
    column = TableColumn("a", Kind.JSON, nested=table.nested)
    assert values(obj(x=schema), f'{{"x": {text}}}', table=column) == [{"x": kept}]


def test_integers_of_a_table_may_be_smaller_and_values_beyond_them_are_refused():
    arrow = pa.struct([pa.field("x", pa.list_(pa.int16()))])
    assert values(obj(x=array(INT)), '{"x": [32767]}', arrow=arrow) == [{"x": [32767]}]
    assert refused(obj(x=array(INT)), '{"x": [1]}', '{"x": [0, 32768]}', arrow=arrow) == {
        12: "$.a.x[1]: expected what the table's int16 holds, got 32768"
    }


def test_a_table_has_large_lists_and_strings_of_other_writers():
    arrow = pa.struct([pa.field("x", pa.large_list(pa.large_string()))])
    found = read(obj(x=array(TEXT)), '{"x": ["é", null]}', None, '{"x": []}', "{}", arrow=arrow)
    assert found.rows["a"].type == arrow
    assert found.rows["a"].to_pylist() == [{"x": ["é", None]}, None, {"x": []}, {"x": None}]


@pytest.mark.parametrize(
    "arrow",
    [
        pa.map_(pa.string(), pa.int64()),
        pa.struct([pa.field("x", pa.float32())]),
        pa.struct([pa.field("x", pa.int64(), nullable=False)]),
        pa.struct([pa.field("x", pa.int64()), pa.field("X", pa.int64())]),
        pa.list_(pa.map_(pa.string(), pa.int64())),
        pa.list_(pa.field("item", pa.int64(), nullable=False)),
        pa.struct([]),
    ],
)
def test_structs_and_lists_that_cannot_be_filled_are_of_no_kind(arrow):
    (found,) = found_in(pa.schema([("x", arrow)])).columns
    assert (found.kind, found.nested) == (None, None)


def test_names_that_structs_cannot_have_everywhere():
    assert are_fields(["a", "b c", 'q"', "e.f", "\n", "é"])
    assert not are_fields(["a", ""])
    assert not are_fields(["a\0"])
    assert not are_fields(["straße", "STRASSE"])


@pytest.mark.parametrize(
    ("schema", "text", "kept"),
    [
        (INT, "1.0", 1),
        (INT, "-9223372036854775808", -(2**63)),
        (NUMBER, "1", 1.0),
        (NUMBER, "0.1", 0.1),
        (
            {"type": "number", "multipleOf": 1e-9},
            "12345678901234567890123456789.123456789",
            Decimal("12345678901234567890123456789.123456789"),
        ),
        ({"type": "integer", "maximum": 10**20}, "18446744073709551616", Decimal(2**64)),
        (WRITTEN, '"1234567890123456789012345678.0000000001"', Decimal("1234567890123456789012345678.0000000001")),
        (TEXT, '"a\\u0000b\\ud83d\\ude00"', "a\0b😀"),
        (TEXT, '""', ""),
        ({"type": "string", "format": "time"}, '"12:00:00.500"', "12:00:00.5"),
        (
            {"type": "string", "format": "uuid"},
            '"6A2F41A3C54CFCE832D20324E1C32E22"',
            "6a2f41a3-c54c-fce8-32d2-0324e1c32e22",
        ),
        (
            {"type": "string", "format": "date-time"},
            '"2024-01-31T12:00:00-05:00"',
            dt.datetime(2024, 1, 31, 17, tzinfo=dt.UTC),
        ),
        ({}, "1.000000000000000000000010", "1.000000000000000000000010"),
        ({}, '{"a" :[1,{"b":"\\u00e9"} ] }', '{"a" :[1,{"b":"\\u00e9"} ] }'),
        ({}, '"text"', '"text"'),
    ],
)
def test_a_leaf_is_as_a_column_of_its_kind_would_be(schema, text, kept):
    assert values(obj(x=schema), f'{{"x": {text}}}') == [{"x": kept}]
    items = schema or {"type": ["string", "number", "object"]}  # of anything it would be the text of the array
    assert values(array(items), f"[{text} , null]") == [[kept, None]]


@pytest.mark.parametrize(
    ("schema", "text", "reason"),
    [
        (obj(b=INT), '{"b": 1.5}', "$.a.b: expected an integer, got 1.5"),
        (obj(b=INT), '{"b": 9223372036854775808}', "$.a.b: expected an integer of 64 bits, got 9223372036854775808"),
        (obj(b=INT), '{"b": "1"}', '$.a.b: expected an integer, got "1"'),
        (obj(b=INT), '{"b": true}', "$.a.b: expected an integer, got true"),
        (obj(b=BOOL), '{"b": 0}', "$.a.b: expected a boolean, got 0"),
        (obj(b=TEXT), '{"b": 5}', "$.a.b: expected a string, got 5"),
        (obj(b=MONEY), '{"b": 0.001}', "$.a.b: expected a number that DECIMAL(9,2) holds, got 0.001"),
        (obj(b=MONEY), '{"b": "0.01"}', '$.a.b: expected a number, got "0.01"'),
        (obj(b=NUMBER), '{"b": 1e999}', "$.a.b: expected a number that float64 holds, got 1e999"),
        (obj(b=INT), '{"b": 1, "c d": {}}', '$.a["c d"]: expected a field of the schema, got {}'),
        (obj(b=INT), '{"b": 1, "b": 2}', "$.a.b: expected each field once, got 'b' again"),
        (obj(b=INT), "[]", "$.a: expected an object, got []"),
        (array(INT), '{"v": 1}', '$.a: expected an array, got {"v": 1}'),
        (array(INT), '[1, {"v": 1}]', '$.a[1]: expected an integer, got {"v": 1}'),
        (array(array(INT)), "[[1], [2, 3.5]]", "$.a[1][1]: expected an integer, got 3.5"),
        (
            obj(b=array(obj(c=INT, d=TEXT))),
            '{"b": [null, {"c": 1}, {"d": 2, "e": 3}, 4]}',
            (
                "$.a.b[3]: expected an object, got 4; $.a.b[2].d: expected a string, got 2; "
                "$.a.b[2].e: expected a field of the schema, got 3"
            ),
        ),
        (
            obj(b={"type": "string", "format": "date"}),
            '{"b": "31.1.2024"}',
            '$.a.b: expected a date (YYYY-MM-DD), got "31.1.2024"',
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(schema, text, reason):
    assert refused(schema, None, text, None) == {12: reason}


def test_each_refused_row_is_told_and_no_other():
    texts = ['{"b": [1]}', '{"b": [1.5]}', None, '{"b": ["x", {}]}', '{"c": 0}', '{"b": []}']
    assert refused(obj(b=array(INT)), *texts, chunks=3).keys() == {12, 14, 15}


@pytest.mark.parametrize("text", ["", "{", '{"b": 1}}', "[1", '{"b": "\\ud800"}', "nul"])
def test_what_is_no_json_is_refused(text):
    assert refused(obj(b=array(TEXT)), text).keys() == {11}
    assert refused(obj(b=array(TEXT)), f'{{"b": [{text}]}}').keys() == {11} or text == ""
    assert refused(array(obj(b=TEXT)), f"[{text}]").keys() == {11} or text == ""


def test_null_missing_and_empty_are_told_apart_where_they_can_be():
    texts = [None, "{}", '{"b": null, "c": null}', '{"b": [], "c": {}}', '{"b": [null], "c": {"d": null}}']
    empty = {"b": None, "c": None}
    assert values(obj(b=array(INT), c=obj(d=INT)), *texts) == [
        None,
        empty,
        empty,
        {"b": [], "c": {"d": None}},
        {"b": [None], "c": {"d": None}},
    ]


def test_a_number_that_loses_digits_as_a_float_is_told_by_its_first_line():
    found = read(
        obj(b=array(NUMBER), c=NUMBER),
        '{"b": [0.1]}',
        '{"b": [1, 9007199254740993], "c": 0.5}',
        '{"b": [9007199254740993], "c": 12345678901234567}',
    )
    assert found.inexact == {"$.a.b[]": Inexact(2, 12, before=16), "$.a.c": Inexact(1, 13, before=17)}
    assert found.refused == {}


def test_ends_of_lines_between_tokens_do_not_matter():
    assert values(obj(b=array(INT)), '\n{\n"b":\n[\n1\n]\n}\n') == [{"b": [1]}]


def test_names_of_any_kind_are_fields():
    names = ["a b", 'c"d', "e.f", "g'h", "ü😀", "x\ny", "_tailrace_line", "v", ".v", "\\", "%s", "$"]
    sent = {name: at for at, name in enumerate(names)}
    assert values(obj(**dict.fromkeys(names, INT)), json.dumps(sent)) == [sent]


def test_a_column_without_rows_has_its_type():
    found = read(obj(b=array(INT)))
    assert found.rows["a"].type == pa.struct([("b", pa.list_(pa.int64()))])


def test_columns_that_are_not_nested_are_left_alone():
    column = Column("a", ("a",), Kind.JSON)
    rows = pa.table([pa.array(["{}"]), pa.array([1])], names=["a", LINE])
    found = read_nested(rows, Stream("s", TableName("s"), (column,)), {"a": TableColumn.of(column)}, rows.schema)
    assert found.rows == rows


def test_what_a_column_carries_goes_through_json():
    column = column_of(obj(**{'q"\n': array(MONEY)}))
    again = msgspec.json.decode(msgspec.json.encode(column), type=Column)
    assert again == column
    assert nested_of(again.nested).fields['q"\n'].items == Nested(Kind.DECIMAL, 9, 2, types=("number",))


def test_values_of_other_types_are_coerced_and_counted_by_place():
    asked = obj(b=array(INT), c=NUMBER, d=obj(e=TEXT))
    sent = ['{"b": ["1", 2], "c": "0.5", "d": {"e": 7}}', '{"b": "[3]", "c": 1, "d": "{\\"e\\": true}"}']
    found = read(asked, *sent, coerce="exact")
    assert found.rows["a"].to_pylist() == [
        {"b": [1, 2], "c": 0.5, "d": {"e": "7"}},
        {"b": [3], "c": 1.0, "d": {"e": "true"}},
    ]
    assert found.coerced == {
        "$.a.b[]": Noted(1, 11),
        "$.a.b": Noted(1, 12),
        "$.a.c": Noted(1, 11),
        "$.a.d": Noted(1, 12),
        "$.a.d.e": Noted(2, 11),
    }
    assert set(read(asked, *sent).refused) == {11, 12}
