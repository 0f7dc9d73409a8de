"""MariaDB: a server of one's own, and new databases on it."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.certificates import made_certificate
from services.mysql_root import run_as_root
from services.processes import MissingServiceError, Server, give, owner_of_servers

USER = "mysql"
"""The system's user that the server runs as, when we are root."""

_SERVER = "/usr/sbin/mariadbd"


class MariaDBServer(Server):
    """A server in a folder; its user `tailrace`, with a password, may do everything."""

    name = "MariaDB"
    system_user = USER
    user = "tailrace"

    def __init__(self, folder: Path, *, local_infile: bool, tls: bool) -> None:
        self.version = version()
        super().__init__(folder)
        self.password = secrets.token_urlsafe(12)
        self._settings = [f"--local-infile={int(local_infile)}"]
        self._data = self.folder / "data"
        self._made = 0
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={self._data}",
            "--skip-test-db",
            f"--tmpdir={self.folder}",
        ]
        before = ["setpriv", *owner_of_servers(USER)] if owner_of_servers(USER) else []
        subprocess.run([*before, *install, "--auth-root-authentication-method=normal"], capture_output=True, check=True)
        if tls:
            self.certificate = made_certificate(folder)
            give(self.certificate.key, USER)
            own = self.certificate.certificate  # which also says whose clients' certificates are good
            files = {"cert": own, "key": self.certificate.key, "ca": own}
            self._settings += [f"--ssl-{name}={path}" for name, path in files.items()]
        self.start()
        grant = f"GRANT ALL ON *.* TO '{self.user}'@'%' IDENTIFIED BY '{self.password}' WITH GRANT OPTION"
        self._sql(grant)

    def command(self) -> list[str]:
        """See Server."""
        return [
            _SERVER,
            "--no-defaults",
            f"--datadir={self._data}",
            f"--port={self.port}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--tmpdir={self.folder}",  # a server that starts removes what others have in a folder that they share
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=128M",
            # What a killed process wrote stays; only a machine that dies loses it.
            "--innodb-flush-method=nosync",
            *self._settings,
        ]

    def is_ready(self) -> bool:
        """See Server."""
        command = ["mariadb-admin", "--no-defaults", f"--socket={self.folder / 'socket'}", "-uroot", "ping"]
        done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
        return done.returncode == 0

    def database(self) -> str:
        """The address of a new, empty database."""
        self._made += 1
        name = f"d{self._made}_{secrets.token_hex(4)}"
        self._sql(f"CREATE DATABASE {name}")
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Drop the database."""
        self._sql(f"DROP DATABASE {url.rpartition('/')[2]}")

    def _sql(self, *statements: str) -> None:
        self.revive()
        run_as_root(self.folder / "socket", *statements)


def version() -> str:
    """The server's version, such as 10.11.19; MissingServiceError where it isn't here."""
    if not Path(_SERVER).exists():
        raise MissingServiceError("MariaDB isn't here: install the Debian package mariadb-server (make services)")
    said = subprocess.run([_SERVER, "--version"], capture_output=True, check=True, text=True)
    return said.stdout.partition(" Ver ")[2].split("-")[0].strip()


@contextmanager
def mariadb(*, local_infile: bool = True, tls: bool = False) -> Iterator[MariaDBServer]:
    """A server of one's own, gone at the end; `tls` lets clients encrypt."""
    with tempfile.TemporaryDirectory(prefix="tailrace-mariadb-") as folder:
        server = MariaDBServer(Path(folder), local_infile=local_infile, tls=tls)
        try:
            yield server
        finally:
            server.stop()
