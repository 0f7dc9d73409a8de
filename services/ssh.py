"""An SSH server on the loopback, with a user and what it lets through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import asyncssh

USER, PASSWORD = "tunneller", "let me through"
HOST = "127.0.0.1"


class SSHServer:
    """A server that forwards connections of its one user, who has a password and a key."""

    def __init__(self) -> None:
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.asked: list[tuple[str, int]] = []
        """Where connections were asked for."""
        self._connections: list[asyncssh.SSHServerConnection] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listening = self._done(self._listen())
        self.port: int = self._listening.get_port()

    @property
    def known(self) -> str:
        """The server's line in a file of known hosts."""
        return f"[{HOST}]:{self.port} {self.host_key}\n"

    @property
    def host_key(self) -> str:
        """The server's public key."""
        return str(self.key.export_public_key().decode().strip())

    def login(self) -> dict[str, Any]:
        """The settings by which it is reached."""
        return {"host": HOST, "port": self.port, "user": USER, "password": PASSWORD, "host_key": self.host_key}

    def cut(self) -> None:
        """End all connections."""

        async def cut() -> None:
            while self._connections:
                self._connections.pop().abort()

        self._done(cut())

    def stop(self) -> None:
        """End the server."""
        self.cut()

        async def close() -> None:
            self._listening.close()
            await self._listening.wait_closed()

        self._done(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(HOST, 0, server_factory=lambda: _Server(self), server_host_keys=[self.key])

    def _done(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


class _Server(asyncssh.SSHServer):
    def __init__(self, of: SSHServer) -> None:
        self._of = of

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._of._connections.append(conn)  # noqa: SLF001 its own

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._of.user_key.public_data

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        del orig_host, orig_port
        self._of.asked.append((dest_host, dest_port))
        return True


@contextmanager
def ssh_server() -> Iterator[SSHServer]:
    """A server of one's own, gone at the end."""
    server = SSHServer()
    try:
        yield server
    finally:
        server.stop()
