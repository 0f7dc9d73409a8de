"""The options that several verbs share, and what they resolve to: a destination and the settings of a run."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel

from tailrace.cli.logs import show_log
from tailrace.config import Settings
from tailrace.config.aliases import ADDRESSES, PARTS_OF_ADDRESS, defaults_of
from tailrace.config.connections import Variables, connection_of, connections_in
from tailrace.config.sources import (
    PREFIX,
    TARGET_PREFIX,
    environment_values,
    file_values,
    flag_values,
    known_variables,
    merged,
    own_names,
    split,
)
from tailrace.destination import Destination
from tailrace.destinations import NAMES, open_destination, scheme_of, settings_model
from tailrace.errors import ConfigError
from tailrace.log import get_logger

To = Annotated[
    str | None,
    typer.Option(
        "--to",
        help="The destination: a URL such as duckdb:///my.duckdb, its name, or that of a connection in tailrace.yaml.",
    ),
]
Config = Annotated[
    list[Path] | None, typer.Option("--config", help="A JSON, YAML or TOML file of settings; may be repeated.")
]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting as key=value; may be repeated.")]
Pipeline = Annotated[str | None, typer.Option("--pipeline", help="The name under which checkpoints are remembered.")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Write the end report to this JSON file.")]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option("--log-level", help="Default: info, and warning beside the live view of a terminal."),
]
LogFormat = Annotated[
    Literal["text", "json", "singer", "plain"] | None,
    typer.Option("--log-format", help="text (the default), json, singer as Meltano reads it, or plain."),
]

OF_ENVIRONMENT = Path("ENV")
"""The config that isn't a file, but the variables that runners set for a target."""

_log = get_logger("config")


@dataclass(frozen=True, slots=True)
class Setup:
    """What options, files and environment resolve to."""

    to: str = field(repr=False)
    settings: Settings
    destination: dict[str, Any] = field(repr=False)

    def open(self) -> Destination:
        """The destination, not connected yet."""
        return open_destination(self.to, self.destination)


def setup(to: str | None, config: list[Path] | None, sets: list[str] | None, **flags: Any) -> Setup:
    """The settings of a run, from a named connection, files, the environment and flags; later ones are stronger."""
    if flags.get("pipeline") == "":
        raise ConfigError("the name is empty", key="--pipeline", hint="name the pipeline, or leave the option out")
    files = [path for path in config or () if path != OF_ENVIRONMENT] or (
        [Path(os.environ["TAILRACE_CONFIG"])] if "TAILRACE_CONFIG" in os.environ else []
    )
    given = {key: value for key, value in {"to": to, **flags}.items() if value is not None}
    prefixes = [PREFIX, *([TARGET_PREFIX] if OF_ENVIRONMENT in (config or ()) else ())]
    variables = Variables()
    sources = [
        *(file_values(path, variables) for path in files),
        *(environment_values(prefix=prefix) for prefix in prefixes),
        flag_values(sets or ()),
        given,
    ]
    if "log_level" in flags:
        show_log(merged(*sources))
    addressed = [_addressed(source) for source in sources]
    destination = ""
    for source in addressed:
        destination = _more_exact(str(source.pop("to", None) or ""), destination)
    if not destination:
        raise ConfigError("no destination given", key="--to", hint="as in --to duckdb:///my.duckdb")
    is_ours = ":" in destination or scheme_of(destination) in NAMES
    connections = {} if is_ours else connections_in(files)
    connection = _addressed(connection_of(destination, connections, variables))
    destination = str(connection.pop("to", destination))
    model = _model_of(destination, connections)
    for place, prefix in enumerate(prefixes, start=len(files)):
        addressed[place] = known_variables(addressed[place], Settings, model, prefix=prefix)
    defaults = defaults_of(merged(connection, *addressed))
    if defaults:
        _log.info("a config of PipelineWise's: its target's defaults are taken where nothing else is set", **defaults)
    named = [own_names(source, Settings, model) for source in (connection, *addressed)]
    settings, own = split(merged(defaults, *named), model)
    return Setup(destination, settings, own)


def _model_of(destination: str, connections: Collection[str]) -> type[BaseModel]:
    """The settings that the destination has; an error about its name tells the connections too."""
    try:
        return settings_model(scheme_of(destination))
    except ConfigError as error:
        if connections:
            error.add_note(f"there are the connections {', '.join(sorted(connections))}")
        raise


def _addressed(source: dict[str, Any]) -> dict[str, Any]:
    """The settings with the address under `to`, since Meltano's configs have other names for it."""
    name = next((name for name in ADDRESSES if source.get(name)), None)
    unused = {*ADDRESSES, *(PARTS_OF_ADDRESS if name == "sqlalchemy_url" else ())}
    rest = {key: value for key, value in source.items() if key not in unused}
    if name is None:
        return rest
    alias = str(source[name])
    own = str(source.get("to") or alias)
    is_one_exact = own == alias or ":" not in own or ":" not in alias
    if scheme_of(own) != scheme_of(alias) or not is_one_exact:
        raise ConfigError("it and `to` name two destinations", key=name, hint="leave one out")
    return {**rest, "to": own if ":" in own else alias}


def _more_exact(stronger: str, weaker: str) -> str:
    """The stronger of two addresses; the weaker one if the stronger is only the name of the same destination."""
    is_name_of_weaker = ":" not in stronger and (not stronger or scheme_of(stronger) == scheme_of(weaker))
    return weaker if is_name_of_weaker and weaker else stronger
