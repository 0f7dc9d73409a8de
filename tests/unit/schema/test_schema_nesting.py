"""Which structs and lists a JSON Schema makes, and what a table's have to be to take a stream's."""

import json

import pytest

from tailrace.config import ColumnSettings, StreamSettings
from tailrace.errors import ConfigError, SchemaError
from tailrace.model import Column, Kind, Stream, TableName, Traits
from tailrace.schema.evolve import Fit, TableColumn, Widening, changes
from tailrace.schema.jsonschema import columns_of
from tailrace.schema.nested import NestedConflictError, grown, nested_of, nested_text
from tailrace.schema.nesting import MAX_NODES
from tailrace.schema.stream import planned_stream

INT, TEXT = {"type": ["null", "integer"]}, {"type": "string"}
NODE = {"definitions": {"node": {"type": "object", "properties": {"v": INT, "next": {"$ref": "#/definitions/node"}}}}}
LAKE = Traits("lake", "none", keeps_nested=True)
GROWING = frozenset({(Kind.JSON, Kind.JSON)})


def obj(**fields):
    return {"type": ["object", "null"], "properties": fields}


def array(items):
    return {"type": "array", "items": items}


def column_of(schema, root=None, **settings):
    document = {"type": "object", "properties": {"a": schema}, **(root or {})}
    return columns_of(document, StreamSettings(nested="native", **settings), "orders")[0]


def spelled(schema, root=None, **settings):
    """What a column of that schema is made of."""
    column = column_of(schema, root, **settings)
    return nested_of(column.nested).spelling if column.nested else column.spelling


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (obj(x=INT, y=TEXT), 'struct<"x" INT, "y" TEXT>'),
        (array(TEXT), "list<TEXT>"),
        (array(array(obj(x=INT))), 'list<list<struct<"x" INT>>>'),
        (obj(x={"type": "number", "multipleOf": 0.01}), 'struct<"x" DECIMAL(38,2)>'),
        (obj(x={"type": "string", "format": "date-time"}), 'struct<"x" TIMESTAMPTZ>'),
        (obj(x={"type": "string", "format": "time"}), 'struct<"x" TIME>'),
        (obj(x={"type": "string", "contentEncoding": "base64"}), 'struct<"x" BINARY>'),
        (obj(x={}, y={"type": ["string", "integer"]}), 'struct<"x" JSON, "y" JSON>'),
        (obj(x={"type": "object"}, y={"type": "array"}), 'struct<"x" JSON, "y" JSON>'),
        (obj(x={"type": ["object", "array"], "properties": {"y": INT}, "items": INT}), 'struct<"x" JSON>'),
        ({"anyOf": [obj(x=INT), {"type": "null"}]}, 'struct<"x" INT>'),
        ({"anyOf": [obj(x=INT, y=INT), obj(x=TEXT)]}, 'struct<"x" JSON, "y" INT>'),
        ({"oneOf": [array(INT), array({"type": "number"})]}, "list<FLOAT>"),
        ({"allOf": [obj(x=INT), obj(y=INT)]}, 'struct<"x" INT, "y" INT>'),
        ({**obj(x=INT), "additionalProperties": True}, 'struct<"x" INT>'),
        ({**obj(x=INT), "additionalProperties": False}, 'struct<"x" INT>'),
        ({**obj(x=INT), "additionalProperties": TEXT}, "JSON"),
        ({**obj(x=INT), "patternProperties": {"^y": TEXT}}, "JSON"),
        ({"type": "object"}, "JSON"),
        (obj(), "JSON"),
        ({"type": "array"}, "JSON"),
        (array({}), "JSON"),
        (array(True), "JSON"),
        (array(False), "JSON"),
        (array([INT, TEXT]), "JSON"),
        ({**array(INT), "prefixItems": [TEXT]}, "JSON"),
        (array({"type": ["string", "integer"]}), "list<JSON>"),
        (array({"not": {}}), "list<JSON>"),
        (obj(x=INT, X=INT), "JSON"),
        (obj(**{"": INT}), "JSON"),
        (obj(**{"x\0": INT}), "JSON"),
        (obj(y=obj(x=INT, X=INT)), 'struct<"y" JSON>'),
        (obj(**{'q"': INT, "a b.c": INT}), 'struct<"q\\"" INT, "a b.c" INT>'),
        (TEXT, "TEXT"),
        ({**obj(x=INT), "x-sql-datatype": "VARIANT"}, "JSON"),
    ],
)
def test_what_a_schema_makes(schema, expected):
    assert spelled(schema) == expected


def test_an_object_within_itself_is_text():
    assert spelled({"$ref": "#/definitions/node"}, NODE) == 'struct<"v" INT, "next" JSON>'
    assert spelled(array({"$ref": "#/definitions/node"}), NODE) == 'list<struct<"v" INT, "next" JSON>>'
    assert spelled(obj(x={"$ref": "#"})) == 'struct<"x" JSON>'


def test_objects_deeper_than_the_level_are_text_and_arrays_are_no_level():
    schema = obj(x=obj(y=obj(z=INT)), l=array(array(INT)), o=array(obj(y=INT)))
    assert spelled(schema, max_level=1) == 'struct<"x" JSON, "l" list<list<INT>>, "o" list<JSON>>'
    assert spelled(schema, max_level=2).startswith('struct<"x" struct<"y" JSON>, ')


def test_a_schema_of_very_many_places_stays_text():
    assert spelled(obj(**{f"x{at}": INT for at in range(MAX_NODES - 1)})).startswith("struct")
    assert spelled(obj(**{f"x{at}": INT for at in range(MAX_NODES)})) == "JSON"


def test_the_kind_of_a_field_can_be_set_wherever_it_is():
    kinds = {"a.x": "JSON", "a.l": "TEXT", "a.o.y": "DECIMAL(9,2)", "a.b": "BINARY"}
    columns = {field: ColumnSettings(kind=kind) for field, kind in kinds.items()}
    schema = obj(x=obj(y=INT), l=array(INT), o=array(obj(y={"type": "number"})), b=TEXT)
    assert spelled(schema, columns=columns) == (
        'struct<"x" JSON, "l" TEXT, "o" list<struct<"y" DECIMAL(9,2)>>, "b" BINARY>'
    )


@pytest.mark.parametrize("override", [{"kind": "JSON"}, {"kind": "TEXT"}, {"sql_type": "VARIANT"}])
def test_a_kind_or_type_of_the_column_leaves_it_whole(override):
    assert column_of(obj(x=INT), columns={"a": ColumnSettings(**override)}).nested is None


@pytest.mark.parametrize("override", [{"select": False}, {"name": "b"}, {"sql_type": "INT"}])
def test_a_field_of_a_struct_has_neither_another_name_nor_is_it_left_out(override):
    with pytest.raises(ConfigError, match=r"^columns\.a\.x: it is a field of a struct"):
        column_of(obj(x=INT), columns={"a.x": ColumnSettings(**override)})
    assert column_of(obj(x=INT), columns={"b.x": ColumnSettings(**override)}).nested


def test_other_values_of_the_setting_make_no_structs():
    document = {"type": "object", "properties": {"a": obj(x=INT), "b": array(INT)}}
    for nested in ("json", "flatten"):
        assert not any(column.nested for column in columns_of(document, StreamSettings(nested=nested), "s"))


def planned(schema, traits=LAKE, key=(), **settings):
    document = json.dumps({"type": "object", "properties": {"a": schema}}).encode()
    settings = StreamSettings(nested="native", **settings)
    return planned_stream("s", document, key, settings, traits, revision=1, versioned=False)


def test_a_key_is_no_struct():
    assert planned(obj(x=INT)).columns[0].nested
    assert planned(obj(x=INT), key=["a"]).columns[0].nested is None


def test_a_destination_without_structs_is_told_so():
    with pytest.raises(
        ConfigError, match=r"^nested: stream 's': db can't keep structs and lists \(use json or flatten; "
    ):
        planned(TEXT, traits=Traits("db", "none"))


# What a table's structs become.


def fit(have, want, alterable=GROWING, **more):
    table, column = (c if isinstance(c, TableColumn | Column) else column_of(c) for c in (have, want))
    table = TableColumn.of(table) if isinstance(table, Column) else table
    return changes([table], Stream("s", TableName("t"), (column,), **more), LAKE, alterable), table


def test_a_table_that_has_the_structs_is_left_alone():
    for want in (obj(x=INT, y=array(TEXT)), obj(y=array(TEXT)), obj(x=INT)):
        found, table = fit(obj(x=INT, y=array(TEXT)), want)
        assert found == Fit(targets={"a": table})


def test_a_struct_that_lacks_fields_is_widened():
    found, table = fit(array(obj(x=obj(y=INT))), array(obj(z=INT, x=obj(w=TEXT))))
    want = TableColumn.of(column_of(array(obj(x=obj(y=INT, w=TEXT), z=INT))))
    assert found == Fit(widen=(Widening(table, want),), targets={"a": want})
    assert found.is_change


@pytest.mark.parametrize(
    ("have", "want", "path"),
    [
        (obj(x=INT), obj(x=TEXT), "a.x"),
        (obj(x=INT), obj(x=obj(y=INT)), "a.x"),
        (obj(x=INT), obj(x={}), "a.x"),
        (obj(x=array(INT)), obj(x=array(TEXT)), "a.x[]"),
        (obj(x=array(obj(y=INT))), obj(x=array(obj(y={"type": "boolean"}))), "a.x[].y"),
        (obj(x=array(INT)), obj(x=obj(y=INT)), "a.x"),
        (obj(x=INT), array(INT), "a"),
        (obj(x=INT), obj(X=INT), "a"),
        (obj(x={"type": "number", "multipleOf": 1}), obj(x={"type": "number", "multipleOf": 0.1}), "a.x"),
        (obj(x=TEXT), obj(x={}), "a.x"),
    ],
)
def test_a_conflict_names_its_path_and_what_to_set(have, want, path):
    with pytest.raises(SchemaError, match=r"under `columns:`, or `nested: json`") as refused:
        fit(have, want)
    assert f"the table t has {path!r} as " in str(refused.value)
    with pytest.raises(NestedConflictError):
        grown(*(nested_of(column_of(schema).nested) for schema in (have, want)))


@pytest.mark.parametrize(
    ("have", "want"),
    [
        ({}, INT),
        ({}, obj(y=INT)),
        ({}, array(INT)),
        ({"type": "number", "multipleOf": 0.01}, {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 9}),
        (TEXT, {"type": "string", "format": "uuid"}),
        (TEXT, {"type": "string", "format": "time"}),
    ],
)
def test_a_tables_leaf_takes_what_is_narrower(have, want):
    found, table = fit(obj(x=have), obj(x=want))
    assert found == Fit(targets={"a": table})


def test_a_struct_of_a_frozen_table_does_not_grow():
    with pytest.raises(SchemaError, match=r'has struct<"x" INT>, the stream wants struct<"x" INT, "y" INT>'):
        fit(obj(x=INT), obj(y=INT), contract="freeze")
    for wanted in (obj(y=INT), obj(x=TEXT)):  # it is the stream's only column
        with pytest.raises(SchemaError, match="none of the stream's columns"):
            fit(obj(x=INT), wanted, contract="discard_columns")


def test_a_text_of_json_goes_beside_a_struct_and_a_struct_into_a_text():
    text = Column("a", ("a",), Kind.JSON)
    found, _ = fit(obj(x=INT), text)
    assert found.targets["a"] == TableColumn("a__json", Kind.JSON)
    found, table = fit(text, obj(x=INT))
    assert found == Fit(targets={"a": table})
    found, _ = fit(TableColumn("a", Kind.INT), obj(x=INT))
    assert nested_of(found.targets["a"].nested).spelling == 'struct<"x" INT>'
    assert found.targets["a"].name == "a__json"


def test_a_tables_own_text_of_what_it_is_made_of_says_nothing_of_the_stream():
    column = column_of(obj(x={"type": "string", "contentEncoding": "base16"}))
    table = nested_of(TableColumn.of(column).nested)
    assert nested_of(column.nested).fields["x"].encoding == "base16"
    assert (table.fields["x"].encoding, table.fields["x"].types) == (None, ())
    assert nested_text(table.of_table) == nested_text(table)
