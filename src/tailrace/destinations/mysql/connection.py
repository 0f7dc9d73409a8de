"""The driver's connection to MySQL or MariaDB, which never sends a password in the clear, nor a file."""

from __future__ import annotations

import io
import os
import re
import socket
from collections.abc import Iterable
from typing import Any

from mysql.connector.authentication import MySQLAuthenticator
from mysql.connector.connection import MySQLConnection
from mysql.connector.constants import ClientFlag
from mysql.connector.errors import InterfaceError
from mysql.connector.network import MySQLSocket, MySQLTCPSocket

NO_TLS = 2026
"""The driver's number for what is wrong with TLS."""
_NEEDS_TLS = "this user needs TLS: the server asks for the password itself, and the connection is in the clear"
_TLS_WORDS = re.compile(r"\[SSL: \w+\] (.*?)(?: \(_ssl\.c:\d+\))?$")


class Connection(MySQLConnection):
    """A connection; what LOAD DATA LOCAL reads is in memory, and never a file that the server names."""

    rows: Iterable[bytes] = ()
    requires_tls = False
    through: tuple[str, int] | None = None
    """Where to connect instead, under the server's name."""

    def _get_connection(self) -> MySQLSocket:
        """The socket, not connected yet."""
        if self.through is None:
            return super()._get_connection()
        made = MySQLTCPSocket(*self.through)
        made.set_connection_timeout(self._connection_timeout)
        return made

    def _open_connection(self) -> None:
        """Connect, and send what is small at once: the driver lets each statement wait for 40 ms."""
        self._authenticator = _Authenticator()
        super()._open_connection()
        if self._socket and self._socket.sock:
            self._socket.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _add_default_conn_attrs(self) -> None:
        """Name the client, as performance_schema shows it; the driver would start programs to name the system too."""
        self._conn_attrs |= {"program_name": "tailrace", "_pid": str(os.getpid()), "_source_host": socket.gethostname()}

    def _do_handshake(self) -> None:
        """Read the server's greeting; whoever takes its offer of TLS away is noticed."""
        super()._do_handshake()
        if self.requires_tls and not self._client_flags & ClientFlag.SSL:
            raise InterfaceError("the server offers no TLS", errno=NO_TLS)

    def _handle_load_data_infile(
        self, _filename: str, read_timeout: int | None = None, write_timeout: int | None = None
    ) -> dict[str, Any]:
        """Send the rows, as the driver sends a file."""
        rows, self.rows = self.rows, ()
        answer = self._send_data(
            io.BufferedReader(_Pieces(rows)),
            send_empty_packet=True,
            read_timeout=read_timeout,
            write_timeout=write_timeout,
        )
        return self._handle_ok(answer)


class _Pieces(io.RawIOBase):
    """Pieces, none of them empty, as a file that is read once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, space: Any) -> int:
        """Fill the space, or a part of it."""
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        count = min(len(space), len(self._left))
        space[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class _Authenticator(MySQLAuthenticator):
    """Logs in; some ways of the driver's to do so send the password as it is, whether the connection is encrypted."""

    def authenticate(self, sock: Any, *given: Any, **login: Any) -> bytes:
        """Log in; raises InterfaceError where the password would be sent in the clear."""
        secrets = [login[name] for name in ("password1", "password2", "password3") if login.get(name)]
        open_sock: Any = _OpenSocket(sock, secrets)
        try:
            return super().authenticate(sock if self.ssl_enabled else open_sock, *given, **login)
        except InterfaceError as error:
            if not str(error.msg).endswith("requires SSL"):
                raise
            raise InterfaceError(_NEEDS_TLS, errno=NO_TLS) from error


class _OpenSocket:
    """A socket in the clear, for as long as somebody logs in."""

    def __init__(self, sock: Any, secrets: list[str]) -> None:
        self._sock = sock
        self._secrets = {secret.encode().rstrip(b"\0") for secret in secrets}

    def send(self, payload: bytes, *rest: Any) -> None:
        """Send what isn't the password."""
        if bytes(payload).rstrip(b"\0") in self._secrets:
            raise InterfaceError(_NEEDS_TLS, errno=NO_TLS)
        self._sock.send(payload, *rest)

    def recv(self, *rest: Any) -> Any:
        """What the server says."""
        return self._sock.recv(*rest)


def words_of(error: BaseException) -> str:
    """What a connection fails by, without what the driver puts around it."""
    words = getattr(error, "msg", None) or ""
    match = _TLS_WORDS.search(words)
    return match[1] if match else words
