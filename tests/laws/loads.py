"""Places that a message stream is loaded into, one for each example of a law, read with nothing but their drivers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from message_streams import Case
from places import database, file
from plain_model import Row, comparable
from pyiceberg.catalog import load_catalog

from tailrace import load
from tailrace.destinations.memory import MemoryDestination
from tailrace.runtime.report import Report

NAMESPACE = "default"


@dataclass
class Place:
    """Where a case is loaded, what was told on the way, and what the tables held whenever a state was told.

    `server` is the server of a kind that has one.
    """

    kind: str
    folder: Path
    server: Any = None
    address: str = ""
    told: list[Any] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)

    def load(
        self, case: Case, lines: Iterable[str], *, look: Callable[[], object] | None = None, **more: object
    ) -> Report:
        """The report of a run over the lines; what `look` gives when a state is told is kept."""

        def tell(state: bytes) -> None:
            self.told.append(json.loads(state))
            if look:
                self.seen.append(look())

        # The folder's name is the place in memory, which lasts as long as the process.
        return load(lines, self.url, tell=tell, quarantine=self.folder / "quarantine", **{**case.settings, **more})

    @property
    def url(self) -> str:
        """The address that is loaded into."""
        match self.kind:
            case "memory":
                return f"memory://{self.folder.name}"
            case "delta":
                return f"delta://{self.folder / 'lake'}"
            case "iceberg":
                return f"iceberg+sqlite:///{self.folder / 'catalog'}?warehouse={self.folder / 'lake'}"
            case "duckdb" | "sqlite":
                return file(self.kind, self.folder / "db").url
        return self.address

    def rows(self, table: str) -> list[Row]:
        """The visible rows of a table, read with the driver."""
        match self.kind:
            case "memory":
                return MemoryDestination(self.folder.name).tables().get(table, [])
            case "delta":
                path = str(self.folder / "lake" / table)
                return DeltaTable(path).to_pyarrow_table().to_pylist() if DeltaTable.is_deltatable(path) else []
            case "iceberg":
                return self._of_catalog(table)
            case "duckdb" | "sqlite":
                return file(self.kind, self.folder / "db").subject.rows(table)
        return database(self.server, self.address).subject.rows(table)

    def tables(self, case: Case, columns: dict[str, Sequence[str]]) -> dict[str, list[Row]]:
        """The visible rows of the case's selected streams, in those columns."""
        names = [plan.name for plan in case.plans if plan.is_selected]
        return {name: comparable(self.rows(name), columns[name]) for name in names}

    def set_aside(self) -> list[tuple[int, str]]:
        """The line and the text of each record in the quarantine that a checkpoint covers: others come again."""
        if not (self.folder / "quarantine").exists():
            return []
        entries = [*map(json.loads, (self.folder / "quarantine").read_text().splitlines())]
        until = {entry["run"]: entry["until_line"] for entry in entries if "checkpoint" in entry}
        until |= {
            entry["void"]: min(until.get(entry["void"], 0), entry["beyond_line"])
            for entry in entries
            if "void" in entry
        }
        records = [entry for entry in entries if "record" in entry]
        return sorted(
            (entry["line"], entry["record"]) for entry in records if entry["line"] <= until.get(entry["run"], 0)
        )

    def _of_catalog(self, table: str) -> list[Row]:
        uri = {"type": "sql", "uri": f"sqlite:///{self.folder / 'catalog'}", "warehouse": str(self.folder / "lake")}
        with closing(load_catalog("default", **uri)) as catalog:
            name = (NAMESPACE, table)
            return catalog.load_table(name).scan().to_arrow().to_pylist() if catalog.table_exists(name) else []


@contextmanager
def a_place(kind: str, server: Any = None) -> Iterator[Place]:
    """A place that is gone behind the block."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(kind, Path(folder), server, server.database() if server else "")
        try:
            yield place
        finally:
            if server:
                server.drop(place.address)
