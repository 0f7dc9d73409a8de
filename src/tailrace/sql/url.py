"""Addresses of databases as settings."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from tailrace.errors import ConfigError


def file_settings(url: str) -> dict[str, object]:
    """The `path` of a database file, and the settings in the query: `sqlite:///x.db?timeout_s=5`.

    As in SQLAlchemy three slashes begin a relative path and four an absolute one; `sqlite:x.db` is relative too.
    """
    parts = urlsplit(url, allow_fragments=False)
    if parts.netloc:
        relative = f"{parts.scheme}:///{parts.netloc}{parts.path}"
        raise ConfigError(
            f"{url!r} names a host, and a file has none",
            key="to",
            hint=f"write {relative} for a relative path, four slashes for an absolute one",
        )
    has_slashes = url[len(parts.scheme) + 1 :].startswith("//")
    path = unquote(parts.path[1:] if has_slashes else parts.path)
    settings: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    return settings | ({"path": path} if path else {})
