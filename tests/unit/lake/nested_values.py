"""Schemas of nested values, values that are valid under them, and how a column of them is read."""

import base64
import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st

from tailrace.config import StreamSettings
from tailrace.lake.nested import read_nested
from tailrace.model import LINE, Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.jsonschema import columns_of

INT, NUMBER, TEXT, BOOL = ({"type": ["null", name]} for name in ("integer", "number", "string", "boolean"))
MONEY = {"type": "number", "multipleOf": 0.01, "minimum": -1000000, "maximum": 1000000}
WRITTEN = {"type": "string", "format": "singer.decimal", "precision": 38, "scale": 10}


def obj(**fields):
    return {"type": ["null", "object"], "properties": fields}


def array(items):
    return {"type": ["null", "array"], "items": items}


def column_of(schema, **settings):
    settings = StreamSettings(nested="native", **settings)
    (column,) = columns_of({"type": "object", "properties": {"a": schema}}, settings, "s")
    return column


def read(schema, *texts, table=None, arrow=None, chunks=1, coerce="none", **settings):
    """The texts of lines 11, 12... as a column of that schema, in a table's column that may be another."""
    column = column_of(schema, **settings)
    target = table or TableColumn.of(column)
    stream = Stream("s", TableName("s"), (column,), coerce=coerce)
    lines = pa.array(range(11, 11 + len(texts)), pa.int64())
    size = max(1, -(-len(texts) // chunks))
    values = pa.chunked_array([texts[at : at + size] for at in range(0, len(texts), size)], pa.string())
    rows = pa.table([values, lines], names=["a", LINE])
    return read_nested(rows, stream, {"a": target}, pa.schema([("a", arrow or target.arrow)]))


def values(schema, *texts, **more):
    found = read(schema, *texts, **more)
    assert found.refused == {}
    return found.rows["a"].to_pylist()


def refused(schema, *texts, **more):
    return read(schema, *texts, **more).refused


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
BLANKS = st.sampled_from(["", "", " ", "\t", " \r "])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold)


@st.composite
def written(draw, value):
    """JSON of the value, in one of its spellings."""
    if isinstance(value, Decimal):
        return draw(st.sampled_from([f"{value:f}", f"{value:e}"]))
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


DECIMALS = st.integers(-(10**8), 10**8).map(lambda cents: Decimal(cents).scaleb(-2))
LEAVES = (
    (INT, st.integers(-(2**63), 2**63 - 1), lambda value: value),
    (NUMBER, st.floats(allow_nan=False, allow_infinity=False), lambda value: value),
    (MONEY, DECIMALS, lambda value: value),
    (BOOL, st.booleans(), lambda value: value),
    (TEXT, TEXTS, lambda value: value),
    ({"type": "string", "format": "date"}, st.dates().map(str), dt.date.fromisoformat),
    (
        {"type": "string", "format": "date-time"},
        st.datetimes().map(lambda value: f"{value.isoformat()}Z"),
        dt.datetime.fromisoformat,
    ),
    ({"type": "string", "format": "time"}, st.times().map(lambda value: value.replace(microsecond=0).isoformat()), str),
    ({"type": "string", "format": "uuid"}, st.uuids().map(str), str),
    (
        {"type": "string", "contentEncoding": "base64"},
        st.binary(max_size=5).map(lambda value: base64.b64encode(value).decode()),
        base64.b64decode,
    ),
)


@st.composite
def leaves(draw):
    """A schema of a leaf, and what draws a value: its JSON, and what it is then."""
    schema, strategy, becomes = draw(st.sampled_from(LEAVES))

    def example(draw):
        value = draw(strategy)
        return draw(written(value)), becomes(value)

    return schema, example


@st.composite
def texts_of_anything(draw):
    schema = draw(st.sampled_from([{}, {"type": ["string", "integer"]}, {"type": "object"}, {"type": "array"}]))

    def example(draw):
        value = draw(ANYTHING.filter(lambda value: value is not None))
        text = draw(written(value))
        return text, text

    return schema, example


def as_lists(inner):
    schema, example = inner

    def of_lists(draw):
        if draw(st.integers(0, 5)) == 0:
            return "null", None
        found = [null_or(draw, example) for _ in range(draw(st.integers(0, 3)))]
        between = [draw(BLANKS) for _ in range(2)]
        return "[" + between[0] + f"{between[1]},".join(text for text, _ in found) + "]", [value for _, value in found]

    return array(schema), of_lists


def lists_of(inner):
    """Lists of anything but anything: then the schema doesn't say what the items are, and the list is a text."""
    return inner.filter(lambda drawn: drawn[0] != {}).map(as_lists)


def null_or(draw, example):
    return ("null", None) if draw(st.integers(0, 5)) == 0 else example(draw)


def as_objects(named):
    schema = obj(**{name: inner for name, (inner, _) in named.items()})

    def of_objects(draw):
        if draw(st.integers(0, 5)) == 0:
            return "null", None
        sent, expected = [], dict.fromkeys(named)
        for name in draw(st.permutations(sorted(named))):
            if draw(st.integers(0, 4)):
                text, expected[name] = null_or(draw, named[name][1])
                sent.append(f"{draw(BLANKS)}{draw(written(name))}{draw(BLANKS)}:{draw(BLANKS)}{text}")
        return "{" + ",".join(sent) + draw(BLANKS) + "}", expected

    return schema, of_objects


def objects_of(inner):
    return FIELDS.flatmap(lambda names: st.fixed_dictionaries(dict.fromkeys(names, inner))).map(as_objects)


PLACES = st.recursive(leaves() | texts_of_anything(), lambda inner: objects_of(inner) | lists_of(inner), max_leaves=8)
NESTED = objects_of(PLACES) | lists_of(PLACES)
