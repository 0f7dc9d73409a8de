"""The destinations by name, imported when they are asked for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

from pydantic import BaseModel

from tailrace.alone import make_room_for_others
from tailrace.config.checking import checked
from tailrace.config.sources import own_names
from tailrace.destination import Destination
from tailrace.errors import ConfigError
from tailrace.installed import advice_on_extra
from tailrace.model import Traits
from tailrace.sql.url import ESCAPING

NAMES: Mapping[str, str] = {
    "bigquery": "tailrace.destinations.bigquery",
    "delta": "tailrace.destinations.delta",
    "duckdb": "tailrace.destinations.duckdb",
    "elasticsearch": "tailrace.destinations.elasticsearch",
    "files": "tailrace.destinations.files",
    "http": "tailrace.destinations.http",
    "iceberg": "tailrace.destinations.iceberg",
    "memory": "tailrace.destinations.memory",
    "mongodb": "tailrace.destinations.mongodb",
    "mysql": "tailrace.destinations.mysql",
    "opensearch": "tailrace.destinations.opensearch",
    "postgres": "tailrace.destinations.postgres",
    "redshift": "tailrace.destinations.redshift",
    "snowflake": "tailrace.destinations.snowflake",
    "sqlite": "tailrace.destinations.sqlite",
}
"""The name of each destination, which is the scheme of its addresses, and its module."""

ALIASES: Mapping[str, str] = {
    "https": "http",
    "mariadb": "mysql",
    "postgresql": "postgres",
    **dict.fromkeys(("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "file"), "files"),
}
"""Other schemes of addresses, and the destination that each means."""

EXAMPLES: Mapping[str, str] = {
    "bigquery": "as in --to bigquery://project/dataset",
    "duckdb": "as in --to duckdb:///my.duckdb",
    "mongodb": "as in --to mongodb://host/database",
    "mysql": "as in --to mysql://user:password@host/database",
    "postgres": "as in --to postgres://user:password@host/database",
    "redshift": "as in --to redshift://user:password@host/database",
    "snowflake": "as in --to snowflake://user@account/database",
    "sqlite": "as in --to sqlite:///my.db",
}
"""What to write where a part of a database's address is missing."""

ENTRY_POINTS = "tailrace.destinations"
"""The group in which other packages name their destinations' modules."""

_DATABASES = {".duckdb": "duckdb", ".ddb": "duckdb", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite"}
"""What files are by the ends of their names."""

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

    A driver, as in `mysql+pymysql://`, doesn't matter. Raises ConfigError for a path.
    """
    match = _SCHEME.match(to)
    address = None if match else _address_of(to)
    if address is not None:
        raise ConfigError("it is a path, and not an address", key="to", hint=f"write {address}")
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
    about = f"`tailrace about --to {name}` describes the settings"
    return module.build(checked(module.SETTINGS, given, about, EXAMPLES.get(name)))


def _address_of(path: str) -> str | None:
    """The address of a file or folder whose path is given; None for what isn't a path, or may have a secret in it."""
    ending = Path(path).suffix.lower()
    if set(path) & set("@?") or not ("/" in path or ending in _DATABASES):
        return None
    return f"{_DATABASES[ending]}:///{path}" if ending in _DATABASES else f"files:{path}"


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
            make_room_for_others()
            return cast("Module", others[name].load())
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"destination {name!r} needs the package {error.name!r}, which isn't installed",
            key="to",
            hint=advice_on_extra(name),
        ) from error
    known = sorted({*NAMES, *others})
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    shown = repr(name) if _NAME.fullmatch(name) else "of that name"
    raise ConfigError(f"there is no destination {shown}", key="to", hint=hint)
