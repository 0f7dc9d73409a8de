"""A broken schema is a SchemaError with line and path; settings get past it; nothing else is ever raised."""

import copy
import json
import random
import time
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.config import Settings
from tailrace.decode import decoder
from tailrace.errors import SchemaError
from tailrace.model import Clock, Kind, RecordBlock, Stream, Traits
from tailrace.runtime.streams import Streams
from tailrace.schema.shapes import Document
from tailrace.schema.soundness import flaws
from tailrace.singer.messages import SchemaMessage

TRAITS = Traits("db", "none", keeps_nested=True)


def accepted(schema, line=7, key=(), **given):
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    message = SchemaMessage(line, "s", text, key, (), None, None)
    return Streams(Settings(**given), TRAITS).accept(message)


def refusal(schema, **given):
    with pytest.raises(SchemaError) as caught:
        accepted(schema, **given)
    return str(caught.value)


def of(property_schema, **more):
    return {"type": "object", "properties": {"id": {"type": "integer"}, "v": property_schema}, **more}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": 5}, "$.properties.v.type"),
        ({"type": {"type": "string"}}, "$.properties.v.type"),
        ({"type": []}, "$.properties.v.type"),
        ({"type": None}, "$.properties.v.type"),
        ({"type": ["date-time", "null"]}, "$.properties.v.type"),
        ({"type": "String"}, "$.properties.v.type"),
        ({"type": ["integer", {"type": "string"}]}, "$.properties.v.type[1]"),
        ({"type": ["null", 5]}, "$.properties.v.type"),
        (None, "$.properties.v"),
        (5, "$.properties.v"),
        ("string", "$.properties.v"),
        ([], "$.properties.v"),
        ({"properties": [1]}, "$.properties.v.properties"),
        ({"properties": None}, "$.properties.v.properties"),
        ({"properties": {"x y": {"type": 5}}}, '$.properties.v.properties["x y"].type'),
        ({"items": 3}, "$.properties.v.items"),
        ({"items": {"properties": {"x": {"type": "date"}}}}, "$.properties.v.items.properties.x.type"),
        ({"items": [{"type": 1}]}, "$.properties.v.items[0].type"),
        ({"required": 5}, "$.properties.v.required"),
        ({"required": ["a", 5]}, "$.properties.v.required[1]"),
        ({"anyOf": {}}, "$.properties.v.anyOf"),
        ({"anyOf": []}, "$.properties.v.anyOf"),
        ({"anyOf": None}, "$.properties.v.anyOf"),
        ({"allOf": [1]}, "$.properties.v.allOf[0]"),
        ({"oneOf": [{"type": "string"}, {"type": "wrong"}]}, "$.properties.v.oneOf[1].type"),
        ({"enum": 5}, "$.properties.v.enum"),
        ({"$ref": 5}, "$.properties.v.$ref"),
        ({"$ref": "#/definitions/none"}, "$.properties.v.$ref"),
        ({"$ref": "#/definitions/broken"}, "column 'v', line 7, $.definitions.broken.type"),
        ({"format": 5}, "$.properties.v.format"),
        ({"contentEncoding": []}, "$.properties.v.contentEncoding"),
        ({"multipleOf": "x"}, "$.properties.v.multipleOf"),
        ({"minimum": "0"}, "$.properties.v.minimum"),
        ({"maximum": True}, "$.properties.v.maximum"),
        ({"exclusiveMaximum": []}, "$.properties.v.exclusiveMaximum"),
        ({"x-sql-datatype": 5}, "$.properties.v.x-sql-datatype"),
    ],
)
@pytest.mark.parametrize("nested", ["json", "flatten", "native"])
@pytest.mark.parametrize("validation", ["types", "off", "full"])
def test_a_broken_property_is_refused_with_line_and_path(schema, path, nested, validation):
    document = of(schema, definitions={"broken": {"type": "text"}})
    given = {"nested": nested, "validation": validation}
    assert f"{path if path[0] != '$' else f'line 7, {path}'}: " in refusal(document, **given)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": [1]}, "$.properties"),
        ({"properties": None}, "$.properties"),
        ({"properties": {"a": {}}, "definitions": []}, "$.definitions"),
        ({"properties": {"a": {}}, "$defs": 5}, "$.$defs"),
        ({"properties": {"a": {}}, "type": "objekt"}, "$.type"),
        ({"properties": {"a": {}}, "allOf": {}}, "$.allOf"),
        ({"properties": {"a": {}}, "required": "a"}, "$.required"),
    ],
)
def test_a_broken_root_is_refused_with_line_and_path(schema, path):
    assert f"line 7, {path}: " in refusal(schema)


def test_words_that_say_nothing_may_be_null():
    words = ("format", "minimum", "maximum", "multipleOf", "required", "contentEncoding", "x-sql-datatype", "title")
    stream = accepted(of({"type": "string", **dict.fromkeys(words)}, definitions=None))
    assert stream.column("v").kind is Kind.TEXT


def test_required_true_of_draft_3_in_a_property_is_taken():
    assert accepted(of({"type": "string", "required": True})).column("v").kind is Kind.TEXT


BROKEN = [
    {"type": "date-time"},
    {"type": 5},
    None,
    {"$ref": "#/none"},
    {"anyOf": [1]},
    {"$ref": "#/definitions/broken"},
]

REFERRED = {str(BROKEN[-1]): {"definitions": {"broken": {"type": "text"}}}}


def rows(stream, record):
    line = json.dumps({"type": "RECORD", "stream": "s", "record": record}).encode() + b"\n"
    clock = Clock(datetime.now(UTC), lambda: datetime.now(UTC))
    decoded = decoder(stream, clock).decode(RecordBlock.of("s", line, (8, 1)))
    assert not decoded.refused
    return decoded.rows.to_pylist()


@pytest.mark.parametrize("validation", ["types", "off", "full"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_kind_gets_past_a_broken_property_and_its_values_are_loaded(broken, validation):
    document = of(broken, **REFERRED.get(str(broken), {}))
    settings_of_v = {"streams": {"s": {"columns": {"v": {"kind": "TIMESTAMPTZ"}}}}}
    stream = accepted(document, validation=validation, **settings_of_v)
    assert stream.column("v").kind is Kind.TIMESTAMPTZ
    (row,) = rows(stream, {"id": 1, "v": "2024-01-01T00:00:00Z"})
    assert row["v"].year == 2024


@pytest.mark.parametrize("validation", ["types", "off", "full"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_property_that_is_left_out_is_no_matter(broken, validation):
    document = of(broken, **REFERRED.get(str(broken), {}))
    stream = accepted(document, validation=validation, columns={"v": {"select": False}})
    assert stream.column("v") is None
    (row,) = rows(stream, {"id": 1, "v": "x"})
    assert row["id"] == 1


@pytest.mark.parametrize("broken", BROKEN)
def test_an_sql_type_gets_past_a_broken_property(broken):
    document = of(broken, **REFERRED.get(str(broken), {}))
    assert accepted(document, columns={"v": {"sql_type": "UUID"}}).column("v").sql_type == "UUID"


@pytest.mark.parametrize("nested", ["json", "flatten", "native"])
@pytest.mark.parametrize("broken", BROKEN)
def test_settings_get_past_a_broken_field_of_an_object_or_array(broken, nested):
    inner = {"type": "object", "properties": {"x": broken, "y": {"type": "string"}}}
    definitions = {"broken": {"type": "text"}}
    for schema, field in ((inner, "v.x"), ({"type": "array", "items": inner}, "v.x"), (inner, "v")):
        document = of(schema, definitions=definitions)
        assert "line 7, $." in refusal(document, nested=nested)
        assert accepted(document, nested=nested, columns={field: {"kind": "TEXT"}}) is not None


def test_a_schema_that_nests_without_end_is_refused():
    for levels in (300, 1_000, 100_000):
        deep = b'{"properties":{"v":' + b'{"items":' * levels + b"{}" + b"}" * levels + b"}}"
        assert refusal(deep) == "stream 's', line 7: its schema has more than 200 levels of objects and arrays"


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("nested", ["json", "flatten", "native"])
def test_definitions_are_worked_out_once_each(word, nested):
    leaf = {"type": "object", "properties": {"a": {"type": "string"}}}
    for first, count in (({"type": "string"}, 24), (leaf, 24), (leaf, 1000)):
        definitions = {"d1": first}
        definitions |= {f"d{n}": {word: [{"$ref": f"#/definitions/d{n - 1}"}] * 2} for n in range(2, count + 1)}
        document = of({"$ref": f"#/definitions/d{count}"}, definitions=definitions)
        begun = time.process_time()
        stream = accepted(document, nested=nested)
        assert time.process_time() - begun < 2
        assert [c.kind for c in stream.columns if c.path[0] == "v"] == [
            Kind.JSON if nested != "flatten" and first is leaf else Kind.TEXT
        ]


def test_properties_that_meet_in_many_combinations_are_worked_out_once():
    definitions = {"d1": {"type": "object", "properties": {"a": {"type": "string"}}}}
    for n in range(2, 60):
        parts = [{"$ref": f"#/definitions/d{n - 1}"}, {"$ref": f"#/definitions/d{n - 1}"}]
        definitions[f"d{n}"] = {"allOf": [*parts, {"properties": {"a": {"maxLength": n}}}]}
    begun = time.process_time()
    stream = accepted(of({"$ref": "#/definitions/d59"}, definitions=definitions), nested="flatten")
    assert time.process_time() - begun < 2
    assert stream.column("v__a").kind is Kind.TEXT


def test_ten_thousand_properties_of_one_definition_take_a_moment():
    properties = {f"p{n}": {"$ref": "#/definitions/d"} for n in range(10_000)}
    begun = time.process_time()
    stream = accepted({"properties": properties, "definitions": {"d": {"type": ["null", "string"]}}})
    assert time.process_time() - begun < 5
    assert {c.kind for c in stream.columns} == {Kind.TEXT}


def test_a_schema_whose_objects_multiply_is_refused_and_not_worked_out():
    definitions = {"d1": {"type": "string"}}
    for n in range(2, 21):
        fields = {name: {"$ref": f"#/definitions/d{n - 1}"} for name in "abcdefg"}
        definitions[f"d{n}"] = {"type": "object", "properties": fields}
    said = refusal(of({"$ref": "#/definitions/d20"}, definitions=definitions), nested="flatten")
    assert "more than 100,000 columns" in said
    wide = {"allOf": [{"type": "object", "properties": {f"a{n}": {}}} for n in range(15_000)]}
    assert "take too much to work out" in refusal(of(wide), nested="flatten")


def test_definitions_that_lead_to_themselves_or_each_other_say_nothing():
    definitions = {
        "self": {"$ref": "#/definitions/self"},
        "one": {"anyOf": [{"$ref": "#/definitions/other"}, {"type": "string"}]},
        "other": {"allOf": [{"$ref": "#/definitions/one"}]},
    }
    for name in definitions:
        stream = accepted(of({"$ref": f"#/definitions/{name}"}, definitions=definitions))
        assert stream.column("v").kind is Kind.JSON


PLAIN_JUNK = [
    None,
    True,
    False,
    0,
    -1,
    1e400,
    2**70,
    "",
    "x",
    "string",
    "#",
    "#/",
    "#/definitions/d",
    "#no",
    "http://x/y#",
]
DEEP_JUNK = [
    [],
    [1],
    [None],
    [[]],
    {},
    {"a": 1},
    {"type": 5},
    {"$ref": "#"},
    {"$ref": 1},
    [{"$ref": "#/definitions/d"}],
]
JUNK = st.sampled_from([*PLAIN_JUNK, *DEEP_JUNK])
# fmt: off
WORDS = st.sampled_from([
    "type", "properties", "items", "required", "enum", "const", "anyOf", "allOf", "oneOf", "$ref", "$id", "id",
    "$defs", "definitions", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "$schema", "x-singer.decimal", "x-sql-datatype", "contentEncoding", "precision", "scale", "$anchor",
    "additionalProperties", "patternProperties", "prefixItems", "$dynamicRef", "$recursiveRef", "$dynamicAnchor",
    "not",
])
# fmt: on
SOUND = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["id"],
    "definitions": {"d": {"type": ["null", "object"], "properties": {"n": {"$ref": "#/definitions/d"}}}},
    "properties": {
        "id": {"type": "integer", "minimum": 0, "exclusiveMaximum": 10},
        "n": {"type": ["number", "null"], "multipleOf": 0.01},
        "at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "o": {"type": "object", "properties": {"a": {"type": "array", "items": {"$ref": "#/definitions/d"}}}},
        "e": {"enum": ["a", None, 1], "contentEncoding": "base64"},
        "s": {"allOf": [{"type": "string"}, {"x-sql-datatype": "TEXT"}, {"maxLength": 5}]},
    },
}
DRAFTS = ["draft-04/schema#", "draft-07/schema#", "draft/2019-09/schema", "draft/2020-12/schema"]


def places(value):
    found, waiting = [], [value]
    while waiting:
        at = waiting.pop()
        if isinstance(at, (dict, list)):
            found.append(at)
            waiting += at.values() if isinstance(at, dict) else at
    return found


@st.composite
def mutated(draw):
    schema = copy.deepcopy(SOUND)
    schema["$schema"] = f"http://json-schema.org/{draw(st.sampled_from(DRAFTS))}"
    chooser = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 4))):
        place, junk = chooser.choice(places(schema)), copy.deepcopy(draw(JUNK))
        if isinstance(place, dict):
            place[draw(WORDS) if draw(st.booleans()) or not place else chooser.choice(sorted(place))] = junk
        elif place:
            place[chooser.randrange(len(place))] = junk
    return schema


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    mutated(),
    st.sampled_from(["json", "flatten", "native"]),
    st.sampled_from(["types", "full", "off"]),
    st.sampled_from([(), ("id",), ("",), ("o", "id"), ("id", "id")]),
)
def test_a_mutated_schema_makes_a_stream_or_a_schema_error_with_line_and_path(schema, nested, validation, key):
    text = json.dumps(schema).replace("Infinity", "1e400").encode()
    stream, refused = outcome(lambda: accepted(text, nested=nested, validation=validation, key=key))
    is_flawed = any(flaws(Document(json.loads(text), "s")))
    if refused is not None:
        assert refused.line == 7
        assert not is_flawed or refused.path.startswith("$")
        return
    assert not is_flawed
    assert isinstance(stream, Stream)
    _, refused = outcome(lambda: decoder(stream, Clock(None, None)))
    assert refused is None or validation == "full"


def outcome(call):
    try:
        return call(), None
    except SchemaError as error:
        return None, error


def test_a_schema_of_as_many_levels_as_may_be_is_taken_under_full_too():
    schema = {}
    for _ in range(150):
        schema = {"items": schema}
    for word in ("items", "not"):
        text = json.dumps(of(schema)).replace("items", word).encode()
        stream, refused = outcome(lambda text=text: accepted(text, validation="full"))
        assert refused is None
        _, refused = outcome(lambda stream=stream: decoder(stream, Clock(None, None)))
        assert refused is None or "Recursion limit" in str(refused)
