"""`unknown_fields: evolve`: what no schema describes can't break one, wherever batches and checkpoints end."""

import itertools
import json
import logging
import uuid

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace import load
from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import RecordError, SchemaError

KEYED = {
    "type": "SCHEMA",
    "stream": "t",
    "schema": {"properties": {"id": {"type": "integer"}}},
    "key_properties": ["id"],
}
EMPTY = {"type": "SCHEMA", "stream": "t", "schema": {}, "key_properties": []}
SMALL = {"batch_rows": 1, "checkpoint_rows": 1}


def memory_of_its_own():
    return MemoryDestination(uuid.uuid4().hex)


def record(**fields):
    return {"type": "RECORD", "stream": "t", "record": fields}


def state(value):
    return {"type": "STATE", "value": value}


def sent(schema, values, *, with_states):
    yield schema
    for number, value in enumerate(values):
        yield record(id=number, y=value)
        if with_states:
            yield state(number)


def shown(rows):
    """The rows with what the columns `y`, `y__float`... hold as one value each, JSON read."""
    found = {}
    for row in rows:
        (value,) = [v for name, v in row.items() if name.startswith("y") and v is not None] or [None]
        found[row["id"]] = value
    return [found[number] for number in sorted(found)]


def same(value, sent_value):
    if value == sent_value and isinstance(value, bool) == isinstance(sent_value, bool):
        return True
    return isinstance(value, str) and json.loads(value) == sent_value


WIDENING = [
    [2, 2.5],
    [2, 2.5, 3],
    [None, 2, None, 2.5],
    [True, "text"],
    ["text", {"a": 1}],
    [{"a": 1}, [1, 2]],
    [1, 2**63],
    [2**70, 1, 2.5],
    [1, 2**63, 2.5, 1e300],
    [1, "x", 2.5, [], {}, None, True],
    ["", "text", 5],
]


@pytest.mark.parametrize("values", WIDENING, ids=str)
@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("cut", [{}, SMALL], ids=["whole", "cut"])
@pytest.mark.parametrize("validation", ["types", "full", "off"])
def test_an_evolved_field_takes_every_value(values, with_states, cut, validation, tmp_path):
    memory = memory_of_its_own()
    report = load(
        sent(KEYED, values, with_states=with_states),
        to=memory,
        unknown_fields="evolve",
        on_invalid="quarantine",
        validation=validation,
        quarantine=tmp_path / "refused.jsonl",
        **cut,
    )
    assert (report.total.loaded, report.total.quarantined) == (len(values), 0)
    assert all(same(*pair) for pair in zip(shown(memory.tables()["t"]), values, strict=True))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.5, -2.25, 1e20]),
    st.text("ab", max_size=2),
)


@given(st.lists(VALUES, min_size=1, max_size=6), st.booleans(), st.sampled_from([{}, SMALL]))
def test_evolved_values_come_back_as_they_were_sent(values, with_states, cut):
    memory = memory_of_its_own()
    report = load(sent(KEYED, values, with_states=with_states), to=memory, unknown_fields="evolve", **cut)
    assert report.total.loaded == len(values)
    for found, value in zip(shown(memory.tables()["t"]), values, strict=True):
        assert same(found, value) or float(found) == float(value)


def test_several_fields_widen_at_once_and_apart(tmp_path):
    messages = [KEYED, record(id=1, y=1, z={}), record(id=2, y=1.5, z=[]), record(id=3, w="x", z=None, y=None)]
    address = f"duckdb:///{tmp_path / 'x.duckdb'}"
    load(messages, to=address, unknown_fields="evolve")
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        assert connection.execute("select id, y, z, w from t order by id").fetchall() == [
            (1, 1.0, "{}", None),
            (2, 1.5, "[]", None),
            (3, None, None, "x"),
        ]


def test_two_runs_widen_as_one_does(tmp_path):
    address = f"duckdb:///{tmp_path / 'x.duckdb'}"
    for messages in ([KEYED, record(id=1, y=2)], [KEYED, record(id=2, y=2.5), record(id=3, y=3)]):
        assert load(messages, to=address, unknown_fields="evolve").total.uncommitted == 0
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        rows = connection.execute("select * from t order by id").fetchall()
    assert [max(value for value in row[1:] if value is not None) for row in rows] == [2, 2.5, 3]


def test_a_field_that_the_settings_give_a_kind_isnt_guessed():
    memory = memory_of_its_own()
    load(
        [KEYED, record(id=1, y=2), record(id=2, y=2.5)],
        to=memory,
        unknown_fields="evolve",
        streams={"t": {"columns": {"y": {"kind": "FLOAT"}}}},
    )
    assert shown(memory.tables()["t"]) == [2.0, 2.5]
    with pytest.raises(RecordError, match=r"\$\.y: expected an integer"):
        load(
            [KEYED, record(id=1, y=2), record(id=2, y=2.5)],
            to=memory_of_its_own(),
            unknown_fields="evolve",
            streams={"t": {"columns": {"y": {"kind": "INT"}}}},
        )


def test_a_later_schema_that_describes_the_field_is_obeyed():
    described = {"type": "object", "allOf": [{"properties": {"id": {"type": "integer"}, "y": {"type": "integer"}}}]}
    messages = [KEYED, record(id=1, y=2), KEYED | {"schema": described}, record(id=2, y=2.5)]
    with pytest.raises(RecordError, match=r"\$\.y: expected an integer, got 2\.5"):
        load(messages, to=memory_of_its_own(), unknown_fields="evolve")


def test_a_schema_that_is_a_reference_grows_too():
    schema = {"$ref": "#/definitions/row", "definitions": {"row": {"properties": {"id": {"type": "integer"}}}}}
    memory = memory_of_its_own()
    load([KEYED | {"schema": schema}, record(id=1, y=2)], to=memory, unknown_fields="evolve")
    assert [(row["id"], row["y"]) for row in memory.tables()["t"]] == [(1, 2)]


def test_a_schema_that_allows_no_objects_cant_grow():
    with pytest.raises(SchemaError, match="line 2: the fields 'y' can't become columns"):
        load([EMPTY | {"schema": {"type": "string"}}, record(y=2)], to=memory_of_its_own(), unknown_fields="evolve")


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": {}}])
@pytest.mark.parametrize("cut", [{}, SMALL], ids=["whole", "cut"])
@pytest.mark.parametrize("metadata", ["none", "singer"])
def test_records_without_a_value_are_no_rows_of_a_stream_that_describes_no_fields(schema, cut, metadata):
    memory = memory_of_its_own()
    fields = [{}, {"a": 1}, {"a": None}, {}, {"a": 2.5, "b": "x"}, {"b": None}]
    messages = [EMPTY | {"schema": schema}, *itertools.chain(*([record(**f), state(0)] for f in fields))]
    report = load(messages, to=memory, unknown_fields="evolve", metadata=metadata, **cut)
    assert (report.total.read, report.total.loaded, report.total.filtered) == (6, 2, 4)
    values = [{name: row.get(name) for name in row if name.startswith(("a", "b"))} for row in memory.tables()["t"]]
    assert sorted([float(v) for row in values for n, v in row.items() if n.startswith("a") and v is not None]) == [
        1,
        2.5,
    ]


@pytest.mark.parametrize("method", ["append", "replace"])
@pytest.mark.parametrize("contract", ["evolve", "freeze", "discard_columns"])
@pytest.mark.parametrize("fields", [[], [{}], [{"a": None}]])
@pytest.mark.parametrize("metadata", ["none", "singer"])
def test_a_stream_that_never_gets_a_column_makes_no_table(method, contract, fields, metadata):
    memory = memory_of_its_own()
    report = load(
        [EMPTY, *(record(**f) for f in fields), state({"at": 1})],
        to=memory,
        unknown_fields="evolve",
        method=method,
        contract=contract,
        metadata=metadata,
    )
    assert memory.tables() == {}
    assert (report.total.filtered, report.total.uncommitted, report.state) == (len(fields), 0, '{"at":1}')


@pytest.mark.parametrize(
    "scheme", ["duckdb:///{}/x.duckdb", "sqlite:///{}/x.sqlite", "delta:{}", "files:{}", "memory:{}"]
)
@pytest.mark.parametrize("contract", ["freeze", "discard_columns"])
def test_a_table_that_is_to_stay_and_has_none_of_the_fields_is_a_schema_error(tmp_path, scheme, contract):
    address = scheme.format(tmp_path).replace("memory:/", "memory://")
    load([EMPTY, record(b=1)], to=address, unknown_fields="evolve")
    with pytest.raises(SchemaError, match=r"stream 't'.*line 2: the table t has no"):
        load([EMPTY, record(a=1)], to=address, unknown_fields="evolve", contract=contract)
    assert (
        load([EMPTY, record(b=2, a=1)], to=address, unknown_fields="evolve", contract="discard_columns").total.loaded
        == 1
    )


def test_thirty_fields_that_are_new_one_after_the_other_grow_the_stream_once():
    messages = [KEYED, *(record(id=n, **{f"f{m}": m for m in range(n)}) for n in range(1, 31))]
    memory = memory_of_its_own()
    prepared = []
    prepare = memory.prepare
    memory.prepare = lambda stream: (prepared.append(stream), prepare(stream))[1]
    load(messages, to=memory, unknown_fields="evolve")
    assert [len(stream.columns) for stream in prepared] == [1, 31]


@pytest.mark.parametrize(
    "draft",
    [
        "http://json-schema.org/draft-03/schema#",
        "http://json-schema.org/draft-05/schema#",
        "https://json-schema.org/v1",
        "http://example.com/my-schema",
        5,
        None,
        ["x"],
    ],
)
@pytest.mark.parametrize("validation", ["types", "full"])
def test_an_unknown_draft_is_said_once(draft, validation, caplog):
    schema = {"$schema": draft, "properties": {"id": {"type": "integer"}}}
    other = {**schema, "properties": {"id": {"type": "integer"}, "v": {}}}
    messages = [KEYED | {"schema": s} for s in (schema, other, schema)]
    with caplog.at_level(logging.WARNING, "tailrace"):
        load([*messages, record(id=1)], to=memory_of_its_own(), validation=validation)
    said = [r for r in caplog.messages if "draft of JSON Schema that isn't known" in r]
    assert len(said) == (draft is not None)
    assert all(f"stream=t draft={draft} line=1" in line for line in said)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("end", ["", "#"])
@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07", "draft/2019-09", "draft/2020-12"])
def test_a_known_draft_is_not_mentioned(scheme, end, draft, caplog):
    schema = {"$schema": f"{scheme}://json-schema.org/{draft}/schema{end}", "properties": {"id": {"type": "integer"}}}
    with caplog.at_level(logging.WARNING, "tailrace"):
        load([KEYED | {"schema": schema}, record(id=1)], to=memory_of_its_own(), validation="full")
    assert not caplog.messages
