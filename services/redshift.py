"""A stand-in for Redshift: PostgreSQL, an S3 server, and a proxy that translates Redshift's SQL and answers.

The proxy leaves out what only Redshift's driver says at the start, does COPY from a manifest on S3 by a COPY from a
file, and refuses what PostgreSQL has and Redshift doesn't. A database of it has SUPER (as jsonb) and VARBYTE (as text
of hexadecimal digits).
"""

from __future__ import annotations

import io
import json
import re
import secrets
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import psycopg
import zstandard

from services.postgres import PostgresServer, postgres
from services.s3 import S3Server, s3

TYPES = """
    CREATE DOMAIN super AS jsonb;
    CREATE DOMAIN varbyte AS text CHECK (VALUE ~ '^([0-9a-f][0-9a-f])*$');
    CREATE FUNCTION json_parse(value text) RETURNS super STRICT IMMUTABLE LANGUAGE sql AS 'SELECT value::super';
    CREATE FUNCTION from_hex(value text) RETURNS varbyte STRICT IMMUTABLE LANGUAGE sql AS 'SELECT value::varbyte';
"""
_QUOTED = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')""")
_SPOKEN = {
    r"\bvarbyte\(\d+\)": "varbyte",
    r"\bVARCHAR\(MAX\)": "VARCHAR",
    r"\benable_case_sensitive_identifier\b": "tailrace.enable_case_sensitive_identifier",
}
"""Redshift's words and PostgreSQL's for the same."""
_UNKNOWN = re.compile(
    r"\b(ON CONFLICT|SAVEPOINT|UNLOGGED|RETURNING|ALTER COLUMN|CREATE (UNIQUE )?INDEX|DISTINCT FROM|starts_with|"
    r"array_position|to_regclass|jsonb|bytea|uuid|MERGE)\b|DELETE FROM [^ ]+ AS\b",
    re.IGNORECASE,
)
"""What PostgreSQL has and Redshift doesn't, or not so."""
_COPY = re.compile(
    r"COPY (?P<into>.+\)) FROM '(?P<url>s3://.*?)' NULL AS '(?P<null>[\w-]+)' (?:REGION AS '[\w-]+' )?"
    r"MANIFEST CSV ZSTD DATEFORMAT 'YYYY-MM-DD' TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF (?P<by>.*)",
    re.DOTALL,
)
_SSL_REQUEST, _CANCEL_REQUEST = 80877103, 80877102
_FOLLOWED = b"PBDEC"
"""The kinds of messages that are parts of a statement, and answered when its last message comes."""
_KNOWN_AT_START = {"user", "database", "application_name"}


class RedshiftServer:
    """The proxy, and what is behind it."""

    host = "127.0.0.1"

    def __init__(self, server: PostgresServer, objects: S3Server, folder: Path) -> None:
        self.objects = objects
        self._server = server
        self.parts = (server, objects)
        self._folder = folder
        self._listening = socket.create_server((self.host, 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, name="redshift", daemon=True).start()

    def database(self, *, has_bucket: bool = True) -> str:
        """The address of a new, empty database."""
        url = self._server.database()
        with psycopg.connect(url) as connection:
            connection.execute(TYPES)
            # As Redshift's own default, a transaction sees what was there when it began.
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
        s3_keys = {"region": self.objects.region, "endpoint": self.objects.endpoint, "bucket": self.objects.bucket()}
        s3_keys |= {"access_key_id": self.objects.key, "secret_access_key": self.objects.secret}
        query = "".join(f"&{name}={quote(value, safe='')}" for name, value in s3_keys.items() if has_bucket)
        return url.replace("postgresql://", "redshift://").replace(f":{self._server.port}/", f":{self.port}/") + (
            f"?tls=disable{query}"
        )

    def behind(self, url: str) -> str:
        """The address of PostgreSQL's database that is behind one of ours."""
        address = url.partition("?")[0].replace("redshift://", "postgresql://")
        return re.sub(r":\d+/", f":{self._server.port}/", address)

    def drop(self, url: str) -> None:
        """Drop the database, whoever uses it."""
        self._server.drop(self.behind(url))

    def kill(self) -> None:
        """End the database's server as a crash does."""
        self._server.kill()

    def start(self) -> None:
        """Start the database's server again."""
        self._server.start()

    def revive(self) -> None:
        """Start what is behind the proxy again where it has died by itself."""
        for part in self.parts:
            part.revive()

    @property
    def pid(self) -> int:
        """The number of the database's first process."""
        return self._server.pid

    @property
    def deaths(self) -> list[str]:
        """How what is behind the proxy has died by itself."""
        return [death for part in self.parts for death in part.deaths]

    def close(self) -> None:
        """Refuse new connections."""
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError), client, socket.create_connection((self.host, self._server.port)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            source = client.makefile("rb")
            server.sendall(_start(source, client))
            threading.Thread(target=_pass, args=(server, client), daemon=True).start()
            waiting = b""
            try:
                while True:
                    kind, content = _message(source)
                    waiting += _framed(kind, self._spoken(kind, content))
                    if kind not in _FOLLOWED:
                        server.sendall(waiting)
                        waiting = b""
            finally:
                with suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)

    def _spoken(self, kind: bytes, content: bytes) -> bytes:
        """A client's message in PostgreSQL's words."""
        if kind != b"P":
            return content
        name, sql, rest = content.split(b"\0", 2)
        return b"\0".join((name, self._said(sql.decode()).encode(), rest))

    def _said(self, sql: str) -> str:
        """A statement in PostgreSQL's words; one that raises an error when Redshift would."""
        copy = _COPY.fullmatch(sql)
        return self._copy(copy) if copy else _said(sql)

    def _copy(self, copy: re.Match[str]) -> str:
        """COPY from a file of all rows that the manifest's files have."""
        secret = self.objects.secret.replace("'", "''")
        keys = f"ACCESS_KEY_ID '{self.objects.key}' SECRET_ACCESS_KEY '{secret}'"
        if copy["by"] != keys:
            return _raising("S3ServiceException: The AWS Access Key Id you provided does not exist in our records.")
        path = self._folder / secrets.token_hex(8)
        try:
            manifest = json.loads(self.objects.read(copy["url"]))
            with path.open("wb") as file:
                for entry in manifest["entries"]:
                    content = io.BytesIO(self.objects.read(entry["url"]))
                    zstandard.ZstdDecompressor().copy_stream(content, file)
        except KeyError as missing:
            return _raising(f"Mandatory url is not present in manifest file {missing}")
        path.chmod(0o644)
        return f"COPY {copy['into']} FROM '{path}' (FORMAT csv, NULL '{copy['null']}')"


@contextmanager
def redshift() -> Iterator[RedshiftServer]:
    """A server of one's own, gone at the end."""
    folders = tempfile.TemporaryDirectory(prefix="tailrace-redshift-")
    with postgres(auth="md5") as server, s3() as objects, folders as folder:
        Path(folder).chmod(0o755)
        made = RedshiftServer(server, objects, Path(folder))
        try:
            yield made
        finally:
            made.close()


@lru_cache(maxsize=1024)
def _said(sql: str) -> str:
    """A statement that copies nothing in PostgreSQL's words."""
    parts = _QUOTED.split(sql)
    unquoted = " ".join(parts[::2])
    if "$1" in unquoted and (unquoted.startswith("CREATE") or unquoted.count("SELECT") > 1):
        return _raising("Redshift takes no parameters in subqueries")
    if sql.startswith("COPY") or (unknown := _UNKNOWN.search(unquoted)):
        return _raising(f"Redshift has no {sql[:80] if sql.startswith('COPY') else unknown[0]}")
    for place in range(0, len(parts), 2):
        for spoken, meant in _SPOKEN.items():
            parts[place] = re.sub(spoken, meant, parts[place], flags=re.IGNORECASE)
    return "".join(parts)


def _start(source: BinaryIO, client: socket.socket) -> bytes:
    """The client's first message, without what PostgreSQL doesn't know."""
    while True:
        (length,) = struct.unpack("!i", _read(source, 4))
        content = _read(source, length - 4)
        (code,) = struct.unpack("!i", content[:4])
        if code == _CANCEL_REQUEST:
            return struct.pack("!i", length) + content
        if code != _SSL_REQUEST:
            break
        client.sendall(b"N")
    words = content[4:].split(b"\0")
    given = dict(zip(words[::2], words[1::2], strict=False))
    kept = [word for name, value in given.items() if name.decode() in _KNOWN_AT_START for word in (name, value)]
    content = content[:4] + b"\0".join(kept) + b"\0\0"
    return struct.pack("!i", len(content) + 4) + content


def _message(source: BinaryIO) -> tuple[bytes, bytes]:
    kind = _read(source, 1)
    (length,) = struct.unpack("!i", _read(source, 4))
    return kind, _read(source, length - 4)


def _framed(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!i", len(content) + 4) + content


def _read(source: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _pass(server: socket.socket, client: socket.socket) -> None:
    """Pass on what the server says, to the end; at first it says its version, and Redshift's is 8.0.2."""
    with suppress(OSError, EOFError), server.makefile("rb", buffering=0) as source:
        kind = b""
        while kind != b"Z":
            kind, content = _message(source)
            is_version = kind == b"S" and content.startswith(b"server_version\0")
            client.sendall(_framed(kind, b"server_version\x008.0.2\0" if is_version else content))
        while data := server.recv(65536):
            client.sendall(data)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _raising(text: str) -> str:
    """A statement that raises an error of that text, as Redshift's own have it."""
    quoted = text.replace("'", "''").replace("%", "%%")
    return f"DO $raising$ BEGIN RAISE EXCEPTION '{quoted}' USING ERRCODE = 'XX000'; END $raising$"
