"""The outbox: a checkpoint's rows on the disk while its requests are under way, for the next run to finish it."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa
from msgspec import Struct

from tailrace.checkpoint_files import file_name, write_durably
from tailrace.destinations.http.rows import ENCODED
from tailrace.destinations.http.settings import Settings
from tailrace.disk import sync
from tailrace.errors import DestinationError, advice_on_space
from tailrace.model import Checkpoint, Stream

_SHAPING = (
    *("url", "http_method", "format", "per_record", "records_at", "body_fields", "max_rows", "max_bytes"),
    *("delete_url", "delete_method", "idempotency_header"),
)
"""The settings that requests come from."""


class Staged(Protocol):
    """The rows that wait, as ENCODED."""

    @property
    def streams(self) -> Sequence[Stream]:
        """The revisions of which there are rows."""

    def read(self, stream: Stream) -> Iterator[pa.Table]:
        """The rows of a revision, in the order of their lines."""


class SavedRows(Struct, frozen=True):
    """The rows in files, each of one revision."""

    files: Mapping[Stream, Path]

    @property
    def streams(self) -> Sequence[Stream]:
        """See Staged."""
        return [*self.files]

    def read(self, stream: Stream) -> Iterator[pa.Table]:
        """See Staged."""
        with pa.memory_map(str(self.files[stream])) as source:
            for batch in pa.ipc.open_stream(source):
                yield pa.Table.from_batches([batch])


class Sealed(Struct, frozen=True):
    """A checkpoint whose requests are under way; `dropped` are the lines that were refused, and set aside."""

    checkpoint: Checkpoint
    staged: Staged
    dropped: Collection[int]
    is_own: bool


class _Entry(msgspec.Struct, frozen=True):
    pipeline: str
    number: int
    state: str | None
    at: datetime
    shape: str
    run: str
    streams: tuple[Stream, ...]
    dropped: tuple[int, ...] = ()


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
            self._folder.mkdir(mode=0o700, parents=True)
            for number, stream in enumerate(staged.streams):
                _save(self._file(number), staged.read(stream))
            self._write(checkpoint, staged.streams, ())
            sync(self._folder.parent)

    def drop(self, checkpoint: Checkpoint, staged: Staged, lines: Collection[int]) -> None:
        """Note that these rows of the checkpoint were refused, and are set aside by now."""
        with self._translated():
            self._write(checkpoint, staged.streams, tuple(lines))

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
            rows = SavedRows({stream: self._file(place) for place, stream in enumerate(entry.streams)})
            checkpoint = Checkpoint(entry.pipeline, entry.number, state, entry.at)
            return Sealed(checkpoint, rows, entry.dropped, is_own=entry.run == self._run)

    def clear(self) -> None:
        """Remove what is here: the entry first, so that it is never without its rows."""
        with self._translated():
            self._remove()

    def _write(self, checkpoint: Checkpoint, streams: Sequence[Stream], dropped: tuple[int, ...]) -> None:
        state = None if checkpoint.state is None else checkpoint.state.decode()
        what = (checkpoint.pipeline, checkpoint.number, state, checkpoint.at)
        write_durably(self._entry, msgspec.json.encode(_Entry(*what, self._shape, self._run, tuple(streams), dropped)))

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.arrow"

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


def _save(path: Path, tables: Iterator[pa.Table]) -> None:
    """Write the rows durably; raises OSError."""
    with path.open("wb") as file:
        with pa.ipc.new_stream(file, ENCODED) as writer:
            for table in tables:
                writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())
