"""The destinations by name, imported when they are asked for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Protocol, cast

from pydantic import BaseModel, ValidationError

from tailrace.config.sources import own_names
from tailrace.destination import Destination
from tailrace.errors import ConfigError
from tailrace.model import Traits
from tailrace.sql.url import ESCAPING

NAMES: Mapping[str, str] = {
    "bigquery": "tailrace.destinations.bigquery",
    "delta": "tailrace.destinations.delta",
    "duckdb": "tailrace.destinations.duckdb",
    "files": "tailrace.destinations.files",
    "iceberg": "tailrace.destinations.iceberg",
    "memory": "tailrace.destinations.memory",
    "mongodb": "tailrace.destinations.mongodb",
    "mysql": "tailrace.destinations.mysql",
    "postgres": "tailrace.destinations.postgres",
    "redshift": "tailrace.destinations.redshift",
    "snowflake": "tailrace.destinations.snowflake",
    "sqlite": "tailrace.destinations.sqlite",
}
"""The name of each destination, which is the scheme of its addresses, and its module."""

ALIASES: Mapping[str, str] = {
    "mariadb": "mysql",
    "postgresql": "postgres",
    **dict.fromkeys(("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "file"), "files"),
}
"""Other schemes of addresses, and the destination that each means."""

ENTRY_POINTS = "tailrace.destinations"
"""The group in which other packages name their destinations' modules."""

_NAME = re.compile(r"[\w.-]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


class Module(Protocol):
    """What a destination's module has."""

    SETTINGS: type[BaseModel]
    TRAITS: Traits

    def build(self, settings: BaseModel) -> Destination:
        """The destination of these settings; nothing is connected yet."""

    def from_url(self, url: str) -> dict[str, object]:
        """The settings that an address holds."""


def scheme_of(to: str) -> str:
    """The destination's name in an address or a bare name: `duckdb` of `duckdb:///my.duckdb` and of `duckdb`.

    A driver, as in `mysql+pymysql://`, doesn't matter.
    """
    match = _SCHEME.match(to)
    name = (match[1] if match else to).lower().partition("+")[0]
    return ALIASES.get(name, name)


def open_destination(to: str, settings: Mapping[str, object]) -> Destination:
    """The destination at an address, or of a bare name with settings; settings win. Nothing is connected yet.

    A bare name may say more than which destination it is: `gs` is files on Google's store.
    """
    name = scheme_of(to)
    module = _module(name)
    address = to if _SCHEME.match(to) or to == name else f"{to}:"
    try:
        told = {} if address == name else module.from_url(address)
    except ValueError:
        raise ConfigError("the address can't be read", key="to", hint=ESCAPING) from None
    given = own_names(told, module.SETTINGS) | own_names(settings, module.SETTINGS)
    try:
        checked = module.SETTINGS.model_validate(given)
    except ValidationError as error:
        wrong = _wrong(error, f"settings of {name} are {', '.join(module.SETTINGS.model_fields)}")
    else:
        return module.build(checked)
    raise wrong  # without its cause, in which the values are


def _wrong(error: ValidationError, hint: str) -> ConfigError:
    """The error that names the first setting that is wrong; what isn't a name may be a part of a password."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = first["loc"]
    key = ".".join(map(str, place)) or "to"
    is_known = len(place) > 1 or _NAME.fullmatch(key)  # what stands within a setting is within one that there is
    return ConfigError(first["msg"], key=key if is_known else "to", hint=hint)


def settings_model(name: str) -> type[BaseModel]:
    """The settings that the destination of that name has, each described."""
    return _module(name).SETTINGS


def traits_of(name: str) -> Traits:
    """What the destination of that name is like."""
    return _module(name).TRAITS


def _module(name: str) -> Module:
    try:
        if name in NAMES:
            return cast("Module", import_module(NAMES[name]))
        # These are looked for in all packages that are installed, which takes longer than many a load.
        others = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
        if name in others:
            return cast("Module", others[name].load())
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"destination {name!r} needs the package {error.name!r}, which isn't installed",
            key="to",
            hint=f"pip install 'tailrace[{name}]'",
        ) from error
    known = sorted({*NAMES, *others})
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    shown = repr(name) if _NAME.fullmatch(name) else "of that name"
    raise ConfigError(f"there is no destination {shown}", key="to", hint=hint)
