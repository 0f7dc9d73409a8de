"""PostgreSQL: a server of one's own, and new databases on it."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from services.certificates import made_certificate
from services.debian import Programs, had
from services.processes import MissingServiceError, Server, give, owner_of_servers

USER = "postgres"
"""The system's user that the server runs as, when we are root."""

NEWEST = Programs("postgres", ("postgresql",), folders=("usr/lib/postgresql/*/bin",))
"""The programs of PostgreSQL's newest release."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # what a killed process wrote stays; only a machine that dies loses it
    "shared_buffers": "64MB",
    "max_connections": "80",
    "max_wal_size": "512MB",
    "wal_level": "logical",  # for taps that read the log
}


class PostgresServer(Server):
    """A server in a folder; its superuser is `tailrace`, with a password."""

    name = "PostgreSQL"
    system_user = USER
    death_signal = "QUIT"
    ending = signal.SIGINT  # without waiting for sessions
    user = "tailrace"

    def __init__(self, folder: Path, program: Callable[[str], str], auth: str, *, tls: bool) -> None:
        self._program = program
        self.version = version(program)
        super().__init__(folder)
        self.password = secrets.token_urlsafe(12)
        self._data = self.folder / "data"
        self._made = 0
        password = folder / "password"
        password.write_text(self.password, encoding="utf-8")
        give(password, USER)
        options = [f"--auth={auth}", f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8"]
        _run([self._program("initdb"), "-D", str(self._data), "-U", self.user, *options])
        self._settings = dict(_SETTINGS)
        if tls:
            self.certificate = made_certificate(folder)
            give(self.certificate.key, USER)
            files = {"ssl_cert_file": self.certificate.certificate, "ssl_key_file": self.certificate.key}
            self._settings |= {"ssl": "on", **{name: str(path) for name, path in files.items()}}
        self.start()

    def command(self) -> list[str]:
        """See Server."""
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        where = ["-D", str(self._data), "-p", str(self.port), "-k", str(self.folder)]
        return [self._program("postgres"), *where, *settings]

    def is_ready(self) -> bool:
        """See Server."""
        ready = [self._program("pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def database(self) -> str:
        """The address of a new, empty database."""
        self._made += 1
        name = f"d{self._made}_{secrets.token_hex(4)}"
        self._sql(f"CREATE DATABASE {name}")
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Drop the database, whoever uses it."""
        self._sql(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _sql(self, statement: str) -> None:
        self.revive()
        login = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        with closing(psycopg.connect(**login, dbname="postgres", autocommit=True)) as connection:
            connection.execute(statement)


@contextmanager
def postgres(auth: str = "scram-sha-256", *, tls: bool = False, newest: bool = False) -> Iterator[PostgresServer]:
    """A server of one's own, gone at the end; `auth` is how passwords are sent, `tls` lets clients encrypt.

    It is Debian's own release of PostgreSQL, or the newest one.
    """
    with tempfile.TemporaryDirectory(prefix="tailrace-postgres-") as folder:
        server = PostgresServer(Path(folder), newest_program if newest else installed_program, auth, tls=tls)
        try:
            yield server
        finally:
            server.stop()


def installed_program(name: str) -> str:
    """One of PostgreSQL's programs that are installed, of the newest version there is."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        raise MissingServiceError("PostgreSQL isn't here: install the Debian package postgresql (make services)")
    return program


def newest_program(name: str) -> str:
    """One of the programs of PostgreSQL's newest release."""
    program = str(NEWEST.path(name))
    if _as_user("test", "-x", program).returncode:
        raise MissingServiceError(f"the user {USER} can't read {NEWEST.root}: put this folder where others can")
    return program


def version(program: Callable[[str], str]) -> str:
    """The server's version, such as 18.6; MissingServiceError where it can't be had."""
    return _run([program("postgres"), "--version"]).split()[2]


def _run(words: Sequence[str]) -> str:
    done = _as_user(*words)
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed: {done.stderr}")
    return done.stdout


def _as_user(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, done by the user that the server runs as."""
    before = ["setpriv", *owner_of_servers(USER)] if owner_of_servers(USER) else []
    return subprocess.run([*before, *words], capture_output=True, check=False, cwd="/", text=True)


if __name__ == "__main__" and had(NEWEST, newest="--newest" in sys.argv):
    print(f"PostgreSQL {version(newest_program)} is here")
