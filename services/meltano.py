"""Meltano: a project of one's own in a folder, with taps from PyPI and our target by its definition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from services.processes import MissingServiceError

ROOT = Path(__file__).parents[1]
MELTANO = ROOT / ".work/services/meltano/bin/meltano"
TAP = ROOT / ".work/services/tap-postgres/bin/tap-postgres"
FILES = ROOT / ".work/tap/bin/tap-csv-folder"
TARGET = Path(sys.executable).with_name("target-tailrace")
DEFINITION = ROOT / "plugins/loaders/target-tailrace.yml"

_QUIET = {
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "MELTANO_HUB_URL": "http://127.0.0.1:9",  # nothing answers there: plugins are defined in the project
    "MELTANO_CLI_LOG_LEVEL": "info",
    "MELTANO_CLI_LOG_FORMAT": "json",
    "NO_COLOR": "1",
}


class MeltanoProject:
    """A project whose loaders inherit from `target-tailrace`; MissingServiceError where Meltano or a tap isn't.

    States are files in its folder `states`, and `log` is what the last command wrote to stderr.
    """

    def __init__(self, folder: Path) -> None:
        for program in (MELTANO, TAP, FILES):
            if not program.exists():
                raise MissingServiceError(f"{program.name} isn't here: run make services tap")
        self._folder = folder
        self._file = folder / "meltano.yml"
        self.environment = {**os.environ, **_QUIET}
        self.log = ""
        self._write(
            {
                "project_id": "tailrace",
                "send_anonymous_usage_stats": False,
                "default_environment": "test",
                "environments": [{"name": "test"}],
                "state_backend": {"uri": (folder / "states").as_uri()},
                "plugins": {"extractors": [], "loaders": []},
            }
        )
        self.meltano("add", "target-tailrace", "--no-install", "--from-ref", str(DEFINITION))
        project = self._read()
        project["plugins"]["loaders"][0]["executable"] = str(TARGET)
        self._write(project)

    def read_postgres(self, name: str, source: str, metadata: Mapping[str, object], **config: object) -> None:
        """Have a tap that reads tables of a PostgreSQL database: the streams that have metadata."""
        parts = urlsplit(source)
        login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "database": parts.path[1:]}
        settings = [{"name": setting} for setting in (*login, *config)] + [{"name": "password", "sensitive": True}]
        selected = {"select": [f"{stream}.*" for stream in metadata], "metadata": dict(metadata)}
        definition = {"capabilities": ["catalog", "discover", "state"], "settings": settings}
        self._read_by(name, TAP, {**definition, "config": {**login, **config}, **selected})
        self.environment[f"{name.upper().replace('-', '_')}_PASSWORD"] = parts.password or ""

    def read_files(self, name: str, folder: Path) -> None:
        """Have a tap that reads a folder of CSV files."""
        config = {"filesystem": "local", "path": str(folder), "read_mode": "one_stream_per_file"}
        # It can't take the catalog that it gives.
        definition = {"capabilities": ["state"], "settings": [{"name": setting} for setting in config]}
        self._read_by(name, FILES, {**definition, "config": config})

    def load_into(self, name: str, config: Mapping[str, object]) -> None:
        """Have a loader with that config."""
        project = self._read()
        project["plugins"]["loaders"].append({"name": name, "inherit_from": "target-tailrace", "config": dict(config)})
        self._write(project)

    def meltano(self, *words: str) -> str:
        """What a command of Meltano's has to say on stdout; a RuntimeError with its stderr when it fails."""
        done = subprocess.run(
            [MELTANO, *words], cwd=self._folder, env=self.environment, capture_output=True, check=False, text=True
        )
        self.log = done.stderr
        if done.returncode:
            raise RuntimeError(f"meltano {' '.join(words)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def states(self) -> dict[str, Any]:
        """The states that Meltano keeps, as taps get them, by the names of their runs without the environment's."""
        found = sorted((self._folder / "states").rglob("state.json"))
        kept = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in found}
        return {name.partition(":")[2]: state["completed"]["singer_state"] for name, state in kept.items()}

    def _read_by(self, name: str, program: Path, definition: Mapping[str, object]) -> None:
        project = self._read()
        start = {"name": name, "namespace": name.replace("-", "_"), "executable": str(program)}
        project["plugins"].setdefault("extractors", []).append({**start, **definition})
        self._write(project)

    def _read(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self._file.read_text(encoding="utf-8")))

    def _write(self, project: Mapping[str, object]) -> None:
        self._file.write_text(yaml.safe_dump(dict(project), sort_keys=False), encoding="utf-8")
