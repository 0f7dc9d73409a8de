"""References are resolved by the identifiers around them, as the validator of `validation: full` does, or refused."""

import json

import pytest

from tailrace.config import StreamSettings
from tailrace.decode.layout import RecordLayout
from tailrace.decode.validate import violations_finder
from tailrace.errors import SchemaError
from tailrace.model import Kind, Stream, TableName
from tailrace.schema.jsonschema import columns_of

DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"
DRAFT2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT2020 = "https://json-schema.org/draft/2020-12/schema"
TEXT, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}


def kind(schema):
    return columns_of(schema, StreamSettings(), "s")[0].kind


def embedded(word, reference, **more):
    """A property with an identifier of its own, and definitions of the same name inside and outside it."""
    inner = {word: "http://example.com/inner.json", "definitions": {"d": TEXT}, "allOf": [{"$ref": reference}], **more}
    return {"definitions": {"d": INTEGER}, "properties": {"v": inner}}


RESOLVED = [
    (embedded("$id", "#/definitions/d"), DRAFT7, Kind.TEXT),
    (embedded("$id", "#/definitions/d"), None, Kind.TEXT),
    (embedded("$id", "inner.json#/definitions/d"), DRAFT7, Kind.TEXT),
    (embedded("id", "#/definitions/d"), DRAFT4, Kind.TEXT),
    (embedded("id", "#/definitions/d"), DRAFT7, Kind.INT),
    (embedded("$id", "#/definitions/d"), DRAFT4, Kind.INT),
    (embedded("$id", "#/definitions/d"), DRAFT2020, Kind.TEXT),
    (
        {
            "$id": "http://example.com/root.json",
            "definitions": {"d": INTEGER},
            "properties": {"v": {"$ref": "http://example.com/root.json#/definitions/d"}},
        },
        DRAFT7,
        Kind.INT,
    ),
    (
        {
            "$id": "http://example.com/root.json",
            "definitions": {"d": {"$id": "d.json", **BOOLEAN}},
            "properties": {"v": {"$ref": "d.json"}},
        },
        DRAFT7,
        Kind.BOOL,
    ),
    ({"definitions": {"d": {"$id": "#name", **BOOLEAN}}, "properties": {"v": {"$ref": "#name"}}}, DRAFT7, Kind.BOOL),
    ({"definitions": {"d": {"id": "#name", **BOOLEAN}}, "properties": {"v": {"$ref": "#name"}}}, DRAFT4, Kind.BOOL),
    ({"$defs": {"d": {"$anchor": "name", **BOOLEAN}}, "properties": {"v": {"$ref": "#name"}}}, DRAFT2019, Kind.BOOL),
    ({"$defs": {"d": {"$anchor": "name", **BOOLEAN}}, "properties": {"v": {"$ref": "#name"}}}, DRAFT2020, Kind.BOOL),
    ({"$defs": {"d": BOOLEAN}, "properties": {"v": {"$ref": "#/$defs/d"}}}, None, Kind.BOOL),
    (
        {"$defs": {"d": {"$dynamicAnchor": "name", **BOOLEAN}}, "properties": {"v": {"$dynamicRef": "#name"}}},
        DRAFT2020,
        Kind.BOOL,
    ),
    (
        {
            "$defs": {"d": {"$id": "urn:uuid:deadbeef-1234-ffff-ffff-4321feebdaed", **BOOLEAN}},
            "properties": {"v": {"$ref": "urn:uuid:deadbeef-1234-ffff-ffff-4321feebdaed"}},
        },
        DRAFT2020,
        Kind.BOOL,
    ),
    # What looks like an identifier, and isn't where one stands.
    ({"enum": [{"$id": "x"}, {}], "properties": {"v": {"const": True}, "$id": {"type": "string"}}}, DRAFT7, Kind.BOOL),
    (
        {"definitions": {"d": INTEGER}, "properties": {"v": {"$ref": "#/definitions/d", "$id": "http://example.com/"}}},
        DRAFT7,
        Kind.INT,
    ),
]
SENT = {Kind.TEXT: '"x"', Kind.INT: "1", Kind.BOOL: "true"}


@pytest.mark.parametrize(("schema", "draft", "expected"), RESOLVED)
def test_a_local_reference_means_what_the_identifiers_around_it_say(schema, draft, expected):
    if draft:
        schema = {"$schema": draft, **schema}
    assert kind(schema) is expected
    find = violations_finder(RecordLayout(Stream("s", TableName("s"), (), json_schema=json.dumps(schema).encode())))
    if "enum" not in schema:
        fitting = {k for k, value in SENT.items() if not find(f'{{"v": {value}}}'.encode())}
        assert fitting == {expected}


def test_a_dynamic_reference_that_means_one_thing_or_another_is_refused():
    schema = {
        "$schema": DRAFT2020,
        "$id": "http://example.com/root",
        "$dynamicAnchor": "row",
        "$defs": {"other": {"$id": "other", "$dynamicAnchor": "row", "type": "object"}},
        "properties": {"v": {"$dynamicRef": "other#row"}},
    }
    with pytest.raises(SchemaError, match=r"\$\.properties\.v\.\$dynamicRef: what .* depends on the way to it"):
        kind(schema)
    schema |= {"$schema": DRAFT2019, "$recursiveAnchor": True, "properties": {"v": {"$recursiveRef": "#"}}}
    assert kind(schema) is Kind.JSON


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("#/definitions/none", "which it doesn't have"),
        ("#none", "which it doesn't have"),
        ("#/definitions/list/01", "which it doesn't have"),
        ("#/definitions/list/2", "which it doesn't have"),
        ("other.json", "isn't inside it"),
        ("file:///etc/passwd", "isn't inside it"),
        ("http://127.0.0.1:1/x", "isn't inside it"),
        ("http://[", "isn't inside it"),
        ("http://[#x", "isn't inside it"),
        (DRAFT7, "isn't inside it"),
    ],
)
@pytest.mark.parametrize("place", [lambda s: s, lambda s: {"type": "array", "items": s}, lambda s: {"anyOf": [s, {}]}])
def test_a_reference_that_leads_nowhere_is_refused_and_nothing_is_fetched(reference, said, place):
    schema = {"definitions": {"list": [TEXT, TEXT]}, "properties": {"v": place({"$ref": reference})}}
    with pytest.raises(SchemaError, match=said):
        kind(schema)
