"""JSON in DuckDB: what the decoder has read goes in as it is, and all of it is JSON to DuckDB too."""

import json
from contextlib import closing

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tailrace
from tailrace.destinations.duckdb.json_texts import known_json, without_doubtful_json
from tailrace.errors import RowsRefusedError
from tailrace.model import Column, Kind
from tailrace.testing.parts import ID, PIPELINE, batch, stream

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
SPELLED = [
    '{"a": 1, "a": 2}',
    "[ 1.50 , -0, 1E400, 123456789012345678901234567890 ]",
    '"\\u0000\\u00e9\\ud83d\\ude00\\/"',
    '{"": {}}',
    "[" * 500 + "]" * 500,
]


def loaded(path, texts):
    messages = ['{"type":"SCHEMA","stream":"things","schema":{"properties":{"x":{}}},"key_properties":[]}']
    messages += [f'{{"type":"RECORD","stream":"things","record":{{"x":{text}}}}}' for text in texts]
    tailrace.load(messages, to=f"duckdb:///{path}")
    with closing(duckdb.connect(path, read_only=True)) as connection:
        rows = connection.execute("SELECT CAST(x AS VARCHAR), json_valid(x), x IS NULL FROM things ORDER BY rowid")
        return rows.fetchall()


@settings(max_examples=25, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=30), is_ascii=st.booleans())
def test_every_value_that_is_decoded_is_json_to_duckdb(tmp_path_factory, values, is_ascii):
    texts = [json.dumps(value, ensure_ascii=is_ascii) for value in values]
    found = loaded(tmp_path_factory.mktemp("json") / "things.duckdb", texts)
    assert [json.loads(text or "null") for text, *_ in found] == values
    assert all(is_valid or is_null for _, is_valid, is_null in found)


def test_spellings_are_kept(tmp_path):
    assert loaded(tmp_path / "things.duckdb", SPELLED) == [(text, True, False) for text in SPELLED]


@pytest.mark.parametrize("half", ["\\ud800", "\\uDC00\\ud800", "a\\uDBFF"])
def test_half_a_character_is_refused_by_line(duckdb_file, half):
    things = stream(ID, Column("x", ("x",), Kind.JSON), key=())
    with closing(duckdb_file.open()) as destination:
        destination.recover(PIPELINE)
        destination.prepare(things)
        with pytest.raises(RowsRefusedError) as refused:
            destination.stage(batch(things, (1, '"\\ud83d\\ude00"'), (2, f'["{half}"]'), (3, "1")))
    assert refused.value.reasons == {2: "column 'x': the value isn't a JSON"}


def test_only_texts_with_an_escaped_surrogate_are_read_again():
    kind = pa.json_(pa.string())
    rows = pa.table(
        {"a": pa.array(['"\\u00e9"'], pa.string()).cast(kind), "b": pa.array(['"\\ud83d\\ude00"']).cast(kind)}
    )
    assert known_json(rows) == {"a", "b"}
    assert known_json(without_doubtful_json(rows)) == {"a"}
