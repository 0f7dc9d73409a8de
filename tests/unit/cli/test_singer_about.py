"""What the Singer target says of itself: a schema of every name that works, and nothing that a config can't have."""

import json
from pathlib import Path

import jsonschema
import pytest
from singer_sdk.helpers import capabilities as sdk

from tailrace.cli.singer_about import CAPABILITIES, plugin_definition, singer_facts
from tailrace.config import Settings
from tailrace.config.checking import spellings
from tailrace.destinations import NAMES, settings_model

SETTINGS = singer_facts()["settings"]
PROPERTIES = SETTINGS["properties"]


def test_settings_are_a_json_schema_that_needs_nothing_beside_it():
    jsonschema.Draft202012Validator.check_schema(SETTINGS)
    assert '"$ref"' not in json.dumps(SETTINGS)


@pytest.mark.parametrize("place", ["run", *NAMES])
def test_every_setting_is_there_by_each_of_its_names(place):
    model = Settings if place == "run" else settings_model(place)
    names = {name for several in spellings(model).values() for name in several}
    assert names - PROPERTIES.keys() == set()


def test_every_setting_of_the_sdk_that_works_here_is_there():
    parts = [getattr(sdk, name)["properties"] for name in dir(sdk) if name.endswith("_CONFIG")]
    of_targets = {name for part in parts for name in part} - {"emit_activate_version_messages"}
    refused = {"stream_maps", "stream_map_config", "faker_config", "flattening_separator", "batch_config"}
    assert of_targets - PROPERTIES.keys() == refused


def test_capabilities_are_words_of_the_sdk():
    known = {each.value for kind in (sdk.PluginCapabilities, sdk.TargetCapabilities) for each in kind}
    assert set(CAPABILITIES) - known == set()


def test_secrets_are_marked_wherever_a_destination_has_them():
    secret = {name for name, schema in PROPERTIES.items() if schema.get("secret")}
    assert {"password", "private_key", "secret_access_key"} <= secret
    assert all(PROPERTIES[name]["writeOnly"] for name in secret)


@pytest.mark.parametrize(
    ("config", "is_valid"),
    [
        ({"to": "duckdb:///x.duckdb", "batch_rows": 5, "streams": {"orders": {"method": "append"}}}, True),
        ({"sqlalchemy_url": "sqlite:///x.db", "tls": None, "method": None, "columns": {"a": {"name": "b"}}}, True),
        ({"to": "mongodb", "tls": True, "before_sql": []}, True),
        ({"batch_rows": 5}, False),
        ({"to": "duckdb", "method": "none"}, False),
        ({"to": "duckdb", "batch_rows": "many"}, False),
        ({"to": "duckdb", "columns": {"a": {"nome": "b"}}}, False),
    ],
)
def test_a_config_is_valid_or_not_by_the_schema(config, is_valid):
    assert jsonschema.Draft202012Validator(SETTINGS).is_valid(config) is is_valid


def test_meltanos_definition_has_every_setting_by_its_own_name_and_hands_no_default_on():
    settings = {setting["name"]: setting for setting in plugin_definition()["settings"]}
    models = [Settings, *map(settings_model, NAMES)]
    assert settings.keys() == {"to", *(name for model in models for name in spellings(model))}
    assert not any("value" in setting for setting in settings.values())
    kinds = {name: settings[name].get("kind") for name in ("batch_rows", "streams", "before_sql", "hard_delete")}
    assert kinds == {"batch_rows": "integer", "streams": "object", "before_sql": "array", "hard_delete": "boolean"}
    assert settings["password"]["sensitive"] is True
    assert [word["value"] for word in settings["nested"]["options"]] == ["json", "flatten", "native"]


def test_the_description_is_the_packages():
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'description = "{singer_facts()["description"]}"' in text
