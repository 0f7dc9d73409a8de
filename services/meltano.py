"""Meltano: a project of one's own in a folder, with a tap for PostgreSQL from PyPI and our target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from services.processes import MissingServiceError

ROOT = Path(__file__).parents[1]
MELTANO = ROOT / ".work/services/meltano/bin/meltano"
TAP = ROOT / ".work/services/tap-postgres/bin/tap-postgres"
TARGET = Path(sys.executable).with_name("target-tailrace")

_QUIET = {
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "MELTANO_HUB_URL": "http://127.0.0.1:9",  # nothing answers there: plugins are defined in the project
    "MELTANO_CLI_LOG_LEVEL": "info",
    "NO_COLOR": "1",
}


class MeltanoProject:
    """A project that loads tables of a PostgreSQL database by our target; MissingServiceError where Meltano isn't."""

    def __init__(self, folder: Path, source: str, to: str, metadata: Mapping[str, object]) -> None:
        for program in (MELTANO, TAP):
            if not program.exists():
                raise MissingServiceError(f"{program.name} isn't here: run make services")
        self._folder = folder
        parts = urlsplit(source)
        login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "database": parts.path[1:]}
        tap = {
            "name": "tap-postgres",
            "namespace": "tap_postgres",
            "executable": str(TAP),
            "capabilities": ["catalog", "discover", "state"],
            "settings": [{"name": name} for name in login] + [{"name": "password", "sensitive": True}],
            "config": login,
            "select": [f"{stream}.*" for stream in metadata],
            "metadata": dict(metadata),
        }
        target = {
            "name": "target-tailrace",
            "namespace": "target_tailrace",
            "executable": str(TARGET),
            "settings": [{"name": "to"}],
            "config": {"to": to},
        }
        project = {
            "version": 1,
            "project_id": "tailrace",
            "send_anonymous_usage_stats": False,
            "default_environment": "test",
            "environments": [{"name": "test"}],
            "plugins": {"extractors": [tap], "loaders": [target]},
        }
        # JSON is YAML.
        (folder / "meltano.yml").write_text(json.dumps(project, indent=2), encoding="utf-8")
        self._environment = {**os.environ, **_QUIET, "TAP_POSTGRES_PASSWORD": parts.password or ""}

    def meltano(self, *words: str) -> str:
        """What a command of Meltano's has to say on stdout; a RuntimeError with its stderr when it fails."""
        done = subprocess.run(
            [MELTANO, *words], cwd=self._folder, env=self._environment, capture_output=True, check=False, text=True
        )
        if done.returncode:
            raise RuntimeError(f"meltano {' '.join(words)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout
