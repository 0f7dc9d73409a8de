"""What is done with refused records: the run fails, or they are set aside in the quarantine, up to a limit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from tailrace.config import Settings
from tailrace.errors import RecordError
from tailrace.log import get_logger
from tailrace.model import Refused, Stream
from tailrace.runtime.quarantine import Quarantine
from tailrace.runtime.report import Tally
from tailrace.singer.messages import SchemaMessage

_log = get_logger("quarantine")


_MAX_NAME_BYTES = 120


class Invalid:
    """Takes refused records and does as `on_invalid` says. Thread-safe."""

    def __init__(self, settings: Settings, tally: Tally, pipeline: str, run: str) -> None:
        self._settings = settings
        self._tally = tally
        self._lock = threading.Lock()
        self._count = 0
        self._last: Refused | None = None
        self._quarantine: Quarantine | None = None
        if settings.on_invalid == "quarantine":
            self.path = settings.quarantine or _default_path(settings.pipeline, run, datetime.now(UTC))
            self._quarantine = Quarantine(self.path, pipeline, run)

    def begin(self) -> None:
        """Take the quarantine's file; raises ConfigError when another run has it, or it can't be written."""
        if self._quarantine is not None:
            self._quarantine.open()

    def recover(self, committed: int) -> None:
        """Void what earlier runs set aside beyond that checkpoint."""
        if self._quarantine is not None:
            self._quarantine.recover(committed)

    def refuse(self, stream: Stream, message: SchemaMessage, refused: Sequence[Refused]) -> None:
        """Set records of a stream aside, in the order of their lines; of which there is one at least.

        Raises RecordError for the first one when that isn't wanted, and for the first one past the limit.
        """
        if self._quarantine is None:
            raise _error(refused[0])
        limit = self._settings.max_invalid
        with self._lock:
            left = len(refused) if limit is None or limit < 1 else max(0, int(limit) - self._count) + 1
            taken = refused if left >= len(refused) else refused[:left]
            self._quarantine.add(stream, message, taken)
            self._tally.add(stream.name, quarantined=len(taken))
            self._count += len(taken)
            self._last = taken[-1]
        if limit is not None and limit >= 1 and self._count > limit:
            raise self._past_limit(taken[-1])

    def cover(self, number: int, until_line: int) -> None:
        """Make what is set aside up to that line durable, for that checkpoint; raises when its share is too high."""
        limit = self._settings.max_invalid
        read = sum(stream.read for stream in self._tally.streams().values())
        if self._last is not None and limit is not None and limit < 1 and self._count > limit * read:
            raise self._past_limit(self._last)
        if self._quarantine is not None:
            self._quarantine.cover(number, until_line)

    def close(self) -> None:
        """Let go of the file."""
        if self._quarantine is not None:
            self._quarantine.close()
            if self._count:
                _log.warning(
                    "records were set aside; mend them and load them again with `tailrace replay`",
                    records=self._count,
                    file=str(self.path),
                )

    def _past_limit(self, refused: Refused) -> RecordError:
        error = _error(refused)
        error.add_note(f"{self._count} records are invalid, which is past max_invalid: {self._settings.max_invalid}")
        return error


def _error(refused: Refused) -> RecordError:
    return RecordError(refused.stream, refused.line, refused.violations)


def _default_path(pipeline: str | None, run: str, now: datetime) -> Path:
    """A file for each pipeline, in whose name what means something to file systems is percent-encoded, or for each run.

    A run without a pipeline has one of its own, so that two of them in one folder don't meet.
    """
    if pipeline is None:
        return Path(f"tailrace-{now:%Y%m%dT%H%M%SZ}-{run[:8]}.quarantine.jsonl")
    name = "".join(c if c.isalnum() or c in " _-.,=+@#" else quote(c, safe="") for c in pipeline)
    if name.startswith(".") or len(name.encode()) > _MAX_NAME_BYTES:
        name = f"{name.lstrip('.')[:40]}-{sha256(pipeline.encode()).hexdigest()[:12]}"
    return Path(f"{name}.quarantine.jsonl")
