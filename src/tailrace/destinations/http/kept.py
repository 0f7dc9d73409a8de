"""Where an endpoint's checkpoints are kept: in a folder of files, or in another destination."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tailrace.checkpoint_files import CheckpointFiles, Checkpoints, RunCheckpoints, bare, require_next
from tailrace.destination import Destination, Remembering
from tailrace.destinations import open_destination
from tailrace.destinations.http.settings import Settings
from tailrace.errors import ConfigError, DestinationError
from tailrace.model import Checkpoint
from tailrace.pipelines import MAX_NAME_LENGTH, is_unnamed

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # one letter is a drive of Windows
_OURS = "http: "


class _Kept(msgspec.Struct, frozen=True):
    """What the other destination takes for a state: the checkpoint that was sent in full."""

    number: int = 0
    state: str | None = None
    at: datetime | None = None


class OtherCheckpoints:
    """Checkpoints in another destination, each by two empty ones of its own.

    The first says that the checkpoint will be sent, and is refused where the pipeline was taken over; the second that
    it was sent. Its pipeline's name begins with `http: `, so that one of the same name may load into it.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._number = 0
        self._last: Checkpoint | None = None
        self._at = datetime.now(UTC)

    def recover(self, pipeline: str) -> Checkpoint | None:
        """What the destination remembers; see Checkpoints."""
        found = self.destination.recover(_name(pipeline))
        self._number = found.number if found else 0
        self._last = _sent(pipeline, found)
        return self._last

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """What the destination remembers, if it can be asked for that; see Checkpoints."""
        if not isinstance(self.destination, Remembering):
            return self.recover(pipeline)
        return _sent(pipeline, self.destination.remembered(_name(pipeline)))

    @contextmanager
    def committing(self, checkpoint: Checkpoint) -> Iterator[None]:
        """Commit an empty checkpoint before, and one behind; see Checkpoints."""
        require_next(self._last, checkpoint)
        self._commit(checkpoint, self._last)
        yield
        self._commit(checkpoint, checkpoint)
        self._last = bare(checkpoint)

    def is_transient(self, error: Exception) -> bool:
        """As the destination says; see Checkpoints."""
        return self.destination.is_transient(error)

    def close(self) -> None:
        """Close the destination; see Checkpoints."""
        self.destination.close()

    def _commit(self, checkpoint: Checkpoint, said: Checkpoint | None) -> None:
        kept = _Kept()
        if said is not None:
            kept = _Kept(said.number, None if said.state is None else said.state.decode(), said.at)
        state = msgspec.json.encode(kept)
        self.destination.commit(Checkpoint(_name(checkpoint.pipeline), self._number + 1, state, checkpoint.at))
        self._number += 1


def checkpoints_of(pipeline: str, settings: Settings) -> Checkpoints:
    """Where the pipeline's checkpoints are; raises ConfigError where a name has no place to be remembered at."""
    if is_unnamed(pipeline):
        return RunCheckpoints()
    if settings.checkpoints is None:
        raise ConfigError(
            "no place given to remember the pipeline at",
            key="checkpoints",
            hint="name a folder, or the address of another destination, as in `sqlite:///checkpoints.db`; "
            "or run without --pipeline",
        )
    folder = folder_of(settings)
    if folder is not None:
        return CheckpointFiles(folder)
    return OtherCheckpoints(open_destination(settings.checkpoints.get_secret_value(), {}))


def folder_of(settings: Settings) -> Path | None:
    """The folder of checkpoints, where they are in one."""
    place = settings.checkpoints.get_secret_value() if settings.checkpoints else ""
    return Path(place) if place and not _ADDRESS.match(place) else None


def _sent(pipeline: str, found: Checkpoint | None) -> Checkpoint | None:
    """The pipeline's own checkpoint, in the state of the other destination's."""
    kept = _Kept()
    if found and found.state:
        try:
            kept = msgspec.json.decode(found.state, type=_Kept)
        except msgspec.DecodeError as error:
            raise DestinationError(f"the checkpoint of {_name(pipeline)!r} isn't an endpoint's: {error}") from error
    state = None if kept.state is None else kept.state.encode()
    return Checkpoint(pipeline, kept.number, state, kept.at) if kept.at else None


def _name(pipeline: str) -> str:
    name = f"{_OURS}{pipeline}"
    return name if len(name) <= MAX_NAME_LENGTH else _OURS + hashlib.sha256(pipeline.encode()).hexdigest()
