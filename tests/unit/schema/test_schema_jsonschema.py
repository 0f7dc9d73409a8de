"""Which column each JSON Schema makes."""

from decimal import Decimal

import pytest

from tailrace.config import ColumnSettings, StreamSettings
from tailrace.errors import ConfigError, SchemaError
from tailrace.model import Column, Kind
from tailrace.schema.jsonschema import columns_of


def column(schema, root=None, **settings):
    document = {"type": "object", "properties": {"a": schema}, **(root or {})}
    return columns_of(document, StreamSettings(**settings), "orders")[0]


def spelled(schema, root=None, **settings):
    found = column(schema, root, **settings)
    return found.spelling + ("?" if found.nullable else "")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "boolean"}, "BOOL"),
        ({"type": "integer"}, "INT"),
        ({"type": "number"}, "FLOAT"),
        ({"type": "string"}, "TEXT"),
        ({"type": "object", "properties": {"b": {"type": "string"}}}, "JSON"),
        ({"type": "array"}, "JSON"),
        ({"type": "null"}, "TEXT?"),
        ({"type": ["null", "string"]}, "TEXT?"),
        ({"type": ["integer", "number"]}, "FLOAT"),
        ({"type": ["integer", "string", "null"]}, "JSON?"),
        ({"type": ["boolean", "string"]}, "JSON"),
        ({"type": "any"}, "JSON?"),
        ({}, "JSON?"),
        (True, "JSON?"),
        (False, "JSON?"),
        ({"format": "date-time"}, "JSON?"),
        ({"type": "string", "format": "date-time"}, "TIMESTAMPTZ"),
        ({"type": "string", "format": "date"}, "DATE"),
        ({"type": "string", "format": "time"}, "TIME"),
        ({"type": "string", "format": "uuid"}, "UUID"),
        ({"type": "string", "format": "email"}, "TEXT"),
        ({"type": "integer", "format": "date-time"}, "INT"),
        ({"type": "string", "contentEncoding": "base64"}, "BINARY"),
        ({"type": "string", "contentEncoding": "BASE16"}, "BINARY"),
        ({"type": "string", "contentEncoding": "7bit"}, "TEXT"),
    ],
)
def test_types_and_formats_make_these_kinds(schema, expected):
    assert spelled(schema) == expected


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"minimum": -(2**63), "maximum": 2**63 - 1}, "INT"),
        ({"minimum": 0}, "INT"),
        ({"maximum": 2**63}, "DECIMAL(38,0)"),
        ({"minimum": -(2**63) - 1}, "DECIMAL(38,0)"),
        ({"exclusiveMaximum": 2**63}, "INT"),
        ({"exclusiveMaximum": 2**63 + 1}, "DECIMAL(38,0)"),
        ({"exclusiveMinimum": -(2**63) - 1}, "INT"),
        ({"exclusiveMinimum": -(2**63) - 2}, "DECIMAL(38,0)"),
        ({"maximum": 2**63, "exclusiveMaximum": True}, "INT"),
        ({"maximum": 2**63, "exclusiveMaximum": False}, "DECIMAL(38,0)"),
        ({"maximum": 2**63, "exclusiveMaximum": 5}, "INT"),
        ({"maximum": 1e19}, "DECIMAL(38,0)"),
        ({"maximum": Decimal("1e999999999")}, "DECIMAL(38,0)"),
    ],
)
def test_an_integer_that_may_be_beyond_int64_is_a_decimal(bounds, expected):
    assert spelled({"type": "integer", **bounds}) == expected


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"multipleOf": 0.01}, "DECIMAL(38,2)"),
        ({"multipleOf": Decimal("1E-20")}, "DECIMAL(38,20)"),
        ({"multipleOf": 1}, "DECIMAL(38,0)"),
        ({"multipleOf": 10}, "DECIMAL(38,0)"),
        ({"multipleOf": 0.05}, "FLOAT"),
        ({"multipleOf": 0}, "FLOAT"),
        ({"multipleOf": -0.1}, "FLOAT"),
        ({"multipleOf": 0.01, "minimum": -999.99, "maximum": 9.99}, "DECIMAL(5,2)"),
        ({"multipleOf": 0.01, "maximum": 9.99}, "DECIMAL(38,2)"),
        ({"multipleOf": 0.01, "minimum": 0, "maximum": 0}, "DECIMAL(2,2)"),
        ({"multipleOf": 0.01, "exclusiveMinimum": -1000, "exclusiveMaximum": 1000}, "DECIMAL(5,2)"),
        (
            {
                "multipleOf": 0.01,
                "minimum": -(10**8),
                "exclusiveMinimum": True,
                "maximum": 10**8,
                "exclusiveMaximum": True,
            },
            "DECIMAL(10,2)",
        ),
        ({"multipleOf": Decimal("1E-38"), "minimum": -(10**62), "maximum": 10**62}, "DECIMAL(38,19)"),
        ({"multipleOf": Decimal("1E-40")}, "DECIMAL(38,19)"),
        ({"x-singer.decimal": True}, "DECIMAL(38,9)"),
        ({"x-singer.decimal": False}, "FLOAT"),
        ({"x-singer.decimal": {"precision": 10, "scale": 4}}, "DECIMAL(10,4)"),
        ({"x-singer.decimal": {"precision": 10}}, "DECIMAL(10,0)"),
        ({"x-singer.decimal": {"scale": 4}}, "DECIMAL(38,4)"),
        ({"x-singer.decimal": {"precision": 50, "scale": 4}}, "DECIMAL(38,4)"),
        ({"x-singer.decimal": {"precision": 2, "scale": 4}}, "DECIMAL(4,4)"),
    ],
)
def test_a_number_is_a_decimal_with_the_digits_its_schema_needs(keywords, expected):
    assert spelled({"type": "number", **keywords}) == expected


def test_numbers_decimal_makes_every_number_a_decimal():
    assert spelled({"type": "number"}, numbers="decimal") == "DECIMAL(38,9)"
    assert spelled({"type": "number", "multipleOf": 0.1}, numbers="decimal") == "DECIMAL(38,1)"
    assert spelled({"type": "integer"}, numbers="decimal") == "INT"


@pytest.mark.parametrize("written_as", ["singer.decimal", "x-singer.decimal"])
def test_strings_in_singers_decimal_format_are_decimals(written_as):
    assert spelled({"type": "string", "format": written_as}) == "DECIMAL(38,9)"
    assert spelled({"type": "string", "format": written_as, "precision": 12, "scale": 3}) == "DECIMAL(12,3)"
    assert spelled({"type": "string", "format": written_as, "minimum": -99, "maximum": 99}) == "DECIMAL(11,9)"
    assert spelled({"type": ["null", "string", "number"], "format": written_as}) == "DECIMAL(38,9)?"


def test_an_integer_said_to_be_decimal_has_no_places():
    assert spelled({"type": "integer", "x-singer.decimal": True}) == "DECIMAL(38,0)"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": "a"}, "TEXT"),
        ({"const": None}, "TEXT?"),
        ({"const": True}, "BOOL"),
        ({"enum": ["a", None]}, "TEXT?"),
        ({"enum": [1, 2]}, "INT"),
        ({"enum": [1, 2**64]}, "DECIMAL(38,0)"),
        ({"enum": [1, 2.5]}, "FLOAT"),
        ({"enum": [1, "a"]}, "JSON"),
        ({"enum": [[], {}]}, "JSON"),
        ({"enum": []}, "JSON?"),
        ({"type": ["null", "string"], "enum": ["a"]}, "TEXT?"),
    ],
)
def test_values_say_the_type_where_no_type_is_said(schema, expected):
    assert spelled(schema) == expected


STRING, NULL = {"type": "string"}, {"type": "null"}
DATE_TIME, DATE = {"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}
INTEGER, NUMBER = {"type": "integer"}, {"type": "number"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"anyOf": [DATE_TIME, NULL]}, "TIMESTAMPTZ?"),
        ({"oneOf": [NULL, INTEGER]}, "INT?"),
        ({"anyOf": [DATE_TIME, STRING]}, "TEXT"),
        ({"anyOf": [DATE_TIME, DATE]}, "TEXT"),
        ({"anyOf": [STRING, {"type": "string", "contentEncoding": "base64"}]}, "TEXT"),
        ({"anyOf": [STRING, {"type": "string", "format": "singer.decimal"}]}, "TEXT"),
        ({"anyOf": [INTEGER, NUMBER]}, "FLOAT"),
        ({"anyOf": [INTEGER, {"type": "number", "multipleOf": 0.01}]}, "DECIMAL(38,2)"),
        ({"anyOf": [NUMBER, {"type": "number", "multipleOf": 0.01}]}, "DECIMAL(38,9)"),
        ({"anyOf": [{"type": "string", "format": "singer.decimal"}, NUMBER]}, "DECIMAL(38,9)"),
        ({"anyOf": [INTEGER, STRING]}, "JSON"),
        ({"anyOf": [STRING, False]}, "TEXT"),
        ({"anyOf": [STRING, True]}, "JSON?"),
        ({"type": ["null", "string"], "anyOf": [DATE_TIME, {}]}, "TEXT?"),
        ({"allOf": [NUMBER, {"multipleOf": 0.1}]}, "DECIMAL(38,1)"),
        ({"allOf": [NUMBER, INTEGER]}, "INT"),
        ({"allOf": [STRING, INTEGER]}, "JSON?"),
        ({"type": ["null", "string"], "allOf": [{"type": "string", "format": "date"}]}, "DATE"),
        ({"anyOf": [{"anyOf": [NULL, DATE]}, DATE]}, "DATE?"),
        ({"anyOf": [{"const": n} for n in range(100)]}, "JSON?"),
    ],
)
def test_combinations_are_resolved(schema, expected):
    assert spelled(schema) == expected


DEFINITIONS = {
    "definitions": {
        "when": {"type": ["null", "string"], "format": "date-time"},
        "chain": {"$ref": "#/definitions/when"},
        "loop": {"anyOf": [{"$ref": "#/definitions/loop"}, {"type": "null"}]},
        "a/b~c d": {"type": "boolean"},
    },
    "$defs": {"list": [{"type": "integer"}]},
}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("#/definitions/when", "TIMESTAMPTZ?"),
        ("#/definitions/chain", "TIMESTAMPTZ?"),
        ("#/definitions/loop", "JSON?"),
        ("#/definitions/a~1b~0c%20d", "BOOL"),
        ("#/$defs/list/0", "INT"),
        ("#", "JSON"),
    ],
)
def test_references_into_the_schema_are_followed(reference, expected):
    assert spelled({"$ref": reference}, DEFINITIONS) == expected


def test_what_stands_beside_a_reference_counts_from_2019_on_and_annotations_always():
    schema = {"$ref": "#/definitions/when", "type": "string", "x-sql-datatype": "DATETIME"}
    draft_7 = column(schema, DEFINITIONS)
    newer = column(schema, {**DEFINITIONS, "$schema": "https://json-schema.org/draft/2020-12/schema"})
    assert (draft_7.nullable, newer.nullable) == (True, False)
    assert (draft_7.sql_type, newer.sql_type) == ("DATETIME", "DATETIME")


@pytest.mark.parametrize("reference", ["https://example.com/a.json", "other.json#/a", "urn:x"])
def test_a_reference_out_of_the_schema_is_refused(reference):
    with pytest.raises(SchemaError, match="isn't inside it"):
        column({"$ref": reference})


def test_a_reference_to_nothing_is_refused():
    with pytest.raises(SchemaError, match="'#/definitions/nothing', which it doesn't have"):
        column({"$ref": "#/definitions/nothing"}, DEFINITIONS)


def test_a_type_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(
        SchemaError, match=r"stream 'orders', \$\.properties\.a\.type: 'strin' isn't a type of JSON Schema; 'string' is"
    ):
        column({"type": "strin"})


def test_what_is_no_schema_is_refused():
    with pytest.raises(SchemaError, match="'string' stands where a JSON Schema should"):
        column("string")


def test_required_fields_are_required_and_types_say_what_may_be_null():
    schema = {
        "type": "object",
        "required": ["id", "note"],
        "properties": {"id": INTEGER, "note": {"type": ["null", "string"]}, "at": DATE},
    }
    assert columns_of(schema, StreamSettings(), "orders") == (
        Column("id", ("id",), Kind.INT, nullable=False, required=True),
        Column("note", ("note",), Kind.TEXT, nullable=True, required=True),
        Column("at", ("at",), Kind.DATE, nullable=False, required=False),
    )


def test_the_root_may_be_a_combination_too():
    schema = {
        "allOf": [{"$ref": "#/definitions/base"}, {"properties": {"b": STRING}, "required": ["b"]}],
        "definitions": {"base": {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]}},
    }
    found = columns_of(schema, StreamSettings(), "orders")
    assert {(c.name, c.spelling, c.required) for c in found} == {("a", "INT", True), ("b", "TEXT", True)}


def test_alternatives_of_the_root_require_what_all_of_them_require():
    schema = {
        "oneOf": [
            {"type": "object", "properties": {"a": INTEGER, "b": STRING}, "required": ["a", "b"]},
            {"type": "object", "properties": {"a": NUMBER, "c": STRING}, "required": ["a", "c"]},
        ],
    }
    found = columns_of(schema, StreamSettings(), "orders")
    assert [(c.name, c.spelling, c.required) for c in found] == [
        ("a", "FLOAT", True),
        ("b", "TEXT", False),
        ("c", "TEXT", False),
    ]


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"type": "object", "patternProperties": {"^a": STRING}}, {"type": "string"}]
)
def test_a_schema_without_properties_has_no_columns(schema):
    assert columns_of(schema, StreamSettings(), "orders") == ()


def test_sql_types_come_from_the_schema_or_the_settings():
    annotated = {"type": "string", "x-sql-datatype": "VARCHAR(20)"}
    assert column(annotated).sql_type == "VARCHAR(20)"
    assert column({"anyOf": [annotated, NULL]}).sql_type == "VARCHAR(20)"
    assert column(annotated, columns={"a": ColumnSettings(sql_type="CHAR(3)")}).sql_type == "CHAR(3)"
    assert column(annotated, columns={"a": ColumnSettings(kind="JSON")}).sql_type is None


def test_a_sql_type_of_decimals_makes_a_number_that_kind():
    number = {"type": ["null", "number"]}
    found = column(number | {"x-sql-datatype": "NUMERIC(20,4)"})
    assert (found.kind, found.precision, found.scale, found.sql_type) == (Kind.DECIMAL, 20, 4, "NUMERIC(20,4)")
    override = {"a": ColumnSettings(sql_type="DECIMAL(38,2)")}
    for schema in (number, number | {"x-sql-datatype": "TEXT"}, {"type": "integer"}):
        assert column(schema, columns=override).spelling == "DECIMAL(38,2)"
    assert column(number, columns={"a": ColumnSettings(sql_type="DECIMAL(38,2)", kind="FLOAT")}).kind is Kind.FLOAT
    assert column({"type": "string"}, columns=override).kind is Kind.TEXT


def test_a_columns_setting_overrides_the_kind():
    assert spelled(NUMBER, columns={"a": ColumnSettings(kind="decimal( 20 , 4 )")}) == "DECIMAL(20,4)"
    assert column(STRING, columns={"a": ColumnSettings(kind="BINARY")}).encoding == "base64"
    assert column({"type": "string", "contentEncoding": "base16"}).encoding == "base16"


def test_a_columns_setting_leaves_a_field_out():
    settings = StreamSettings(columns={"a": ColumnSettings(select=False)})
    schema = {"type": "object", "properties": {"a": STRING, "b": STRING}}
    assert [c.name for c in columns_of(schema, settings, "orders")] == ["b"]


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"columns\.a\.kind: 'DECIMEL' isn't a kind \(did you mean DECIMAL\?\)"):
        column(NUMBER, columns={"a": ColumnSettings(kind="DECIMEL")})
