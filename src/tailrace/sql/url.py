"""Addresses of databases as settings."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from tailrace.errors import ConfigError

ESCAPING = "in a password write / as %2F, : as %3A, @ as %40, # as %23, ? as %3F, [ as %5B and ] as %5D"
"""What to do about an address that can't be read."""


def file_settings(url: str) -> dict[str, object]:
    """The `path` of a database file, and the settings in the query: `sqlite:///x.db?timeout_s=5`.

    As in SQLAlchemy three slashes begin a relative path and four an absolute one; `sqlite:x.db` is relative too.
    """
    parts = _split(url)
    if parts.netloc:
        may_be_secret = set(parts.netloc) & {":", "@"}
        relative = f"{parts.scheme}:///FILE" if may_be_secret else f"{parts.scheme}:///{parts.netloc}{parts.path}"
        raise ConfigError(
            "the address names a host, and a file has none",
            key="to",
            hint=f"write {relative} for a relative path, four slashes for an absolute one",
        )
    has_slashes = url[len(parts.scheme) + 1 :].startswith("//")
    path = unquote(parts.path[1:] if has_slashes else parts.path)
    settings: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    return settings | ({"path": path} if path else {})


def server_settings(url: str) -> dict[str, object]:
    """`user`, `password`, `host`, `port`, `database` and the settings in the query, each where the address has it.

    `postgresql://user:password@host:5432/database?schema=raw`; a special character is written as its percent code.
    """
    parts = _split(url)
    port: int | str | None = ""
    with suppress(ValueError):  # whose words may have a password in them
        port = parts.port
    if port == "":
        raise ConfigError("the address has a port that isn't a number", key="to", hint=ESCAPING)
    if "@" in parts.path or "@" in parts.query.partition("=")[0]:
        raise ConfigError("the address has an @ behind its host", key="to", hint=ESCAPING)
    named = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": unquote(parts.hostname or ""),
        "port": port,
        "database": unquote(parts.path.removeprefix("/")),
    }
    settings: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    return settings | {name: value for name, value in named.items() if value}


def _split(url: str) -> SplitResult:
    """The address's parts; what can't be read isn't told, since a password may be in it."""
    with suppress(ValueError):
        return urlsplit(url, allow_fragments=False)
    raise ConfigError("the address can't be read", key="to", hint=ESCAPING)
