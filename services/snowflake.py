"""What stands in for Snowflake: a server of one's own, and new databases on it."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from services.processes import LIMIT_S, MissingServiceError, Server

PYTHON = Path(__file__).parents[1] / ".work" / "services" / "snowflake" / "bin" / "python"
_PROGRAM = Path(__file__).with_name("fakesnow_snowflake.py")


def version() -> str:
    """The stand-in's version; MissingServiceError where it isn't here."""
    if not PYTHON.exists():
        raise MissingServiceError("what stands in for Snowflake isn't here: run make services")
    asking = "from importlib.metadata import version; print(version('fakesnow'))"
    words = [str(PYTHON), "-c", asking]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()


class SnowflakeServer(Server):
    """A server that keeps its databases and stages in its folder; any name and password open it."""

    name = "Snowflake"
    account = "tailrace"
    user = "tailrace"
    password = "tailrace/secret+'key"
    retries_s = 5
    """How long clients try again what isn't answered: else for minutes."""

    def __init__(self, folder: Path) -> None:
        self.version = version()
        super().__init__(folder)
        self._made = 0
        self._dropped: list[str] = []
        self.start()

    def command(self) -> list[str]:
        """See Server."""
        # -P, or this file would be what that program imports as `snowflake`
        return [str(PYTHON), "-P", str(_PROGRAM), self.host, str(self.port)]

    @property
    def login(self) -> dict[str, Any]:
        """What `snowflake.connector.connect` needs to know of the server."""
        return {
            "account": self.account,
            "user": self.user,
            "password": self.password,
            "host": self.host,
            "port": self.port,
            "protocol": "http",
            "login_timeout": self.retries_s,
            "network_timeout": self.retries_s,
            "platform_detection_timeout_seconds": 0.0,
            "session_parameters": {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
        }

    def database(self) -> str:
        """The address of a new database, which has the empty schema PUBLIC."""
        self.revive()
        self._made += not self._dropped
        # A name that was used before: what the server has made of statements is kept by it.
        name = self._dropped.pop() if self._dropped else f"TAILRACE_{self._made}"
        self.run(f"CREATE DATABASE {name}", f"CREATE SCHEMA {name}.PUBLIC")
        options = {"host": self.host, "port": self.port, "protocol": "http", "network_timeout_s": self.retries_s}
        who = f"{self.user}:{quote(self.password, safe='')}@{self.account}"
        return f"snowflake://{who}/{name}/PUBLIC?{urlencode(options)}"

    def drop(self, url: str) -> None:
        """Drop the database, whoever uses it."""
        self.revive()
        name = urlsplit(url).path.split("/")[1]
        if self._own(f"drop?database={name}")["dropped"]:
            self._dropped.append(name)

    def end_sessions(self) -> int:
        """Close the sessions of clients, which may be gone, as Snowflake does after minutes; how many are left."""
        return int(self._own("end-sessions"))

    def history(self) -> list[tuple[str, str]]:
        """The last statements of clients, each with its QUERY_TAG."""
        return [(sql, tag) for sql, tag in self._own("history")]

    def run(self, *statements: str) -> None:
        """Run statements as the driver would; RuntimeError with what the server says against one."""
        token = self._post("session/v1/login-request", {"data": {"SESSION_PARAMETERS": {}}}, "")["token"]
        try:
            for statement in statements:
                self._post("queries/v1/query-request", {"sqlText": statement}, token)
        finally:
            self._post("session?delete=true", {}, token)

    def is_ready(self) -> bool:
        """See Server."""
        try:
            with socket.create_connection((self.host, self.port), timeout=LIMIT_S):
                return True
        except OSError:
            return False

    def _own(self, path: str) -> Any:
        """What the server answers that Snowflake isn't asked."""
        request = urllib.request.Request(f"http://{self.host}:{self.port}/{path}", b"")
        with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
            return json.load(response)

    def _post(self, path: str, body: dict[str, Any], token: str) -> Any:
        request = urllib.request.Request(
            f"http://{self.host}:{self.port}/{path}",
            json.dumps(body).encode(),
            {"Authorization": f'Snowflake Token="{token}"'},
        )
        with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
            answer = json.load(response)
        if not answer["success"]:
            raise RuntimeError(answer["message"])
        return answer["data"]


@contextmanager
def snowflake() -> Iterator[SnowflakeServer]:
    """A server of one's own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tailrace-snowflake-") as folder:
        server = SnowflakeServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()
