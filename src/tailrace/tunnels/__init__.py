"""Tunnels: connections to a server that only an SSH server reaches, whose key has to be known."""

from __future__ import annotations

import threading
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, model_validator

if TYPE_CHECKING:
    from tailrace.tunnels.way import Way

LOCAL = "127.0.0.1"
"""Where a tunnel begins, on this machine."""

ABOUT_SSH = "An SSH server to reach the server through: its host, port, user, and so on."


class SshSettings(BaseModel):
    """An SSH server to go through, and how to log in there."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)

    host: str = Field(description="The SSH server's name or address.")
    port: int = Field(22, gt=0, description="Its port.")
    user: str = Field(validation_alias=AliasChoices("user", "username"), description="The user to log in as.")
    password: SecretStr | None = Field(None, description="Its password.")
    private_key: SecretStr | None = Field(None, description="The private key to log in with, as text.")
    private_key_file: str | None = Field(
        None,
        description="The file of the private key. Without a key and a password, those of ~/.ssh and of ssh-agent.",
    )
    passphrase: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("passphrase", "private_key_password"),
        description="What the private key is encrypted with.",
    )
    known_hosts: str = Field(
        "~/.ssh/known_hosts", description="The file of the keys that SSH servers may have, as ssh has it."
    )
    host_key: str | None = Field(
        None, description="The key that the server has to have, as `ssh-ed25519 AAAA...`, instead of `known_hosts`."
    )

    @model_validator(mode="after")
    def _has_one_key(self) -> SshSettings:
        if self.private_key and self.private_key_file:
            raise ValueError("leave `private_key` or `private_key_file` out")
        return self


class Tunnel:
    """The way to a server through an SSH server.

    Picklable; a tunnel is opened when it is first asked for, again where it was lost, and closed with the last
    reference to it. Thread-safe.
    """

    def __init__(self, ssh: SshSettings, host: str, port: int, timeout_s: float) -> None:
        self._made_from = (ssh, host, port, timeout_s)
        self._lock = threading.Lock()
        self._way: Way | None = None

    @classmethod
    def of(cls, ssh: SshSettings | None, host: str | None, port: int, timeout_s: float) -> Self | None:
        """The way to that host and port, where there is an SSH server to go through."""
        return cls(ssh, host or "", port, timeout_s) if ssh else None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def port(self) -> int:
        """The port at LOCAL that leads to the server; raises DestinationError where the SSH server opens no way."""
        with self._lock:
            if self._way is None or self._way.is_lost:
                if self._way is not None:
                    self._way.close()
                self._way = self._opened()
            return self._way.port

    def _opened(self) -> Way:
        way: Way = import_module("tailrace.tunnels.way").opened(*self._made_from)
        weakref.finalize(self, way.close)
        return way
