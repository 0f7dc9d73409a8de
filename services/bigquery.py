"""BigQuery: a server of one's own that stands in for it, and new datasets on it."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from services.processes import LIMIT_S, MissingServiceError, Server, free_port

PYTHON = Path(__file__).parents[1] / ".work" / "services" / "bigquery" / "bin" / "python"
_PROGRAM = Path(__file__).with_name("bqemulator_bigquery.py")


def version() -> str:
    """The server's version; MissingServiceError where it isn't here."""
    if not PYTHON.exists():
        raise MissingServiceError("the BigQuery server isn't here: run make services")
    asking = "from importlib.metadata import version; print(version('bqemulator'))"
    words = [str(PYTHON), "-c", asking]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()


class BigQueryServer(Server):
    """A server that has its datasets in its folder; it asks nobody who they are.

    It answers BigQuery's own requests on one port, and those for reading and writing rows as streams on another.
    """

    name = "BigQuery"
    project = "tailrace-project"

    def __init__(self, folder: Path) -> None:
        self.version = version()
        super().__init__(folder)
        self.streams_port = free_port()
        self.endpoint = f"http://{self.host}:{self.port}"
        self.streams_endpoint = f"{self.host}:{self.streams_port}"
        self._made = 0
        self._dropped: list[str] = []
        self.start()

    def command(self) -> list[str]:
        """See Server."""
        return [str(PYTHON), str(_PROGRAM), self.host, str(self.port), str(self.streams_port), str(self.folder)]

    def database(self) -> str:
        """The address of a new, empty dataset."""
        where = {"endpoint": self.endpoint, "streams_endpoint": self.streams_endpoint, "request_timeout_s": 5}
        return f"bigquery://{self.project}/{self.dataset()}?{urlencode(where)}"

    def dataset(self) -> str:
        """The name of a new, empty dataset."""
        self.revive()
        self._made += not self._dropped
        # A name that was used before: what the server has made of statements is kept by it.
        name = self._dropped.pop() if self._dropped else f"dataset_{self._made}"
        self._ask("POST", "datasets", {"datasetReference": {"projectId": self.project, "datasetId": name}})
        return name

    def drop(self, dataset: str) -> None:
        """Drop a dataset with all its tables."""
        self._ask("DELETE", f"datasets/{dataset}?deleteContents=true")
        self._dropped.append(dataset)

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        """The rows that a query gives, their values as text; RuntimeError where it fails."""
        answer = self._ask("POST", "queries", {"query": sql, "useLegacySql": False})
        if "errors" in answer:
            raise RuntimeError(f"{self.name} fails at {sql}: {answer['errors']}")
        return [tuple(value["v"] for value in row["f"]) for row in answer.get("rows", [])]

    def is_ready(self) -> bool:
        """See Server."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/readyz", timeout=LIMIT_S):
                pass
            with socket.create_connection((self.host, self.streams_port), LIMIT_S):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the server answers to a request; RuntimeError with its own words where it refuses."""
        address = f"{self.endpoint}/bigquery/v2/projects/{self.project}/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as refusal:
            with refusal:
                said = refusal.read().decode(errors="replace")
            raise RuntimeError(f"{self.name} refuses {method} {path}: {said}") from None


@contextmanager
def bigquery() -> Iterator[BigQueryServer]:
    """A server of one's own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bigquery-") as folder:
        server = BigQueryServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()
