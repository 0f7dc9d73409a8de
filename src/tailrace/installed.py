"""How tailrace is installed, and what then brings an extra with it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

NAME = "tailrace"
BY = "TAILRACE_INSTALLED_BY"
"""Set to `container` in the container's image."""


def advice_on_extra(
    extra: str,
    *,
    prefix: str = sys.prefix,
    environ: Mapping[str, str] = os.environ,
    found: Distribution | None = None,
) -> str:
    """What to do so that the packages of an extra are there, for the way in which tailrace was installed.

    `prefix` is the environment's folder, and `found` tailrace's own entry in it.
    """
    if environ.get(BY) == "container":
        return "build the image anew, since it has all extras"
    try:
        found = found or distribution(NAME)
    except PackageNotFoundError:
        return f"pip install '{NAME}[{extra}]'"
    wanted, is_editable = _requirement(found, extra)
    parts = PurePath(prefix).parts
    if ".meltano" in parts:
        return f"set `pip_url: {wanted}` for the plugin in meltano.yml, and run `meltano install`"
    if "pipx" in parts:
        return f"pipx install --force {wanted}"
    if _has(parts, ("uv", "tools")):
        return f"uv tool install --force {wanted}"
    installer = (found.read_text("INSTALLER") or "").strip()
    return f"{'uv pip' if installer == 'uv' else 'pip'} install {'--editable ' if is_editable else ''}{wanted}"


def _requirement(found: Distribution, extra: str) -> tuple[str, bool]:
    """What to name to an installer, quoted for a shell, and whether it is a checkout that is used as it is."""
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    url, folder = str(origin.get("url", "")), origin.get("dir_info") or {}
    if not url.startswith("file:"):
        return f"'{NAME}[{extra}]'" if not url else shlex.quote(f"{NAME}[{extra}] @ {url}"), False
    path = Path(unquote(urlsplit(url).path))
    return shlex.quote(f"{path}[{extra}]"), bool(folder.get("editable"))


def _has(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return any(parts[at : at + len(wanted)] == wanted for at in range(len(parts)))
