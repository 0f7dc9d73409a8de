"""Connections by names of one's own, in `tailrace.yaml` or a file of settings; and variables, with those of `.env`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tailrace.config.sources import CONNECTIONS, Values, expanded, file_content
from tailrace.errors import ConfigError

FILE = Path("tailrace.yaml")
"""The file in the working directory whose connections are known without --config."""

DOTENV = Path(".env")
_ASSIGNMENT = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*
    (?:'(?P<exact>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s'"\#].*?)|)(?:\s+\#.*)?\s*""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Variables(Mapping[str, str]):
    """The environment, and behind it what `.env` in the working directory has, read when the environment lacks one."""

    def __init__(self, environ: Mapping[str, str] = os.environ, file: Path = DOTENV) -> None:
        self._environ = environ
        self._path = file

    @cached_property
    def _file(self) -> dict[str, str]:
        return dotenv_values(self._path)

    def __getitem__(self, name: str) -> str:
        return self._environ[name] if name in self._environ else self._file[name]

    def __iter__(self) -> Iterator[str]:
        yield from {**self._file, **self._environ}

    def __len__(self) -> int:
        return len({**self._file, **self._environ})


def dotenv_values(path: Path) -> dict[str, str]:
    """The variables in a file of `NAME=value` lines; none where there is no file. Nothing in a value is expanded."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    values = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ASSIGNMENT.fullmatch(line)
        if found is None:  # the line isn't shown, since it may be a password
            raise ConfigError(f"line {number} of {path} can't be read", hint="as in NAME=value or NAME='any value'")
        quoted = found["quoted"]
        values[found["name"]] = (
            re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), quoted)
            if quoted is not None
            else found["exact"] or found["plain"] or ""
        )
    return values


def connections_in(files: Sequence[Path]) -> dict[str, tuple[Path, Values]]:
    """The connections of these files and `tailrace.yaml` by name, later files being stronger: the file, its settings.

    Nothing in them is expanded yet, since variables of those that nobody asks for may be unset.
    """
    found: dict[str, tuple[Path, Values]] = {}
    for path in (*([FILE] if FILE.is_file() and FILE not in files else []), *files):
        connections = file_content(path).get(CONNECTIONS) or {}
        if not isinstance(connections, dict) or not all(isinstance(each, dict) for each in connections.values()):
            raise ConfigError(
                "it must hold settings by the names of connections",
                key=CONNECTIONS,
                hint="as in `connections: {warehouse: {to: postgres, host: db.example.com, database: raw}}`",
            )
        found |= {str(name): (path, {str(key): each[key] for key in each}) for name, each in connections.items()}
    return found


def connection_of(name: str, found: Mapping[str, tuple[Path, Values]], environ: Mapping[str, str]) -> Values:
    """The settings of the connection of that name, with `to` among them; none where there is no such connection."""
    if name not in found:
        return {}
    path, given = found[name]
    values = expanded(path, given, environ)
    if not values.get("to"):
        raise ConfigError("it doesn't say where to load", key=f"{CONNECTIONS}.{name}", hint="give it a `to`")
    return values
