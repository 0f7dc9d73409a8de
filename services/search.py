"""Search engines: servers of one's own, each one real node, and prefixes of the names of indices on them."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.processes import LIMIT_S, MissingServiceError, Server, free_port

_SERVICES = Path(__file__).resolve().parents[1] / ".work" / "services"


class SearchServer(Server):
    """A node that is a cluster by itself, which keeps its indices in its folder; nobody needs to log in.

    It takes its engine's own settings besides ours: with a small `thread_pool.write.queue_size` it refuses writes.
    """

    program: str
    """The folder of its classes, and the name of the first of them."""
    ending = signal.SIGKILL
    """What it has acknowledged is in its folder."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = (_SERVICES / self.program).resolve()
        self.version = version_of(self.program)
        if shutil.which("java") is None:
            raise MissingServiceError(f"{self.name} isn't here: there is no java")
        super().__init__(folder)
        self.url = f"http://{self.host}:{self.port}"
        self._transport = free_port()
        self._settings = settings or {}
        self._made = 0
        self.start()

    def command(self) -> list[str]:
        """See Server."""
        settings = {
            "cluster.name": "tailrace",
            "node.name": "tailrace",
            "path.home": str(self.folder),
            "network.host": self.host,
            "http.port": str(self.port),
            "transport.port": str(self._transport),
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        words = [f"{name}={value}" for name, value in {**settings, **self._settings}.items()]
        # In an order of our own: an archive of classes is for one path.
        path = ":".join(map(str, sorted((self.home / "lib").glob("*.jar"))))
        memory = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
        return ["java", *memory, self._classes(), "-cp", path, "SearchServer", *words]

    def prefix(self) -> str:
        """What the names of one's own indices begin with: nobody else's do."""
        self.revive()
        self._made += 1
        return f"tailrace-{self._made}-"

    def database(self) -> str:
        """The address of indices of one's own, as tailrace has it."""
        return f"{self.program}://{self.host}:{self.port}/{self.prefix()}"

    def drop(self, prefix: str) -> None:
        """Delete the indices and data streams whose names begin with the prefix, and tailrace's templates of these."""
        with suppress(RuntimeError):  # an engine without them
            self.ask("DELETE", f"_data_stream/{prefix}*")
        with suppress(RuntimeError):  # there is none
            self.ask("DELETE", f"_index_template/tailrace-{prefix}*")
        self.ask("DELETE", f"{prefix}*?expand_wildcards=all")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the server answers to JSON, or to lines of it; RuntimeError with what it says against it."""
        lines = body if isinstance(body, list) else [] if body is None else [body]
        sent = "".join(f"{json.dumps(line)}\n" for line in lines).encode() or None
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", sent, kind, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(error.read().decode()) from None

    def is_ready(self) -> bool:
        """See Server; it has what it had."""
        try:
            return bool(self.ask("GET", "_cluster/health")["status"] != "red")
        except (OSError, RuntimeError):
            return False

    def _classes(self) -> str:
        """The archive of the classes that it loads, as they are in memory, from which it starts in half the time.

        Where there is none, it is made when the server ends as it likes to.
        """
        archive = self.home / "classes.jsa"
        return f"-XX:{'SharedArchiveFile' if archive.exists() else 'ArchiveClassesAtExit'}={archive}"


def version_of(program: str) -> str:
    """The version of an engine; MissingServiceError where it isn't here."""
    libraries = _SERVICES / program / "lib"
    if not (libraries / "launcher.jar").exists():
        raise MissingServiceError(f"{program} isn't here: run make services")
    (jar,) = libraries.glob(f"{program}-[0-9]*.jar")
    return jar.stem.removeprefix(f"{program}-")


def archive_classes(kind: type[SearchServer]) -> None:
    """Make the archive of the classes that tests need of a server."""
    with tempfile.TemporaryDirectory(prefix=f"tailrace-{kind.program}-") as folder:
        server = kind(Path(folder))
        prefix = server.prefix()
        index = f"{prefix}index"
        properties = {"text": {"type": "keyword"}, "number": {"type": "double"}, "time": {"type": "date"}}
        server.ask("PUT", index, {"mappings": {"dynamic": "strict", "properties": properties}})
        document = {"text": "a", "number": 1.5, "time": "2026-01-01T00:00:00Z"}
        action = {"index": {"_index": index, "_id": "1", "version": 1, "version_type": "external_gte"}}
        server.ask("POST", "_bulk?refresh=true", [action, document])
        server.ask("GET", f"{index}/_search", {"query": {"term": {"text": "a"}}, "sort": ["time"]})
        server.ask("POST", f"{index}/_mget", {"ids": ["1", "2"]})
        server.ask("POST", "_aliases", {"actions": [{"add": {"index": index, "alias": f"{prefix}alias"}}]})
        server.ask("POST", f"{index}/_delete_by_query?refresh=true", {"query": {"match_all": {}}})
        server.drop(prefix)
        server.ending = signal.SIGTERM
        server.stop()
