"""Checkpoints for destinations that can't keep any: a file for each pipeline, or as long as the run alone."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from tailrace.disk import sync, try_lock
from tailrace.errors import DestinationError, FencedError, advice_on_space
from tailrace.log import get_logger
from tailrace.model import Checkpoint

WAIT_S = 600.0
"""How long a run waits for the commit of another one of its pipeline."""

_log = get_logger("checkpoints")


class Checkpoints(Protocol):
    """Where the checkpoints of pipelines are kept."""

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint. Takes the pipeline over: the commit of an earlier run is refused."""

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint, which stays whose it is."""

    def committing(self, checkpoint: Checkpoint) -> AbstractContextManager[None]:
        """Stores the checkpoint when the block has ended well.

        Raises FencedError before the block begins where the pipeline was taken over, or the number isn't the next.
        """

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated."""

    def close(self) -> None:
        """Close connections; repeatable."""


class RunCheckpoints:
    """Checkpoints of runs without a pipeline: nobody recovers them."""

    def __init__(self) -> None:
        self._last: Checkpoint | None = None

    def recover(self, pipeline: str) -> Checkpoint | None:
        """What this run has committed; see Checkpoints."""
        if self._last is not None and self._last.pipeline != pipeline:
            self._last = None
        return self._last

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """What this run has committed; see Checkpoints."""
        return self._last if self._last and self._last.pipeline == pipeline else None

    @contextmanager
    def committing(self, checkpoint: Checkpoint) -> Iterator[None]:
        """Remember it for this run; see Checkpoints."""
        require_next(self._last, checkpoint)
        yield
        self._last = None if checkpoint.is_forgotten else bare(checkpoint)

    def is_transient(self, error: Exception) -> bool:
        """Never; see Checkpoints."""
        del error
        return False

    def close(self) -> None:
        """Nothing is open; see Checkpoints."""


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    pipeline: str
    fence: str
    number: int = 0
    state: str | None = None
    at: datetime | None = None


class CheckpointFiles:
    """A folder with a file of each pipeline, which is replaced as a whole and is on the disk when a commit returns.

    A commit holds a lock: a run that takes the pipeline over meanwhile waits for it, and goes on from it.
    """

    def __init__(self, folder: Path, wait_s: float = WAIT_S) -> None:
        self._folder = folder
        self._wait_s = wait_s
        self._fence = ""

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The file's checkpoint, and a new fence in the file; see Checkpoints."""
        path = self._path(pipeline)
        with self._locked(path):
            kept = self._read(path) or _Kept(pipeline, "")
            self._fence = secrets.token_hex(8)
            self._write(path, msgspec.structs.replace(kept, fence=self._fence))
        return _checkpoint(kept)

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The file's checkpoint; see Checkpoints."""
        kept = self._read(self._path(pipeline))
        return _checkpoint(kept) if kept else None

    @contextmanager
    def committing(self, checkpoint: Checkpoint) -> Iterator[None]:
        """Replace the file; see Checkpoints."""
        path = self._path(checkpoint.pipeline)
        with self._locked(path):
            kept = self._read(path)
            if kept is None or kept.fence != self._fence:
                raise FencedError(checkpoint.pipeline)
            require_next(_checkpoint(kept), checkpoint)
            yield
            state = None if checkpoint.state is None else checkpoint.state.decode()
            self._write(path, _Kept(checkpoint.pipeline, self._fence, checkpoint.number, state, checkpoint.at))

    def is_transient(self, error: Exception) -> bool:
        """Never; see Checkpoints."""
        del error
        return False

    def close(self) -> None:
        """Nothing is open; see Checkpoints."""

    def _path(self, pipeline: str) -> Path:
        return self._folder / f"{file_name(pipeline)}.json"

    def _read(self, path: Path) -> _Kept | None:
        with self._translated(path):
            try:
                return msgspec.json.decode(path.read_bytes(), type=_Kept)
            except FileNotFoundError:
                return None
            except msgspec.DecodeError as error:
                raise DestinationError(
                    f"the checkpoint in {path} can't be read: {error}; restore the file, or remove it to start anew"
                ) from error

    def _write(self, path: Path, kept: _Kept) -> None:
        with self._translated(path):
            write_durably(path, msgspec.json.encode(kept))

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        with self._translated(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            number = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + self._wait_s
            with self._translated(path):
                while not _is_ours(number, path):
                    if time.monotonic() > deadline:
                        raise DestinationError(f"{path} is in use by another run; wait until that has ended")
                    time.sleep(0.02)
            yield
        finally:
            os.close(number)

    @contextmanager
    def _translated(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = advice_on_space(error, path) or "name another folder"
            raise DestinationError(f"the checkpoint in {path} can't be kept: {error.strerror}; {advice}") from error


def write_durably(path: Path, content: bytes) -> None:
    """Put a file in the place of the one of that name, if there is one; raises OSError, and then that one stays."""
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 it is private
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    with suppress(PermissionError):  # Windows opens no folders, and writes names by itself
        sync(path.parent)


def file_name(pipeline: str) -> str:
    """A name for files of the pipeline, which no other pipeline has, whatever the case of its letters."""
    digest = hashlib.sha256(pipeline.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{re.sub('[^A-Za-z0-9-]', '_', pipeline)[:40]}-{digest}"


def require_next(last: Checkpoint | None, checkpoint: Checkpoint) -> None:
    """Raise FencedError unless the checkpoint is the one that follows."""
    if checkpoint.number != (last.number if last else 0) + 1:
        raise FencedError(checkpoint.pipeline)


def bare(checkpoint: Checkpoint) -> Checkpoint:
    """What is remembered of a checkpoint."""
    return Checkpoint(checkpoint.pipeline, checkpoint.number, checkpoint.state, checkpoint.at)


def _checkpoint(kept: _Kept) -> Checkpoint | None:
    if kept.at is None:
        return None
    return Checkpoint(kept.pipeline, kept.number, None if kept.state is None else kept.state.encode(), kept.at)


def _is_ours(number: int, path: Path) -> bool:
    """Whether the open file is locked for us now; where files can't be locked the log says so."""
    is_ours = try_lock(number)
    if is_ours is None:
        _log.warning("files can't be locked here; see that no two runs use one", file=str(path))
        return True
    return is_ours
