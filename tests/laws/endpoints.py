"""A REST endpoint that runs are killed over; its checkpoints are files, which are read without tailrace."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from places import Place
from services.rest import Rest

from tailrace.checkpoint_files import CheckpointFiles
from tailrace.destinations import open_destination
from tailrace.destinations.http.client import Client
from tailrace.destinations.http.outbox import Outbox
from tailrace.testing import Seam, Subject
from tailrace.testing.replay import PEOPLE

SEAMS = (Seam(Client, ("send",)), Seam(Outbox, ("seal", "clear")), Seam(CheckpointFiles, ("_write",)))
"""What changes something at the endpoint, or in the folder of checkpoints."""


class KeysOfPeople(dict[str, tuple[str, ...]]):
    """Streams of people have a key, whatever comes before that word in their names."""

    def get(self, table: str, default: Any = None) -> Any:
        """The key of a table."""
        return ("id",) if table.endswith(PEOPLE) else default


def endpoint(server: Rest, folder: Path, **more: object) -> Place:
    """The endpoint as a place, with its checkpoints in a folder."""
    server.keys = KeysOfPeople()
    checkpoints = folder / "checkpoints"
    settings: Mapping[str, object] = {"url": f"{server.url}/{{table}}", "checkpoints": str(checkpoints), **more}

    def rows(table: str, schema: str | None = None) -> list[dict[str, Any]]:
        assert schema is None
        return server.rows(table)

    def remembered(pipeline: str) -> list[str | None]:
        """The state that is kept, and that of the checkpoint in the outbox: a table may be at either."""
        found = [json.loads(path.read_bytes()) for path in checkpoints.glob("*.json")]
        found += [json.loads(path.read_bytes()) for path in checkpoints.glob("*/entry.json")]
        return [each.get("state") for each in found if each["pipeline"] == pipeline]

    def leftovers(tables: Collection[str]) -> list[str]:
        return [*(server.tables.keys() - {*tables}), *map(str, checkpoints.glob("*.outbox"))]

    subject = Subject(
        open=lambda: open_destination("http", settings),
        rows=rows,
        seams=SEAMS,
        remembered=remembered,
        leftovers=leftovers,
    )
    return Place(server.url, subject)
