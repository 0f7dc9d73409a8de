"""A connection to an SSH server that forwards a port of this machine; imported only where there is a tunnel."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tailrace.errors import ConfigError, DestinationError
from tailrace.installed import advice_on_extra
from tailrace.tunnels import LOCAL, SshSettings


def opened(ssh: SshSettings, host: str, port: int, timeout_s: float) -> Way:
    """A new way to that host and port; raises DestinationError where the SSH server opens none."""
    asyncssh, options = _asyncssh(), _options(ssh)
    way = Way()
    try:
        way.open(asyncssh.connect, ssh, options, (host, port), timeout_s)
    except BaseException as error:
        way.close()
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            raise DestinationError(
                f"the SSH server {ssh.host} isn't known: ask whoever runs it for its key, and put that into "
                f"{ssh.known_hosts}, or set `ssh.host_key`"
            ) from error
        if isinstance(error, asyncssh.PermissionDenied):
            raise DestinationError(
                f"the SSH server {ssh.host} doesn't let {ssh.user!r} in: check `ssh.user`, and its `password` or key"
            ) from error
        if isinstance(error, (asyncssh.Error, OSError, TimeoutError)):
            said = str(error) or f"no answer for {timeout_s:g} s"
            raise DestinationError(f"the SSH server {ssh.host}:{ssh.port} can't be reached: {said}") from error
        raise
    return way


class Way:
    """A connection to an SSH server, in a thread of its own, and the port of this machine that it forwards."""

    def __init__(self) -> None:
        self.port = 0
        self._connection: Any = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._work, name="tailrace-ssh", daemon=True).start()

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._connection is None or bool(self._connection.is_closed())

    def open(
        self, connect: Any, ssh: SshSettings, options: dict[str, Any], to: tuple[str, int], timeout_s: float
    ) -> None:
        """Connect, and forward a port to that address."""

        async def opened() -> None:
            self._connection = await connect(ssh.host, ssh.port, **options)
            self.port = (await self._connection.forward_local_port(LOCAL, 0, *to)).get_port()

        asyncio.run_coroutine_threadsafe(asyncio.wait_for(opened(), timeout_s), self._loop).result()

    def close(self) -> None:
        """Have the connection and the thread end; repeatable."""
        with suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._ended())
        finally:
            self._loop.close()

    async def _ended(self) -> None:
        """Close the connection, and whatever still waits for something."""
        if self._connection is not None:
            self._connection.abort()
            await self._connection.wait_closed()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _asyncssh() -> Any:
    try:
        return import_module("asyncssh")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"it needs the package {error.name!r}, which isn't installed", key="ssh", hint=advice_on_extra("ssh")
        ) from error


def _options(ssh: SshSettings) -> dict[str, Any]:
    """The options of asyncssh's connect(): nothing of ~/.ssh/config, and a server that is known."""
    asyncssh = _asyncssh()
    options: dict[str, Any] = {"username": ssh.user, "config": None, "known_hosts": _known_hosts(ssh)}
    options |= {"keepalive_interval": 30}
    passphrase = ssh.passphrase.get_secret_value() if ssh.passphrase else None
    try:
        if ssh.private_key:
            options["client_keys"] = [asyncssh.import_private_key(ssh.private_key.get_secret_value(), passphrase)]
        elif ssh.private_key_file:
            path = str(Path(ssh.private_key_file).expanduser())
            options["client_keys"] = [asyncssh.read_private_key(path, passphrase)]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError):
        key = "ssh.private_key" if ssh.private_key else "ssh.private_key_file"
        hint = "give a private key as ssh-keygen makes it, and `ssh.passphrase` if it has one"
        raise ConfigError("the key can't be read", key=key, hint=hint) from None
    if ssh.password:
        options["password"] = ssh.password.get_secret_value()
        options.setdefault("client_keys", None)
    if "client_keys" in options:
        options["agent_path"] = None
    return options


def _known_hosts(ssh: SshSettings) -> Any:
    """The keys that the server may have, as asyncssh takes them."""
    asyncssh = _asyncssh()
    if ssh.host_key:
        try:
            return [asyncssh.import_public_key(ssh.host_key)], [], []
        except asyncssh.KeyImportError:
            raise ConfigError("it isn't a public key", key="ssh.host_key", hint="as in `ssh-ed25519 AAAA...`") from None
    path = Path(ssh.known_hosts).expanduser()
    try:
        return asyncssh.import_known_hosts(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], [], []
    except (OSError, ValueError):
        raise ConfigError(f"{path} can't be read", key="ssh.known_hosts", hint="name a file as ssh has it") from None
