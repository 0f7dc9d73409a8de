"""What of a schema tailrace-native is given under `validation: full`, and when it isn't given any."""

import json

import pytest

from tailrace.decode.keywords import keywords_of
from tailrace.decode.layout import RecordLayout
from tailrace.model import Column, Kind, Stream, TableName


def given(schema, *columns):
    return keywords_of(RecordLayout(Stream("s", TableName("s"), columns, json_schema=json.dumps(schema).encode())))


def field(**keywords):
    return {"properties": {"a": keywords}}


@pytest.mark.parametrize(
    "schema",
    [
        field(maximum=2**63 - 1, minimum=-(2**63)),
        field(multipleOf=0.01),
        field(format="date-time"),
        field(format="singer.decimal"),
        field(enum=["email", "uri"]),
        {"properties": {"format": {"const": "email"}}},
    ],
)
def test_a_schema_that_comes_to_the_same_natively_is_given(schema):
    assert json.loads(given(schema)["schema"]) == schema


@pytest.mark.parametrize(
    "schema",
    [
        field(maximum=2**64),
        field(multipleOf=1e-20),
        field(minimum=0.1234567890123456),
        field(maximum=1e300),
        field(format="email"),
        field(anyOf=[{"format": "idn-hostname"}]),
    ],
)
def test_a_schema_of_which_that_is_not_certain_is_the_references(schema):
    assert given(schema) is None


@pytest.mark.parametrize(
    ("keywords", "compares", "has_fractions"),
    [
        ({"maxLength": 5}, False, False),
        ({"maxLength": 5, "default": 0.5}, False, False),
        ({"enum": ["x", None]}, False, False),
        ({"enum": ["x", {"b": [1]}]}, True, False),
        ({"minimum": 1}, True, False),
        ({"multipleOf": 0.5}, True, True),
        ({"uniqueItems": True}, True, False),
    ],
)
def test_numbers_are_held_as_exactly_as_keywords_look_at_them(keywords, compares, has_fractions):
    found = given(field(**keywords))
    assert (found["compares"], found["has_fractions"]) == (compares, has_fractions)


def test_the_format_of_what_a_column_reads_by_its_kind_is_left_out():
    at = Column("a", ("a",), Kind.TIMESTAMPTZ)
    text = Column("b", ("b",), Kind.TEXT)
    schema = {"properties": {"a": {"format": "email", "maxLength": 9}, "b": {"format": "ipv4"}}}
    expected = {"properties": {"a": {"maxLength": 9}, "b": {"format": "ipv4"}}}
    assert json.loads(given(schema, at, text)["schema"]) == expected


def test_no_format_is_left_out_where_another_place_may_refer_to_it():
    schema = {"properties": {"a": {"format": "date"}, "b": {"$ref": "#/properties/a"}}}
    assert json.loads(given(schema, Column("a", ("a",), Kind.DATE))["schema"]) == schema


def test_broken_references_are_for_the_validators_to_refuse_and_drafts_are_told():
    assert given({"$schema": "http://json-schema.org/draft-04/schema#"})["draft"] == 4
    assert given(field(minimum=0, exclusiveMinimum=True))["schema"] == '{"properties":{"a":{"exclusiveMinimum":0}}}'
