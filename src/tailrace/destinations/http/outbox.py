"""The outbox: a checkpoint's rows on the disk while its requests are under way, for the next run to finish it."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from tailrace.checkpoint_files import file_name, write_durably
from tailrace.destinations.http.settings import Settings
from tailrace.disk import sync
from tailrace.errors import DestinationError, advice_on_space
from tailrace.model import Checkpoint, Stream
from tailrace.spool import Place, Spool

Staged = Mapping[Stream, Spool]
"""The rows that wait, by revision of their stream."""

_SHAPING = (
    *("url", "http_method", "format", "per_record", "records_at", "body_fields", "max_rows", "max_bytes"),
    *("delete_url", "delete_method", "idempotency_header"),
)
"""The settings that requests come from."""


class _Waiting(msgspec.Struct, frozen=True):
    stream: Stream
    file: str
    places: Sequence[Place]


class _Entry(msgspec.Struct, frozen=True):
    pipeline: str
    number: int
    state: str | None
    at: datetime
    shape: str
    run: str
    waiting: tuple[_Waiting, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint whose requests are under way, and whether this very run has begun them."""

    checkpoint: Checkpoint
    staged: Staged
    is_own: bool


class Outbox:
    """A folder of one pipeline, which has a whole checkpoint or none: the entry is written behind the rows."""

    def __init__(self, folder: Path, pipeline: str, settings: Settings) -> None:
        self._folder = folder / f"{file_name(pipeline)}.outbox"
        self._entry = self._folder / "entry.json"
        shape = repr([getattr(settings, name) for name in _SHAPING])
        self._shape = hashlib.sha256(shape.encode()).hexdigest()  # an address may have secrets in its query
        self._run = secrets.token_hex(8)

    def seal(self, checkpoint: Checkpoint, staged: Staged) -> None:
        """Keep the checkpoint and its rows."""
        with self._translated():
            self._remove()
            self._folder.mkdir(parents=True)
            waiting = []
            for number, (stream, spool) in enumerate(staged.items(), start=1):
                name = f"{number}.arrow"
                waiting.append(_Waiting(stream, name, spool.save(self._folder / name)))
            state = None if checkpoint.state is None else checkpoint.state.decode()
            what = (checkpoint.pipeline, checkpoint.number, state, checkpoint.at)
            entry = _Entry(*what, self._shape, self._run, tuple(waiting))
            write_durably(self._entry, msgspec.json.encode(entry))
            sync(self._folder.parent)

    def sealed(self, number: int) -> Sealed | None:
        """The checkpoint of that number, if it is here and requests would be what they were."""
        with self._translated():
            try:
                entry = msgspec.json.decode(self._entry.read_bytes(), type=_Entry)
            except FileNotFoundError:
                return None
            if entry.number != number or entry.shape != self._shape:
                return None
            state = None if entry.state is None else entry.state.encode()
            staged = {each.stream: Spool.saved(self._folder / each.file, each.places) for each in entry.waiting}
            checkpoint = Checkpoint(entry.pipeline, entry.number, state, entry.at)
            return Sealed(checkpoint, staged, is_own=entry.run == self._run)

    def clear(self) -> None:
        """Remove what is here: the entry first, so that it is never without its rows."""
        with self._translated():
            self._remove()

    def _remove(self) -> None:
        self._entry.unlink(missing_ok=True)
        if self._folder.exists():
            shutil.rmtree(self._folder)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = advice_on_space(error, self._folder) or "name another folder as `outbox`"
            raise DestinationError(f"the outbox {self._folder} can't be used: {error.strerror}; {advice}") from error
        except msgspec.DecodeError as error:
            raise DestinationError(
                f"the outbox {self._folder} can't be read: {error}; remove it, and what it has comes again from the tap"
            ) from error
