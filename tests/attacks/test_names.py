"""A hostile name is loaded as it is and read back, or refused in our own words; nothing else changes."""

import json

import pytest
from hostile import NAMES

from tailrace.config import StreamSettings
from tailrace.errors import ConfigError, MessageError, SchemaError
from tailrace.schema.stream import planned_stream
from tailrace.testing.messages import OBJECT, TEXT, record, schema

STEPS = {"preserve": 1, "snake": 3}
"""Names in snake are few, and much alike."""
REFUSALS = (SchemaError, ConfigError, MessageError)


def planned(scene, name, naming, **settings):
    """The stream that a SCHEMA makes whose stream, field and key have that name; None where it is refused."""
    if not name:
        return None
    sent = {"type": "object", "properties": {name: TEXT, "about": OBJECT}}
    settings = StreamSettings(naming=naming, **scene.method, **settings)
    key = [name] if scene.keyed else []
    try:
        return planned_stream(name, json.dumps(sent).encode(), key, settings, scene.traits, revision=1, versioned=False)
    except REFUSALS as error:
        assert repr(name)[1:4] in str(error) or "name" in str(error)  # noqa: PT017 it says which, and why
        return None


def sent(name, number, keyed=True):
    yield schema({name: TEXT, "about": OBJECT}, [name] if keyed else [], name)
    yield record({name: f"key {number} {name}".replace("\0", ""), "about": {name: number}}, name)


def value_of(row, column):
    value = row[column]
    return json.loads(value) if isinstance(value, str | bytes) else value


def rounds(plans):
    """The plans in groups whose tables differ."""
    left = dict(plans)
    while left:
        taken = {}
        for name, plan in left.items():
            taken.setdefault(str(plan.table).casefold(), name)
        yield [*taken.values()]
        left = {name: plan for name, plan in left.items() if name not in taken.values()}


def numbered(names):
    return [(NAMES.index(name), name) for name in names]


@pytest.mark.parametrize("naming", ["preserve", "snake"])
def test_names_of_streams_fields_keys_and_what_is_nested_are_loaded_exactly_or_refused(scene, naming):
    chosen = [name for name in NAMES if len(name.encode("utf8", "replace")) <= scene.longest][:: STEPS[naming]]
    plans = {name: plan for name in chosen if (plan := planned(scene, name, naming))}
    assert len(plans) > 12
    for names in rounds(plans):
        messages = [message for number, name in numbered(names) for message in sent(name, number, scene.keyed)]
        scene.load(*messages, naming=naming)
        for number, name in numbered(names):
            table, column = plans[name].table, plans[name].columns[0].name
            found = [row for row in scene.rows(table) if str(row.get(column, "")).startswith(f"key {number} ")]
            assert [row[column] for row in found] == [f"key {number} {name}".replace("\0", "")]
            assert value_of(found[0], "about") == {name: number}
            assert (
                naming != "preserve" or column in (name or "_", f"{name}_") or len(name) > 60 or scene.traits.unusable
            )
    for number, name in [(number, name) for number, name in numbered(chosen) if name not in plans][-6:]:
        with pytest.raises(REFUSALS):
            scene.load(*sent(name, number, scene.keyed), naming=naming)
    scene.require_unharmed(*(plan.table for plan in plans.values()))


def test_names_of_schemas_are_loaded_exactly_or_refused(scene):
    template = {"schema_name": "{schema}", "table": "t"}
    if not scene.schemas:
        with pytest.raises(SchemaError, match="no schemas"):
            scene.load(*sent_in(scene, "a-b", 1), schema="{schema}")
        return
    streams = [name.replace("-", "") + "-x" for name in NAMES[:40:3] + NAMES[40:]]
    plans = {stream: plan for stream in streams if (plan := planned(scene, stream, "preserve", **template))}
    plans = {stream: plan for stream, plan in plans.items() if len(plan.table.schema or "") <= scene.longest}
    apart = {str(plan.table).casefold(): stream for stream, plan in plans.items()}
    assert len(apart) > 12
    messages = [message for n, stream in enumerate(apart.values()) for message in sent_in(scene, stream, n)]
    scene.load(*messages, schema="{schema}", table="t", naming="preserve")
    for n, stream in enumerate(apart.values()):
        assert [str(row["id"]) for row in scene.rows(plans[stream].table)] == [str(n)]
    scene.require_unharmed(*(plans[stream].table for stream in apart.values()))


def sent_in(scene, stream, number):
    yield schema({"id": TEXT}, ["id"] if scene.keyed else [], stream)
    yield record({"id": str(number)}, stream)
