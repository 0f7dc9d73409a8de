"""Activations: the ACTIVATE_VERSION messages that no checkpoint has taken yet, in the order of their lines."""

from __future__ import annotations

from collections.abc import Iterable

from tailrace.log import get_logger
from tailrace.model import Activation, Stream
from tailrace.singer.messages import ActivateVersionMessage

_log = get_logger("target")


class Activations:
    """Those that wait for their checkpoint, and those that wait for the SCHEMA of their stream."""

    def __init__(self) -> None:
        self._ready: list[Activation] = []
        self._early: dict[str, ActivateVersionMessage] = {}

    def add(self, stream: Stream, message: ActivateVersionMessage) -> None:
        """Take a message of a known stream."""
        self._ready.append(Activation(stream, message.version, message.line))

    def add_early(self, message: ActivateVersionMessage) -> None:
        """Keep a message until the SCHEMA of its stream comes; of several, the one of the highest version."""
        before = self._early.get(message.stream)
        if before is None or before.version < message.version:
            self._early[message.stream] = message

    def early(self, stream: str) -> ActivateVersionMessage | None:
        """The message that has waited for the stream's SCHEMA, which waits no more."""
        return self._early.pop(stream, None)

    def put_back(self, activations: Iterable[Activation]) -> None:
        """Take in again what a checkpoint had that isn't committed after all."""
        self._ready = [*activations, *self._ready]

    def take(self, until_line: int | None) -> tuple[Activation, ...]:
        """The activations up to that line, or all, for a checkpoint."""
        taken = [a for a in self._ready if until_line is None or a.line <= until_line]
        self._ready = self._ready[len(taken) :]
        return tuple(taken)

    def say_unmet(self) -> None:
        """Say which messages have waited in vain."""
        for message in self._early.values():
            _log.warning(
                "an ACTIVATE_VERSION changed nothing, since the stream's SCHEMA never came",
                stream=message.stream,
                version=message.version,
                line=message.line,
            )
