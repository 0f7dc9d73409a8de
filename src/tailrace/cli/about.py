"""What `tailrace about` and `tailrace init` say: the settings of a run and of each destination, from their models."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tailrace import __version__
from tailrace.config import Settings
from tailrace.decode import IMPLEMENTATION
from tailrace.destinations import NAMES, settings_model, traits_of
from tailrace.errors import ConfigError


def about_facts(name: str | None = None) -> dict[str, Any]:
    """Name, version, decoder, and the settings of a run and of all destinations (or that one) as JSON Schema."""
    return {
        "name": "tailrace",
        "version": __version__,
        "decoder": IMPLEMENTATION,
        "settings": Settings.model_json_schema(),
        "destinations": {name: _destination_facts(name)} if name else {each: _facts_or_lack(each) for each in NAMES},
    }


def _destination_facts(name: str) -> dict[str, Any]:
    return {
        "guarantee": traits_of(name).guarantee,
        "methods": sorted(method.value for method in traits_of(name).methods),
        "settings": settings_model(name).model_json_schema(),
    }


def _facts_or_lack(name: str) -> dict[str, Any]:
    """A destination's facts, or what to install for it."""
    try:
        return _destination_facts(name)
    except ConfigError as error:
        return {"needs": error.hint}


def about_markdown(facts: dict[str, Any]) -> str:
    """The facts as a Markdown page."""
    return f"# tailrace {facts['version']}\n\nDecoder: {facts['decoder']}\n\n{about_settings(facts)}"


def about_settings(facts: dict[str, Any]) -> str:
    """The settings as Markdown tables, those of a run first."""
    lines = ["## Settings", "", *_settings_table(facts["settings"])]
    for name, destination in facts["destinations"].items():
        if "needs" in destination:
            lines += ["", f"## {name}", "", f"Needs `{destination['needs']}`."]
            continue
        lines += ["", f"## {name}", "", f"{destination['guarantee']} Methods: {', '.join(destination['methods'])}.", ""]
        lines += _settings_table(destination["settings"])
    return "\n".join(lines)


def config_template(name: str) -> str:
    """A YAML config for the destination: required settings, and the others commented out with their defaults."""
    model = settings_model(name)
    own = frozenset(_key(name, field) for name, field in model.model_fields.items())
    lines = [
        f"# How tailrace loads into {name}; use it as in `tap | tailrace load --config FILE`.",
        f"to: {name}",
        "",
        f"# --- the destination's own settings: {name} ---",
        *_template_lines(model, listed=frozenset()),
        "",
        "# --- the run ---",
        *_template_lines(Settings, listed=own),
    ]
    return "\n".join(lines)


def _settings_table(schema: dict[str, Any]) -> list[str]:
    rows = ["| setting | type | default | what it does |", "|---|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        default = "" if field.get("default") is None else f"`{field['default']}`"
        rows.append(f"| `{name}` | {_type_text(field)} | {default} | {field.get('description', '')} |")
    return rows


def _type_text(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(str(value) for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type_text(option) for option in field["anyOf"]))
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    return str(field.get("format") or field.get("type", "any"))


def _key(name: str, field: FieldInfo) -> str:
    return field.serialization_alias or name


def _template_lines(model: type[BaseModel], listed: frozenset[str]) -> list[str]:
    lines: list[str] = []
    for name, field in model.model_fields.items():
        key = _key(name, field)
        if key in listed:
            continue
        lines.append(f"# {field.description}")
        if field.is_required():
            lines.append(f"{key}: ")
        else:
            default = field.get_default(call_default_factory=True, validated_data={})
            value = import_module("yaml").safe_dump(_plain(default), default_flow_style=True).splitlines()[0]
            lines.append(f"#{key}: {value}")
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict | bool | int | float) or value is None:
        return value
    return str(value)
