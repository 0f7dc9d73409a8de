"""Objects taken apart into columns."""

from tailrace.config import ColumnSettings, StreamSettings
from tailrace.schema.flatten import flattened
from tailrace.schema.jsonschema import columns_of
from tailrace.schema.shapes import Document


def shown(schema, **settings):
    found = columns_of(schema, StreamSettings(nested="flatten", **settings), "orders")
    return {c.name: c.spelling + ("?" if c.nullable else "") + ("!" if c.required else "") for c in found}


def of(properties, *required, **more):
    return {"type": "object", "properties": properties, "required": list(required), **more}


TEXT = {"type": "string"}
DEEP = of({"a": of({"b": of({"c": TEXT}, "c")}, "b")}, "a")


def test_objects_are_taken_apart_and_keep_what_is_required():
    assert shown(DEEP) == {"a__b__c": "TEXT!"}


def test_deeper_objects_than_max_level_stay_whole():
    assert shown(DEEP, max_level=1) == {"a__b": "JSON!"}
    assert shown(DEEP, max_level=2) == {"a__b__c": "TEXT!"}


def test_paths_lead_to_the_values():
    assert [leaf.path for leaf in flattened(Document(DEEP, "orders"), 10)] == [("a", "b", "c")]
    assert [leaf.path for leaf in flattened(Document(DEEP, "orders"), 0)] == [("a",)]


def test_arrays_and_objects_without_properties_stay_whole():
    schema = of({"list": {"type": "array", "items": of({"a": TEXT})}, "map": {"type": "object"}, "none": of({})})
    assert shown(schema) == {"list": "JSON", "map": "JSON", "none": "JSON"}


def test_below_an_object_that_may_be_null_all_may_be_null_and_nothing_is_required():
    inner = {**of({"b": TEXT}, "b"), "type": ["null", "object"]}
    assert shown(of({"a": inner}, "a")) == {"a__b": "TEXT?"}
    assert shown(of({"a": {"anyOf": [{"type": "null"}, of({"b": TEXT}, "b")]}}, "a")) == {"a__b": "TEXT?"}


def test_below_an_object_that_may_be_absent_nothing_is_required():
    assert shown(of({"a": of({"b": TEXT}, "b")})) == {"a__b": "TEXT"}


def test_an_object_that_may_be_something_else_stays_whole():
    assert shown(of({"a": {**of({"b": TEXT}), "type": ["object", "string"]}})) == {"a": "JSON"}


def test_objects_of_several_forms_have_the_fields_of_all():
    forms = [of({"x": {"type": "integer"}, "y": TEXT}, "x", "y"), of({"x": {"type": "number"}}, "x")]
    assert shown(of({"a": {"oneOf": forms}}, "a")) == {"a__x": "FLOAT!", "a__y": "TEXT"}


def test_forms_that_agree_on_a_field_have_it_once():
    forms = [of({"x": TEXT}, "x"), of({"x": TEXT, "y": TEXT})]
    assert shown(of({"a": {"anyOf": forms}}, "a")) == {"a__x": "TEXT", "a__y": "TEXT"}


def test_an_object_inside_itself_stays_whole():
    node = {"type": ["null", "object"], "properties": {"name": TEXT, "next": {"$ref": "#/definitions/node"}}}
    schema = of({"head": {"$ref": "#/definitions/node"}, "self": {"$ref": "#"}}, definitions={"node": node})
    assert shown(schema) == {"head__name": "TEXT?", "head__next": "JSON?", "self": "JSON"}


def test_the_same_definition_twice_is_no_cycle():
    place = of({"city": TEXT}, "city")
    schema = of(
        {"from": {"$ref": "#/definitions/place"}, "to": {"$ref": "#/definitions/place"}},
        "from",
        definitions={"place": place},
    )
    assert shown(schema) == {"from__city": "TEXT!", "to__city": "TEXT"}


def test_settings_name_nested_fields_with_dots():
    overrides = {
        "a.b": ColumnSettings(kind="JSON"),
        "a.c": ColumnSettings(select=False),
        "a.d.e": ColumnSettings(kind="INT"),
        "f": ColumnSettings(select=False),
    }
    schema = of({"a": of({"b": of({"x": TEXT}), "c": TEXT, "d": of({"e": TEXT})}), "f": of({"g": TEXT})})
    assert shown(schema, columns=overrides) == {"a__b": "JSON", "a__d__e": "INT"}
