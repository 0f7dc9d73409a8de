"""Where settings come from: files, the environment, flags, each stronger than the one before, all checked by name."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tailrace.config.aliases import ADDRESSES, ALIASES, OPTIONAL, without_switched_off
from tailrace.config.checking import checked, names_of, spellings, unknown_setting
from tailrace.config.settings import Settings, StreamSettings
from tailrace.errors import ConfigError
from tailrace.log import get_logger

PREFIX = "TAILRACE_"
TARGET_PREFIX = "TARGET_TAILRACE_"
"""Of the variables that a runner sets for the Singer target: they count where the config is named ENV."""
_TOML_PLACE = re.compile(r"\(at ((?:line \d+, column \d+)|(?:end of document))\)$")
_VARIABLE = re.compile(r"\$(\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})")
_SECRET = re.compile(r"pass|pwd|secret|token|credential|private_key|access_key|connection_string", re.IGNORECASE)

CONNECTIONS = "connections"
"""The setting of a file that names destinations for `--to`."""

SCHEMAS = frozenset({"schema", "schema_name", "default_target_schema"})
"""Names of a schema. Where a schema is a database, it is the one that tables stand in."""

Values = dict[str, Any]
_log = get_logger("config")


def file_values(path: Path, environ: Mapping[str, str] = os.environ) -> Values:
    """The settings in a JSON, YAML or TOML file, told apart by its name.

    In YAML and TOML `${VAR}` is taken from the environment: in a secret only where it is all that the secret is. What a
    JSON file has stays as it is, since runners that write it have filled it in. Its `connections` are left out.
    """
    return expanded(path, {key: value for key, value in file_content(path).items() if key != CONNECTIONS}, environ)


def file_content(path: Path) -> Values:
    """What is in a JSON, YAML or TOML file, as it stands there."""
    try:
        values = _parsed(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror}", key="--config", hint="name a file that can be"
        ) from error
    except (ValueError, RecursionError) as error:
        where = _place_in_file(error)
    else:
        where = ""
    if where:
        # Nothing else is told, and no cause is kept: the file's text, which may have a password in it, is in both.
        raise ConfigError(
            f"{path} can't be understood, {where}",
            key="--config",
            hint="see that its quotes and brackets end, and quote odd values",
        )
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold settings by name", key="--config", hint="as in `to: duckdb:///my.duckdb`")
    return {str(key): value for key, value in values.items()}


def expanded(path: Path, values: Values, environ: Mapping[str, str]) -> Values:
    """Values of a file with their variables filled in; those of a JSON file as they are."""
    if path.suffix.lower() == ".json":
        return values
    return {key: _expanded(value, environ, key) for key, value in values.items()}


def environment_values(environ: Mapping[str, str] = os.environ, prefix: str = PREFIX) -> Values:
    """The settings in `TAILRACE_...` variables: `TAILRACE_BATCH_ROWS` is `batch_rows`, `__` goes a level down."""
    values: Values = {}
    for name, text in environ.items():
        if name.startswith(prefix) and name != f"{prefix}CONFIG":
            _put(values, name.removeprefix(prefix).lower().split("__"), _value(text))
    return values


def flag_values(settings: Iterable[str]) -> Values:
    """The settings in `key=value` flags; a dot in the key goes a level down, a value may be JSON."""
    values: Values = {}
    for number, setting in enumerate(settings, start=1):
        key, equals, text = setting.partition("=")
        if not equals or not key:
            # It isn't shown, since it may be a password.
            raise ConfigError(
                f"the one that is number {number} isn't a setting", key="--set", hint="write --set key=value"
            )
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


def own_names(values: Mapping[str, Any], *models: type[BaseModel]) -> Values:
    """The settings by the names that the models give them, whatever names of theirs or other targets' they come by.

    Raises ConfigError for one setting that two names give two values, and for what other targets have and we don't.
    """
    canonical = _canonical(models)
    given = without_switched_off(values)
    own: Values = {}
    said: dict[str, str] = {}
    from_elsewhere = {name: value for name, value in given.items() if _is_from_elsewhere(name, value, given, canonical)}
    for name, value in given.items():
        if name not in from_elsewhere:
            _fold(own, said, canonical.get(name, name), name, value)
    for name, value in from_elsewhere.items():
        if value not in (None, ""):
            for setting, meant in _meant(name, value, given).items():
                _add(own, said, canonical, setting, name, meant)
    if Settings in models and isinstance(own.get("streams"), str):
        own["streams"] = _json(own["streams"], "streams")
    if Settings in models and isinstance(own.get("streams"), dict):
        own["streams"] = {
            pattern: own_names(overrides, StreamSettings) if isinstance(overrides, dict) else overrides
            for pattern, overrides in own["streams"].items()
        }
    return own


def known_variables(values: Mapping[str, Any], *models: type[BaseModel], prefix: str = PREFIX) -> Values:
    """The settings of the environment without those that there are none of, which the log names by their variables.

    A variable may be another program's.
    """
    known = {*_canonical(models), *ADDRESSES, *ALIASES, "to"}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.8)
            meant = f" (did you mean {prefix}{near[0].upper()}?)" if near else ""
            _log.warning(f"the variable {prefix}{name.upper()} is no setting, and counts for nothing{meant}")
    return {name: value for name, value in values.items() if name in known}


def split(values: Mapping[str, Any], destination: type[BaseModel]) -> tuple[Settings, Values]:
    """The run's settings, checked, and the destination's by name; an unknown one is refused with the nearest known.

    A setting that both have, as `schema`, is given to both, unless it is a template. Null and an empty text, as
    templates of configs have them, are as good as unset.
    """
    run, own = names_of(Settings), names_of(destination)
    given = {key: value for key, value in own_names(values, Settings, destination).items() if value not in (None, "")}
    for key in given:
        if key not in run | own:
            hint = "the address is `to`" if key in ADDRESSES else None
            raise unknown_setting([key], {*run, *own, *ALIASES}, hint=hint)
    settings = checked(Settings, {key: value for key, value in given.items() if key in run})
    return settings, {
        key: value for key, value in given.items() if key in own - run or (key in own and "{" not in str(value))
    }


def _canonical(models: Sequence[type[BaseModel]]) -> dict[str, str]:
    """The setting that each name of the models means, the first model's where several have the name."""
    return {
        name: setting for model in reversed(models) for setting, names in spellings(model).items() for name in names
    }


def _fold(own: Values, said: dict[str, str], setting: str, name: str, value: Any) -> None:
    """Add a setting that may have come by another of its names already."""
    other = said.get(setting)
    if other is None or own[setting] in (None, ""):
        own[setting], said[setting] = value, name
    elif value in (None, "") or str(value) == str(own[setting]):
        pass
    elif (name in SCHEMAS) == (other in SCHEMAS):
        raise ConfigError(f"it and `{other}` are one setting, and differ", key=name, hint="leave one out")
    elif name in SCHEMAS:
        own[setting], said[setting] = value, name


def _is_from_elsewhere(name: str, value: Any, given: Values, canonical: Mapping[str, str]) -> bool:
    """Whether a name is one of other targets, or, where it is ours too, has a value of theirs."""
    if name not in canonical or name not in ALIASES:
        return name in ALIASES
    claimed = ALIASES[name].claimed
    return claimed is not None and claimed(value, given)


def _meant(name: str, value: Any, given: Values) -> Values:
    """The settings that a name of other targets comes to; the log says so when they are none."""
    alias = ALIASES[name]
    try:
        if alias.refused and alias.refused(value, given):
            raise ConfigError("it can't be had here", key=name, hint=alias.text)
        meant = alias.settings(value, given) if alias.settings else {}
        is_warned = alias.warned is not None and alias.warned(value, given)
    except ValueError as error:
        raise ConfigError(str(error), key=name) from None
    if is_warned:
        _log.warning(f"`{name}` differs here: {alias.text}")
    elif alias.refused or alias.settings is None:
        asked = "it asks for nothing" if alias.refused else alias.text
        _log.info(f"`{name}` isn't needed: {asked}")
    return meant


def _add(own: Values, said: dict[str, str], canonical: Mapping[str, str], setting: str, name: str, value: Any) -> None:
    """Add what a name of other targets comes to, beside what is set by its own name."""
    if setting not in canonical.values():
        if setting not in OPTIONAL:
            raise ConfigError(f"it means `{setting}`, which can't be set here", key=name)
        _log.info(f"`{name}` isn't needed: it means `{setting}`, and the destination has none")
    elif value is None:  # the default, which a value beside it may change, and which changes that of a weaker source
        own.setdefault(setting, None)
    elif own.get(setting) is None:
        own[setting], said[setting] = value, name
    else:
        own[setting] = _joined(
            own[setting], value, f"it means `{setting}`, which `{said[setting]}` sets otherwise", name
        )


def _joined(stronger: Any, weaker: Any, difference: str, name: str) -> Any:
    """Two values of a setting, which must be the same, or mappings in which what both have is."""
    if isinstance(stronger, dict) and isinstance(weaker, dict):
        both = {key: _joined(stronger[key], weaker[key], difference, name) for key in weaker.keys() & stronger.keys()}
        return {**weaker, **stronger, **both}
    if str(stronger).lower() != str(weaker).lower():
        raise ConfigError(difference, key=name, hint="leave one out")
    return stronger


def _tomllib() -> Any:
    return import_module("tomllib")  # as with YAML


def _of_yaml(text: str) -> Any:
    yaml = import_module("yaml")  # most runs have no YAML to read
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        raise _UnreadableError(mark.line + 1, mark.column + 1) if mark else ValueError from None


class _UnreadableError(ValueError):
    """YAML that can't be read, by its line and column."""


def _place_in_file(error: Exception) -> str:
    """Where a file can't be read on, in no word of its own."""
    if isinstance(error, _UnreadableError):
        return "line {}, column {}".format(*error.args)
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"since byte {error.start + 1} isn't UTF-8"
    if isinstance(error, RecursionError):
        return "since it is nested too deeply"
    place = _TOML_PLACE.search(str(error)) if isinstance(error, _tomllib().TOMLDecodeError) else None
    return place[1] if place else "since it has a value in it that can't be read"


def _parsed(path: Path, text: str) -> Any:
    match path.suffix.lower():
        case ".json":
            return json.loads(text)
        case ".toml":
            return _tomllib().loads(text)
        case ".yaml" | ".yml":
            return _of_yaml(text)
        case suffix:
            raise ConfigError(f"{path} ends in {suffix!r}", key="--config", hint="use .json, .yaml, .yml or .toml")


def _expanded(value: Any, environ: Mapping[str, str], key: str) -> Any:
    if isinstance(value, dict):
        return {k: _expanded(v, environ, f"{key}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v, environ, key) for v in value]
    if not isinstance(value, str):
        return value
    whole = _VARIABLE.fullmatch(value)
    if _SECRET.search(key.rpartition(".")[2]) and (whole is None or whole["name"] is None):
        return value  # a password may have any character

    def variable(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "$"
        if name not in environ:
            raise ConfigError(
                f"the environment has no {name}",
                key=key,
                hint="set it, there or in .env, or write $$ for a dollar sign",
            )
        return environ[name]

    return _VARIABLE.sub(variable, value)


def _value(text: str) -> Any:
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _json(text: str, key: str) -> Any:
    """The value of a setting that is given as JSON text, as configs have it that can't nest."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        pass
    raise ConfigError("its text isn't JSON", key=key, hint='as in {"orders": {"method": "append"}}')


def _put(values: Values, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        level = values.setdefault(step, {})
        if not isinstance(level, dict):
            raise ConfigError("is given both a value and settings below it", key=".".join(path))
        values = level
    values[path[-1]] = value
