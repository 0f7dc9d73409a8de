"""Where settings come from: files, the environment, flags, each stronger than the one before, all checked by name."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import AliasChoices, BaseModel, ValidationError

from tailrace.config import Settings
from tailrace.errors import ConfigError

PREFIX = "TAILRACE_"
_VARIABLE = re.compile(r"\$(\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})")

Values = dict[str, Any]


def file_values(path: Path, environ: Mapping[str, str] = os.environ) -> Values:
    """The settings in a JSON, YAML or TOML file, told apart by its name; `${VAR}` is taken from the environment."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}", key="--config") from error
    try:
        values = _parsed(path, text)
    except (json.JSONDecodeError, yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} can't be understood: {error}", key="--config") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold settings by name", key="--config", hint="as in `to: duckdb:///my.duckdb`")
    return {str(key): _expanded(value, environ, str(key)) for key, value in values.items()}


def environment_values(environ: Mapping[str, str] = os.environ) -> Values:
    """The settings in `TAILRACE_...` variables: `TAILRACE_BATCH_ROWS` is `batch_rows`, `__` goes a level down."""
    values: Values = {}
    for name, text in environ.items():
        if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG":
            _put(values, name.removeprefix(PREFIX).lower().split("__"), _value(text))
    return values


def flag_values(settings: Iterable[str]) -> Values:
    """The settings in `key=value` flags; a dot in the key goes a level down, a value may be JSON."""
    values: Values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"{setting!r} isn't a setting", key="--set", hint="write --set key=value")
        _put(values, key.split("."), _value(text))
    return values


def merged(*sources: Mapping[str, Any]) -> Values:
    """All settings, a later source being stronger, level by level."""
    result: Values = {}
    for source in sources:
        for key, value in source.items():
            both_levels = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both_levels else value
    return result


def split(values: Mapping[str, Any], destination: type[BaseModel]) -> tuple[Settings, Values]:
    """The run's settings, checked, and the destination's by name; an unknown one is refused with the nearest known.

    A setting that both have, as `schema`, is given to both, unless it is a template.
    """
    run, own = names_of(Settings), names_of(destination)
    for key in values:
        if key not in run | own:
            raise _unknown(key, run | own)
    settings = validated(Settings, {key: value for key, value in values.items() if key in run})
    return settings, {
        key: value for key, value in values.items() if key in own - run or (key in own and "{" not in str(value))
    }


def validated(model: type[Any], values: Mapping[str, Any]) -> Any:
    """The settings model made from values; ConfigError names the first setting that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise _wrong(error) from error


def names_of(model: type[BaseModel]) -> set[str]:
    """Every name that a settings model takes, aliases included."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        names.update(str(choice) for choice in choices)
        names.add(name)
    return names


def _parsed(path: Path, text: str) -> Any:
    match path.suffix.lower():
        case ".json":
            return json.loads(text)
        case ".toml":
            return tomllib.loads(text)
        case ".yaml" | ".yml":
            return yaml.safe_load(text) or {}
        case suffix:
            raise ConfigError(f"{path} ends in {suffix!r}", key="--config", hint="use .json, .yaml, .yml or .toml")


def _expanded(value: Any, environ: Mapping[str, str], key: str) -> Any:
    if isinstance(value, dict):
        return {k: _expanded(v, environ, f"{key}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v, environ, key) for v in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "$"
        if name not in environ:
            raise ConfigError(f"the environment has no {name}", key=key, hint="set it, or write $$ for a dollar sign")
        return environ[name]

    return _VARIABLE.sub(variable, value)


def _value(text: str) -> Any:
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _put(values: Values, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        level = values.setdefault(step, {})
        if not isinstance(level, dict):
            raise ConfigError("is given both a value and settings below it", key=".".join(path))
        values = level
    values[path[-1]] = value


def _unknown(name: str, known: set[str], key: str | None = None) -> ConfigError:
    nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else "`tailrace about` lists the settings"
    return ConfigError("there is no such setting", key=key or name, hint=hint)


def _wrong(error: ValidationError) -> ConfigError:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return _unknown(str(first["loc"][-1]), names_of(Settings), key)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ValidationError):
        return _wrong(cause)
    return ConfigError(first["msg"], key=key or None, hint="`tailrace about` describes the settings")
