"""The options that several verbs share, and what they come to: a destination and the settings of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tailrace.config import Settings
from tailrace.configfile import environment_values, file_values, flag_values, merged, split
from tailrace.destination import Destination
from tailrace.destinations import open_destination, scheme_of, settings_model
from tailrace.errors import ConfigError

To = Annotated[str | None, typer.Option("--to", help="The destination: a URL such as duckdb:///my.duckdb, or a name.")]
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
LogFormat = Annotated[Literal["text", "json"], typer.Option("--log-format", help="text or json.")]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the options, files and environment come to."""

    to: str
    settings: Settings
    destination: dict[str, Any]

    def open(self) -> Destination:
        """The destination, not connected yet."""
        return open_destination(self.to, self.destination)


def setup(to: str | None, config: list[Path] | None, sets: list[str] | None, **flags: Any) -> Setup:
    """The settings of a run: from files, then the environment, then flags, the later the stronger."""
    files = config or ([Path(os.environ["TAILRACE_CONFIG"])] if "TAILRACE_CONFIG" in os.environ else [])
    given = {key: value for key, value in {"to": to, **flags}.items() if value is not None}
    values = merged(*(file_values(path) for path in files), environment_values(), flag_values(sets or ()), given)
    destination = values.pop("to", None)
    if not destination:
        raise ConfigError("where to load isn't said", key="--to", hint="as in --to duckdb:///my.duckdb")
    settings, own = split(values, settings_model(scheme_of(str(destination))))
    return Setup(str(destination), settings, own)
