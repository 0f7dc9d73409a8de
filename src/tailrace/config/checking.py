"""Settings held against their models: what is wrong is told by its whole path and in our own words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tailrace.errors import ConfigError

_NAME = re.compile(r"[\w.*?\[\]-]+")
_QUOTED = re.compile(r"'([^']*)'")
_REASONS = {
    "missing": "it isn't set",
    "int_from_float": "it must be a whole number",
    "greater_than": "it must be greater than {gt:g}",
    "greater_than_equal": "it must be at least {ge:g}",
    "less_than": "it must be less than {lt:g}",
    "less_than_equal": "it must be at most {le:g}",
    "string_pattern_mismatch": "it has characters in it that it can't have",
    "too_short": "it must have at least {min_length} items",
    "too_long": "it must have at most {max_length} items",
    "finite_number": "it must be a number, and neither NaN nor infinite",
    "path_type": "it must be a path",
    "model_type": "it must be settings by name",
}
"""By pydantic's type of an error."""

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "list": "a list",
    "dict": "settings by name",
}
"""What a value must be, by the beginning of pydantic's type of an error."""

_NOT_HERE = {
    "batch_config": "it is a tap's; name the folders of its files in batch_roots",
}
"""What to do about names that other targets know and none of our settings is near."""


def checked(
    model: type[Any],
    values: Mapping[str, Any],
    hint: str = "`tailrace about` describes the settings",
    missing: str | None = None,
) -> Any:
    """The settings model made from values; ConfigError names the first setting that is wrong, and never its value.

    `hint` is what to do about it, and `missing` what to do about one that isn't set.
    """
    given = dict(values)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = _wrong(error, model, given, hint, missing or hint)
    raise wrong  # without its cause, in which the values are


def unknown_setting(path: Sequence[str], known: Iterable[str], hint: str | None = None) -> ConfigError:
    """The error of a setting that isn't known, by its whole path, with the nearest of those that are known there."""
    name = path[-1]
    nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    near = f"did you mean {nearest[0]}?" if nearest else "`tailrace about` lists the settings"
    return ConfigError("there is no such setting", key=_shown(path), hint=hint or _NOT_HERE.get(name, near))


def names_of(model: type[BaseModel]) -> set[str]:
    """Every name that a settings model takes, aliases included."""
    return {name for names in spellings(model).values() for name in names}


def spellings(model: type[BaseModel]) -> dict[str, list[str]]:
    """The names that a settings model takes for each setting, its own name first."""
    names: dict[str, list[str]] = {}
    for field, info in model.model_fields.items():
        alias = info.validation_alias
        choices = [str(choice) for choice in (alias.choices if isinstance(alias, AliasChoices) else [alias or field])]
        names[choices[0]] = list(dict.fromkeys([*choices, field]))
    return names


def _wrong(
    error: ValidationError, model: type[BaseModel], values: Mapping[str, Any], hint: str, missing: str
) -> ConfigError:
    """The error of the first setting that is wrong; of what it may be, what its value comes nearest to."""
    found = error.errors(include_url=False, include_input=False)
    placed = [(_path(each, values), each) for each in found if each["loc"][:1] == found[0]["loc"][:1]]
    path, first = max(placed, key=lambda each: len(each[0]))
    if first["type"] == "extra_forbidden":
        is_of_the_run = len(path) > 1 and path[-1] in names_of(model)
        outer = f"it is set for all streams, outside of `{path[0]}`" if is_of_the_run else None
        return unknown_setting(path, names_of(_model_at(model, path[:-1])), outer)
    reasons = dict.fromkeys(_reason(each) for place, each in placed if place == path)
    return ConfigError(
        " or ".join(reasons).replace(" or it must be ", " or "),
        key=_shown(path),
        hint=_nearest(first, _at(path, values)) or (missing if first["type"] == "missing" else hint),
    )


def _shown(path: Sequence[str]) -> str:
    """The path of a setting; what isn't a name may be a part of a password."""
    return ".".join(path) if len(path) > 1 or (path and _NAME.fullmatch(path[0])) else "a setting"


def _reason(error: ErrorDetails) -> str:
    """What is wrong with a setting, in none of pydantic's words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in {"literal_error", "enum"}:
        *others, last = _choices(error)
        return f"it must be {', '.join(others)} or {last}" if others else f"it must be {last}"
    if kind in _REASONS:
        return _REASONS[kind].format(**context)
    what = _KINDS.get(kind.partition("_")[0])
    return f"it must be {what}" if what else "it can't have that value"


def _choices(error: ErrorDetails) -> list[str]:
    return _QUOTED.findall(str(error.get("ctx", {}).get("expected", "")))


def _nearest(error: ErrorDetails, value: object) -> str | None:
    """The choice that was meant, if the value is near to one: then it isn't a secret."""
    near = difflib.get_close_matches(value, _choices(error), n=1) if isinstance(value, str) else []
    return f"did you mean {near[0]}?" if near else None


def _path(error: ErrorDetails, values: Mapping[str, Any]) -> list[str]:
    """The steps to a setting, without those by which pydantic tells apart what a value may be."""
    path: list[str] = []
    at: Any = values
    for step in error["loc"]:
        if isinstance(at, Mapping) and step in at:
            at = at[step]
        elif isinstance(at, list | tuple) and isinstance(step, int):
            at = at[int(step)]
        elif path and error["type"] != "missing":
            continue
        path.append(str(step))
    return path


def _at(path: Sequence[str], values: Any) -> Any:
    """What stands there, where there are names alone on the way."""
    for step in path:
        values = values.get(step) if isinstance(values, Mapping) else None
    return values


def _model_at(model: type[BaseModel], path: Iterable[str]) -> type[BaseModel]:
    """The model of the settings there; a step that no setting has is a name in a mapping."""
    for step in path:
        field = next((info for name, info in model.model_fields.items() if step in {name, info.alias}), None)
        within = list(_models_in(field.annotation)) if field else []
        model = within[0] if within else model
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
