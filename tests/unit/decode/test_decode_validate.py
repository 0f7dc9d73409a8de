"""`validation: full` agrees with the reference implementation of JSON Schema in Python, and is exact where it isn't."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.decode.compiling import with_numeric_bounds
from tailrace.decode.layout import RecordLayout
from tailrace.decode.validate import violations_finder
from tailrace.errors import SchemaError
from tailrace.model import Stream, TableName

DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def finder(schema):
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    return violations_finder(RecordLayout(Stream("s", TableName("s"), (), json_schema=text)))


def found(schema, record):
    return [(v.code, v.path) for v in finder(schema)(record)]


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.sampled_from([0.5, 1.0, -2.0, 2.5]),
        st.text("ab1é😀", max_size=4),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=5,
)
COMMON = ["type"] * 12 + ["enum", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] * 2
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]


def keywords(inner, *, is_draft4):
    small = st.integers(0, 3)
    bounds = {
        "minimum": st.integers(-3, 3),
        "maximum": st.integers(-3, 3),
        "exclusiveMinimum": st.booleans() if is_draft4 else st.integers(-3, 3),
        "exclusiveMaximum": st.booleans() if is_draft4 else st.integers(-3, 3),
    }
    own = {
        "type": st.one_of(
            st.sampled_from(TYPES), st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)
        ),
        "enum": st.lists(VALUES.filter(lambda v: not isinstance(v, float)), min_size=1, max_size=3, unique_by=repr),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": small,
        "maxLength": small,
        "pattern": st.sampled_from(["^a", "b$", "[0-9]+"]),
        "minItems": small,
        "maxItems": small,
        "uniqueItems": st.booleans(),
        "items": st.one_of(inner, st.lists(inner, min_size=1, max_size=2)),
        "additionalItems": st.one_of(st.booleans(), inner),
        "minProperties": small,
        "maxProperties": small,
        "required": st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
        "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        "additionalProperties": st.one_of(st.booleans(), inner),
        "dependencies": st.dictionaries(
            st.sampled_from("abc"), st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True), max_size=1
        ),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        **bounds,
    }
    if not is_draft4:
        own |= {
            "const": VALUES.filter(lambda v: not isinstance(v, float)),
            "contains": inner,
            "if": inner,
            "then": inner,
        }
        own |= {"else": inner, "propertyNames": st.just({"maxLength": 1})}
    return own


def schemas(*, is_draft4):
    def some(inner):
        own = keywords(inner, is_draft4=is_draft4)
        return (
            st.lists(st.sampled_from([*sorted(own), *COMMON]), min_size=1, max_size=4)
            .flatmap(lambda words: st.fixed_dictionaries({word: own[word] for word in words}))
            .map(lambda schema: complete(schema, is_draft4=is_draft4))
        )

    return st.deferred(lambda: some(st.one_of(st.just({}), st.just({"type": "string"}), st.just({"type": "integer"}))))


def complete(schema, *, is_draft4):
    if is_draft4:
        for word in ("minimum", "maximum"):
            if f"exclusive{word.capitalize()}" in schema:
                schema = schema | {word: schema.get(word, 0)}
    return schema


RECORDS = st.dictionaries(
    st.sampled_from("abc"), st.one_of(st.sampled_from([1.0, -2.0, 2, 0.5]), VALUES), min_size=1, max_size=3
)


def nested(schema):
    return {"properties": {"a": schema}, "additionalProperties": schema}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas(is_draft4=False), RECORDS)
def test_full_agrees_with_jsonschema_for_draft_7(schema, record):
    schema = nested(schema)
    assert (found(schema, json.dumps(record).encode()) == []) is jsonschema.Draft7Validator(schema).is_valid(record)
    assert (found(schema | {"$schema": DRAFT7}, json.dumps(record).encode()) == []) is (
        jsonschema.Draft7Validator(schema).is_valid(record)
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas(is_draft4=True), RECORDS)
def test_full_agrees_with_jsonschema_for_draft_4(schema, record):
    schema = nested(schema) | {"$schema": DRAFT4}
    assert (found(schema, json.dumps(record).encode()) == []) is jsonschema.Draft4Validator(schema).is_valid(record)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(-3, 3), st.booleans(), st.booleans(), st.integers(-4, 4))
def test_boolean_bounds_without_a_draft_mean_what_draft_4_means(limit, lower, is_exclusive, value):
    word = "minimum" if lower else "maximum"
    schema = {"properties": {"a": {word: limit, f"exclusive{word.capitalize()}": is_exclusive}}}
    record = {"a": value}
    assert (found(schema, json.dumps(record).encode()) == []) is jsonschema.Draft4Validator(schema).is_valid(record)


@pytest.mark.parametrize(
    ("draft", "sent", "expected"),
    [
        (DRAFT7, b'{"a":1.0}', []),
        (DRAFT7, b'{"a":1e2}', []),
        (DRAFT4, b'{"a":1}', []),
        (DRAFT4, b'{"a":1.0}', [("keyword", "$.a")]),
        (DRAFT4, b'{"a":1e2}', [("keyword", "$.a")]),
        (DRAFT7, b'{"a":1.5}', [("keyword", "$.a")]),
    ],
)
def test_whether_1_0_is_an_integer_is_the_drafts_to_say(draft, sent, expected):
    assert found({"$schema": draft, "properties": {"a": {"type": "integer"}}}, sent) == expected


@pytest.mark.parametrize(
    ("step", "sent", "is_multiple"),
    [
        (b"0.01", b"19.99", True),
        (b"0.01", b"0.07", True),
        (b"0.1", b"1.1", True),
        (b"0.01", b"0.001", False),
        (b"0.0000000000000000000001", b"0.1234567890123456789012", True),
        (b"3", b"100000000000000000000000000000000000002", True),
        (b"3", b"100000000000000000000000000000000000003", False),
    ],
)
def test_multiple_of_is_exact(step, sent, is_multiple):
    schema = b'{"properties":{"a":{"multipleOf":' + step + b"}}}"
    assert (found(schema, b'{"a":' + sent + b"}") == []) is is_multiple


def test_bounds_beyond_64_bits_are_exact():
    schema = b'{"properties":{"a":{"maximum":100000000000000000000000000000000000001}}}'
    assert found(schema, b'{"a":100000000000000000000000000000000000001}') == []
    assert found(schema, b'{"a":100000000000000000000000000000000000002}') == [("keyword", "$.a")]
    schema = b'{"properties":{"a":{"maximum":9223372036854775807}}}'
    assert found(schema, b'{"a":9223372036854775807.0}') == []
    assert found(schema, b'{"a":9223372036854775807.5}') == [("keyword", "$.a")]


def test_bounds_are_rewritten_where_schemas_stand_and_nowhere_else():
    bound = {"minimum": 1, "exclusiveMinimum": True}
    rewritten = {"exclusiveMinimum": 1}
    for word in ("items", "not", "additionalProperties", "contains", "if", "then", "else", "propertyNames"):
        assert with_numeric_bounds({word: bound}) == {word: rewritten}
    for word in ("allOf", "anyOf", "oneOf", "items"):
        assert with_numeric_bounds({word: [bound]}) == {word: [rewritten]}
    for word in ("properties", "definitions", "patternProperties", "dependencies"):
        assert with_numeric_bounds({word: {"minimum": bound}}) == {word: {"minimum": rewritten}}
    for word in ("enum", "const", "default", "examples"):
        assert with_numeric_bounds({word: bound}) == {word: bound}
    assert with_numeric_bounds({"properties": {"exclusiveMinimum": True}}) == {"properties": {"exclusiveMinimum": True}}
    assert with_numeric_bounds({"maximum": Decimal(5), "exclusiveMaximum": False}) == {"maximum": Decimal(5)}


def test_a_schema_that_isnt_valid_is_a_schema_error():
    with pytest.raises(SchemaError, match=r"stream 's'.*isn't valid"):
        finder({"properties": {"a": {"minLength": -1}}})


def test_a_reference_to_elsewhere_is_a_schema_error_and_isnt_followed():
    with pytest.raises(SchemaError, match="isn't valid"):
        finder({"properties": {"a": {"contains": {"$ref": "http://localhost:1/schema.json"}}}})


def test_a_violation_names_the_keyword_and_what_was_sent():
    (violation,) = finder({"properties": {"a": {"maximum": 5}}})(b'{"a":7}')
    assert str(violation) == "$.a: expected maximum as the schema says, got 7 is greater than the maximum of 5"


def multiplying(word, count, *, parts=2):
    definitions = {"d1": {"type": "string"}}
    for n in range(2, count + 1):
        options = [
            {"$ref": f"#/definitions/d{n - 1}"} | ({"title": str(p)} if word == "oneOf" else {}) for p in range(parts)
        ]
        definitions[f"d{n}"] = {word: options}
    return {"definitions": definitions, "properties": {"v": {"$ref": f"#/definitions/d{count}"}}}


@pytest.mark.parametrize("word", ["allOf", "anyOf"])
def test_references_that_multiply_are_followed_once_each(word):
    find = finder(multiplying(word, 24))
    begun = time.process_time()
    assert find(b'{"v":"x"}') == []
    assert len(find(b'{"v":1}')) == 1
    assert time.process_time() - begun < 1


def test_combinations_that_multiply_otherwise_are_refused():
    assert len(finder(multiplying("oneOf", 10))(b'{"v":1}')) == 1
    begun = time.process_time()
    with pytest.raises(SchemaError, match="one value would be held against more than 200,000 schemas"):
        finder(multiplying("oneOf", 24))
    assert time.process_time() - begun < 1


def test_a_schema_that_isnt_valid_is_named_by_its_path():
    with pytest.raises(SchemaError, match=r"^stream 's', \$\.properties\.a\.minLength: its JSON Schema isn't valid"):
        finder({"properties": {"a": {"minLength": -1}}})
