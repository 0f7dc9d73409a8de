"""Log messages about values within structs and lists, once for each path."""

from __future__ import annotations

from tailrace.lake.nested import Read
from tailrace.log import get_logger
from tailrace.model import Inexact, Stream
from tailrace.schema.kinds import kind_for_digits

_log = get_logger("lake")


class Notes:
    """Says what is new. Not thread-safe."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str]] = set()

    def say(self, stream: Stream, read: Read) -> None:
        """Log, for each path, that a number lost digits or that a value came as another type."""
        for name, inexact in read.inexact.items():
            if self._is_new(stream, "inexact", name):
                text = f"a number has more digits than a float holds; {_setting(name, inexact)}"
                _log.warning(text, stream=stream.name, column=name, line=inexact.first_line)
        for name, coerced in read.coerced.items():
            if self._is_new(stream, "coerced", name):
                text = "a value came as another type than the schema's, and is taken as what it says"
                _log.warning(text, stream=stream.name, column=name, line=coerced.first_line)

    def _is_new(self, stream: Stream, what: str, name: str) -> bool:
        key = (stream.name, what, name)
        is_new = key not in self._said
        self._said.add(key)
        return is_new


def _setting(name: str, inexact: Inexact) -> str:
    """The setting that keeps all digits of the numbers of a path."""
    if name.endswith("[]"):
        return "`kind: JSON` for the column, under `columns:`, keeps them as text"
    return f"`kind: {kind_for_digits(inexact.before, inexact.behind)}` for the field, under `columns:`, keeps them"
