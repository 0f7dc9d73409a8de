"""MySQL itself, newer than Debian's release has it: a server of one's own, and new databases on it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.certificates import made_certificate
from services.debian import Programs, had
from services.mysql_root import run_as_root
from services.processes import Server

PROGRAMS = Programs(
    "mysql",
    ("mysql-server-core", "mysql-client-core"),
    folders=("usr/sbin", "usr/bin"),
    libraries=("usr/lib/mysql/private",),
)


class MySQLServer(Server):
    """A server in a folder, set as it is shipped but for `local_infile`; its user `tailrace` may do everything.

    It encrypts with a certificate that it has made by itself, or with `tls` with one that names its address.
    """

    name = "MySQL"
    user = "tailrace"

    def __init__(self, folder: Path, *, local_infile: bool, tls: bool) -> None:
        self.version = version()
        super().__init__(folder)
        self.password = secrets.token_urlsafe(12)
        self._settings = [f"--local-infile={int(local_infile)}"]
        self._made = 0
        subprocess.run([*self._program(), "--initialize-insecure"], capture_output=True, check=True)
        if tls:
            self.certificate = made_certificate(folder)
            files = {"cert": self.certificate.certificate, "key": self.certificate.key}
            self._settings += [f"--ssl-{name}={path}" for name, path in files.items()]
        self.start()
        self._sql(
            f"CREATE USER '{self.user}'@'%' IDENTIFIED BY '{self.password}'",
            f"GRANT ALL ON *.* TO '{self.user}'@'%' WITH GRANT OPTION",
        )

    def command(self) -> list[str]:
        """See Server."""
        return [
            *self._program(),
            f"--port={self.port}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            "--bind-address=127.0.0.1",
            "--mysqlx=OFF",  # it would listen on a second port, the same for all servers
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=128M",
            # What a killed process wrote stays; only a machine that dies loses it.
            "--innodb-flush-method=nosync",
            "--sync-binlog=0",
            *self._settings,
        ]

    def is_ready(self) -> bool:
        """See Server."""
        command = [str(PROGRAMS.path("mysqladmin")), "--no-defaults", f"--socket={self.folder / 'socket'}", "-uroot"]
        return subprocess.run([*command, "ping"], capture_output=True, check=False).returncode == 0

    def database(self) -> str:
        """The address of a new, empty database."""
        self._made += 1
        name = f"d{self._made}_{secrets.token_hex(4)}"
        self._sql(f"CREATE DATABASE {name}")
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Drop the database."""
        self._sql(f"DROP DATABASE {url.rpartition('/')[2]}")

    def _program(self) -> list[str]:
        """The server, with the folders that it would look for where it is installed."""
        usr = PROGRAMS.root / "usr"
        return [
            str(PROGRAMS.path("mysqld")),
            "--no-defaults",
            f"--basedir={usr}",
            f"--plugin-dir={usr}/lib/mysql/plugin",
            f"--lc-messages-dir={usr}/share/mysql",
            f"--character-sets-dir={usr}/share/mysql/charsets",
            "--secure-file-priv=",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",  # a server that starts removes what others have in a folder that they share
            *(["--user=root"] if os.geteuid() == 0 else ()),
        ]

    def _sql(self, *statements: str) -> None:
        self.revive()
        run_as_root(self.folder / "socket", *statements)


@contextmanager
def mysql(*, local_infile: bool = True, tls: bool = False) -> Iterator[MySQLServer]:
    """A server of one's own, gone at the end; `tls` gives it a certificate that clients can verify."""
    with tempfile.TemporaryDirectory(prefix="tailrace-mysql-") as folder:
        server = MySQLServer(Path(folder), local_infile=local_infile, tls=tls)
        try:
            yield server
        finally:
            server.stop()


def version() -> str:
    """The server's version, such as 9.7.4; MissingServiceError where it can't be had."""
    said = subprocess.run([str(PROGRAMS.path("mysqld")), "--version"], capture_output=True, check=True, text=True)
    return said.stdout.partition(" Ver ")[2].split()[0].partition("-")[0]


if __name__ == "__main__" and had(PROGRAMS, newest="--newest" in sys.argv):
    print(f"MySQL {version()} is here")
