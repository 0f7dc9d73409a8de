"""MongoDB: what stands in for it, a server of one's own, and new databases on it."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pymongo import MongoClient

from services.processes import LIMIT_S, MissingServiceError, Server

PYTHON = Path(__file__).parents[1] / ".work" / "services" / "mongodb" / "bin" / "python"
_PROGRAM = Path(__file__).with_name("secantus_mongodb.py")


def version() -> str:
    """The stand-in's version; MissingServiceError where it isn't here."""
    if not PYTHON.exists():
        raise MissingServiceError("what stands in for MongoDB isn't here: run make services")
    asking = "from importlib.metadata import version; print(version('secantusdb'))"
    words = [str(PYTHON), "-c", asking]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()


class MongoServer(Server):
    """A replica set of one server, which keeps its databases in its folder; nobody needs to log in.

    It fails where it is told to by `configureFailPoint`, a command of its database `admin`, as MongoDB's own servers.
    """

    name = "MongoDB"
    replica_set = "secantus"
    ending = signal.SIGKILL
    """It takes two seconds to end by itself, for nothing."""

    def __init__(self, folder: Path) -> None:
        self.version = version()
        super().__init__(folder)
        self._made = 0
        self.start()

    def command(self) -> list[str]:
        """See Server."""
        where = ["--host", self.host, "--port", str(self.port), "--storage-path", str(self.folder / "data")]
        # What MongoDB has acknowledged by its majority is in its journal; here it would be in memory yet, but for this.
        how = ["--sync-on-commit", "--enable-test-commands", "--log-level", "WARNING"]
        return [str(PYTHON), "-P", str(_PROGRAM), *where, *how]

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._address("")

    def database(self) -> str:
        """The address of a new, empty database."""
        self.revive()
        self._made += 1
        return self._address(f"tailrace_{self._made}")

    def drop(self, url: str) -> None:
        """Drop the database at an address."""
        with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=int(LIMIT_S * 1000)) as client:
            client.drop_database(urlsplit(url).path.removeprefix("/"))

    def is_ready(self) -> bool:
        """See Server."""
        try:
            with socket.create_connection((self.host, self.port), timeout=LIMIT_S):
                return True
        except OSError:
            return False

    def _address(self, database: str) -> str:
        return f"mongodb://{self.host}:{self.port}/{database}?replicaSet={self.replica_set}"


@contextmanager
def mongodb() -> Iterator[MongoServer]:
    """A server of one's own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tailrace-mongodb-") as folder:
        server = MongoServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()
