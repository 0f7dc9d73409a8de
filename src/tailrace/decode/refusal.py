"""Why a value or a record can't be loaded, on its way to becoming a Violation."""

from __future__ import annotations

from collections.abc import Iterable

from tailrace.errors import Violation, json_path

__all__ = ["MAX_SHOWN", "UnfitError", "UnreadableError", "json_path", "shown"]

MAX_SHOWN = 80
"""The characters of a value that a violation shows."""


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


def shown(raw: bytes) -> str:
    """The beginning of what was sent, as text for people."""
    text = raw[: 4 * MAX_SHOWN].decode(errors="replace")
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
