"""What `target-tailrace --about --format json` says, and Meltano's definition of it as a plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from tailrace import __version__
from tailrace.config import Settings
from tailrace.config.alias import MELTANO, Alias
from tailrace.config.aliases import ADDRESSES, ALIASES
from tailrace.config.checking import spellings
from tailrace.destinations import NAMES, settings_model
from tailrace.errors import ConfigError

NAME = "target-tailrace"
DESCRIPTION = "Loads Singer streams into databases, warehouses and lakes: fast, in flat memory, exactly once."
CAPABILITIES = (
    "about",
    "activate-version",
    "hard-delete",
    "schema-flattening",
    "soft-delete",
    "structured-logging",
    "target-schema",
    "validate-records",
)
"""In the words of the Singer SDK."""

Schema = dict[str, Any]

_TO = {
    "type": ["string", "null"],
    "title": "To",
    "description": "The destination: an address such as duckdb:///my.duckdb, or a name, with its settings beside it.",
}
_KINDS = {"array": "array", "object": "object", "boolean": "boolean", "integer": "integer", "number": "decimal"}


def singer_facts() -> dict[str, Any]:
    """The target as the tools of the Singer SDK and the hub of Meltano read it."""
    return {
        "name": NAME,
        "description": DESCRIPTION,
        "version": __version__,
        "sdk_version": f"tailrace {__version__}",
        "supported_python_versions": _pythons(),
        "capabilities": list(CAPABILITIES),
        "settings": {
            "type": "object",
            "properties": _properties(),
            "anyOf": [{"required": [name]} for name in ("to", *ADDRESSES)],
        },
    }


def plugin_definition() -> dict[str, Any]:
    """The target as a plugin of Meltano, for `meltano add --from-ref`.

    Its settings have no values: Meltano would hand each on, also to destinations that have no such setting. They are
    there by their own names alone, since Meltano copies them all into the project; it hands others on as well.
    """
    own = {"to", *(name for _, name, _, is_own in _declared() if is_own)}
    settings = {name: schema for name, schema in _properties().items() if name in own}
    return {
        "name": NAME,
        "namespace": "target_tailrace",
        "variant": "tailrace",
        "label": "tailrace",
        "description": DESCRIPTION,
        "pip_url": "tailrace[all]",
        "executable": NAME,
        "capabilities": list(CAPABILITIES),
        "settings_group_validation": [[name] for name in ("to", *ADDRESSES)],
        "settings": [_setting(name, schema) for name, schema in settings.items()],
    }


def _setting(name: str, schema: Schema) -> dict[str, Any]:
    """A setting of the definition."""
    setting: dict[str, Any] = {"name": name}
    if schema.get("secret"):
        setting |= {"kind": "object" if "object" in _types(schema) else "string", "sensitive": True}
    elif kind := next((_KINDS[name] for name in _types(schema) if name in _KINDS and len(_types(schema)) == 1), None):
        setting["kind"] = kind
    elif "enum" in schema:
        words = [word for word in schema["enum"] if word is not None]
        setting |= {"kind": "options", "options": [{"label": word, "value": word} for word in words]}
    return setting | {"label": _title(name), "description": schema.get("description", "")}


def _types(schema: Schema) -> list[str]:
    """The types of a schema but null."""
    types = schema.get("type", [])
    return [name for name in ([types] if isinstance(types, str) else types) if name != "null"]


def _pythons() -> list[str]:
    """The versions of Python in the package's classifiers."""
    try:
        classifiers = metadata("tailrace").get_all("Classifier") or []
    except PackageNotFoundError:
        return []
    prefix = "Programming Language :: Python :: "
    return [line.removeprefix(prefix) for line in classifiers if line.startswith(f"{prefix}3.")]


def _properties() -> dict[str, Schema]:
    """Every setting by each of its names, those of the Singer SDK's targets too."""
    variants: dict[str, list[tuple[str, Schema]]] = {}
    for place, name, schema, _ in _declared():
        variants.setdefault(name, []).append((place, schema))
    properties = {"to": dict(_TO), **{name: _joined(several) for name, several in variants.items()}}
    for name, text in {**ADDRESSES, **{name: alias.text for name, alias in ALIASES.items() if _works(alias)}}.items():
        properties.setdefault(name, {"title": _title(name), "description": f"As other targets have it: {text}."})
    return properties


def _works(alias: Alias) -> bool:
    """Whether it is a name of the SDK's targets that may ask for something here."""
    return alias.of == MELTANO and not (alias.refused and alias.settings is None and alias.warned is None)


def _declared() -> Iterator[tuple[str, str, Schema, bool]]:
    """Where a setting is one (a destination, or "" for the run), a name, its schema, and whether it is the own one."""
    for place in ("", *NAMES):
        try:
            model = settings_model(place) if place else Settings
        except ConfigError:  # its driver isn't installed
            continue
        schema = model.model_json_schema()
        for setting, names in spellings(model).items():
            own = _plain(schema["properties"][setting], schema.get("$defs", {}))
            yield place, setting, own, True
            for name in names[1:]:
                yield place, name, {**own, "description": f"Another name of `{setting}`.", "title": _title(name)}, False


def _joined(variants: Sequence[tuple[str, Schema]]) -> Schema:
    """One schema for a setting that the run and several destinations may have."""
    schemas = [schema for _, schema in variants]
    joined = {key: value for key, value in schemas[0].items() if all(other.get(key) == value for other in schemas)}
    joined["title"] = schemas[0]["title"]
    types = list(dict.fromkeys(name for schema in schemas for name in _types(schema)))
    if "type" not in joined and types:
        joined["type"] = [*types, "null"]
    if all("enum" in schema for schema in schemas):
        joined["enum"] = list(dict.fromkeys(word for schema in schemas for word in schema["enum"]))
    if any(schema.get("secret") for schema in schemas):
        joined |= {"secret": True, "writeOnly": True}
    joined["description"] = _described(variants)
    return joined


def _described(variants: Sequence[tuple[str, Schema]]) -> str:
    """What the setting is in the run, or else in each destination."""
    places: dict[str, list[str]] = {}
    for place, schema in variants:
        places.setdefault(schema.get("description", ""), []).append(place)
    run = [text for text, names in places.items() if "" in names]
    return run[0] if run else " ".join(f"{', '.join(names)}: {text}" for text, names in places.items())


def _plain(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema with nothing named elsewhere, and with a list of types in place of a choice, as the SDK writes it."""
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_plain(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions), **beside}
    plain = {key: _within(value, definitions) for key, value in schema.items() if key != "anyOf"}
    for option in schema.get("anyOf", ()):
        found = _plain(option, definitions)
        types = [*_listed(plain), *_listed(found)]
        plain = {**found, **plain, "type": list(dict.fromkeys(types))}
    if "enum" in plain and "null" in plain["type"]:
        plain["enum"] = [*plain["enum"], None]
    if plain.get("default", ...) is None:
        del plain["default"]
    if plain.get("writeOnly"):
        plain["secret"] = True
    return plain


def _listed(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _within(value: Any, definitions: Mapping[str, Schema]) -> Any:
    """A part of a schema: a schema itself, or schemas by name."""
    if not isinstance(value, dict):
        return value
    if any(isinstance(value.get(key), str | list) for key in ("$ref", "anyOf", "type")):
        return _plain(value, definitions)
    return {key: _within(part, definitions) for key, part in value.items()}


def _title(name: str) -> str:
    return name.replace("_", " ").replace("+", " and ").title()
