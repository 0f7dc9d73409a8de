"""Why a value or a record can't be loaded, on its way to becoming a Violation."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from tailrace.errors import Violation

MAX_SHOWN = 80
"""The characters of a value that a violation shows."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class UnfitError(Exception):
    """A value that its column can't hold: the violation's code, and what was expected."""

    def __init__(self, code: str, expected: str) -> None:
        self.code = code
        self.expected = expected
        super().__init__(expected)

    def violation(self, path: Iterable[str | int], raw: bytes) -> Violation:
        """The violation by a value that was sent as that JSON."""
        return Violation(self.code, json_path(path), self.expected, shown(raw))


class UnreadableError(Exception):
    """A line that can't be read as a record at all; `violations` say why."""

    def __init__(self, *violations: Violation) -> None:
        self.violations = violations
        super().__init__("; ".join(map(str, violations)))


def json_path(steps: Iterable[str | int]) -> str:
    """A place in a record as text: `$.orders[0]["unit price"]`."""
    path = "$"
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN_NAME.fullmatch(step):
            path += f".{step}"
        else:
            path += f"[{msgspec.json.encode(step.encode(errors='replace').decode()).decode()}]"
    return path


def shown(raw: bytes) -> str:
    """The beginning of what was sent, as text for people."""
    text = raw[: 4 * MAX_SHOWN].decode(errors="replace")
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
