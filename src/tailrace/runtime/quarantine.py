"""The quarantine: a JSON Lines file of refused records, durable before the checkpoint that skips them is committed.

The file holds four kinds of entries, told apart by their first key: `schema` (a stream's SCHEMA message, before its
first refused record of a run), `record` (a refused record as sent, with its reasons; `record_base64` where it isn't
UTF-8), `checkpoint` (all of that run's entries up to that line are covered by that checkpoint once it is committed),
and `void` (entries of that earlier run behind that line count for nothing: no committed checkpoint covers them, so
their records came again).
Entries are added at the end and never taken away. One run at a time has the file.
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from tailrace.decode.refused import RefusedLines
from tailrace.errors import ConfigError, MessageError, Violation
from tailrace.log import get_logger
from tailrace.model import Refused, Stream
from tailrace.runtime.lockedfile import LockedFile, lock
from tailrace.singer.messages import SchemaMessage
from tailrace.singer.writer import schema_line

_KEY = "quarantine"
_WAITING_BYTES = 2**16

_ENCODER = msgspec.json.Encoder()

_Entry = dict[str, object]
_log = get_logger("quarantine")


class _Record(msgspec.Struct):
    """The entry of a refused record; its first member tells what it is."""

    record: str
    stream: str
    line: int
    reasons: tuple[Violation, ...]
    pipeline: str
    run: str


class _Base64Record(msgspec.Struct):
    """The entry of a refused record that isn't UTF-8."""

    record_base64: str
    stream: str
    line: int
    reasons: tuple[Violation, ...]
    pipeline: str
    run: str


class Quarantine:
    """One run's end of a quarantine file, from `open` to `close`. Thread-safe."""

    def __init__(self, path: Path, pipeline: str, run: str) -> None:
        self._path = path
        self._pipeline = pipeline
        self._run = run
        self._lock = threading.Lock()
        self._file: LockedFile | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._schemas: dict[str, bytes] = {}
        self._has_entries = False

    def open(self) -> None:
        """Take the file; raises ConfigError when another run has it, or it can't be written. Repeatable."""
        if self._file is None:
            self._file = LockedFile(self._path, _KEY)

    def recover(self, committed: int) -> None:
        """Void what earlier runs of the pipeline set aside beyond their last committed checkpoint."""
        self.open()
        with self._lock:
            for run, line in self._uncommitted(committed).items():
                self._put({"void": run, "beyond_line": line})
            self._flush(is_durable=True)

    def add(self, stream: Stream, schema: SchemaMessage, refused: Sequence[Refused]) -> None:
        """Set refused records of a stream aside, of which there is one at least."""
        self.open()
        with self._lock:
            if self._schemas.get(stream.name) != stream.json_schema:
                self._schemas[stream.name] = stream.json_schema
                message = schema_line(stream.name, msgspec.Raw(stream.json_schema), schema.key_properties)
                self._put({"schema": message.decode().rstrip("\n"), "stream": stream.name})
            self._has_entries = True
            if isinstance(refused, RefusedLines):
                written = refused.entries(pipeline=self._pipeline, run=self._run)
            else:
                written = map(self._entry, refused)
            for some in written:
                self._wait(some)
                if self._waiting_bytes >= _WAITING_BYTES:
                    self._flush(is_durable=False)

    def cover(self, checkpoint: int, until_line: int) -> None:
        """Make everything set aside up to that line durable, for that checkpoint."""
        with self._lock:
            if self._has_entries:
                self._put({"checkpoint": checkpoint, "until_line": until_line})
                self._flush(is_durable=True)

    def close(self) -> None:
        """Let go of the file, which is gone if nothing was set aside in it. Repeatable."""
        with self._lock:
            if self._file is None:
                return
            try:
                self._flush(is_durable=False)
            except ConfigError as error:  # no checkpoint covers what is lost so
                _log.warning(str(error))
            self._file.close()
            self._file = None

    def _uncommitted(self, committed: int) -> dict[object, int]:
        try:
            with self._path.open("rb") as file:
                return _uncommitted(_entries(file, self._path), self._pipeline, committed)
        except MessageError as error:
            raise ConfigError(str(error), key=_KEY, hint="name another file") from error

    def _put(self, entry: _Entry) -> None:
        self._wait(msgspec.json.encode(entry | {"pipeline": self._pipeline, "run": self._run}) + b"\n")

    def _wait(self, entries: bytes) -> None:
        self._waiting.append(entries)
        self._waiting_bytes += len(entries)

    def _entry(self, refused: Refused) -> bytes:
        entry: _Record | _Base64Record
        try:
            entry = _Record(
                refused.raw.decode(), refused.stream, refused.line, refused.violations, self._pipeline, self._run
            )
        except UnicodeDecodeError:
            raw = base64.b64encode(refused.raw).decode()
            entry = _Base64Record(raw, refused.stream, refused.line, refused.violations, self._pipeline, self._run)
        return _ENCODER.encode(entry) + b"\n"

    def _flush(self, *, is_durable: bool) -> None:
        waiting = b"".join(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        if waiting and self._file is not None:
            self._file.append(waiting)
            if is_durable:
                self._file.sync()


def quarantined_messages(path: Path) -> Iterator[bytes]:
    """The SCHEMA and RECORD lines of a quarantine file, as the tap sent them, to be loaded again.

    What no checkpoint covers is left out, and counted in the log: the tap sends it again. Raises ConfigError while a
    run is writing to the file; until the last line is taken none can.
    """
    with path.open("rb") as file:
        if not lock(file.fileno(), path, shared=True):
            raise ConfigError(f"a run is writing to {path}", key="FILE", hint="replay it once that has ended")
        covered = _covered(_entries(file, path))
        file.seek(0)
        left_out = 0
        for entry in _entries(file, path):
            limit = covered.get(entry["run"], 0) if "run" in entry else math.inf
            if "schema" in entry and limit:
                yield str(entry["schema"]).encode() + b"\n"
            elif _has_record(entry) and _number(entry, "line") <= limit:
                raw = entry.get("record")
                yield (base64.b64decode(str(entry["record_base64"])) if raw is None else str(raw).encode()) + b"\n"
            elif _has_record(entry):
                left_out += 1
        if left_out:
            _log.warning("records that no checkpoint covers are left out: the tap sends them again", records=left_out)


def _has_record(entry: _Entry) -> bool:
    return "record" in entry or "record_base64" in entry


def _number(entry: _Entry, key: str) -> int:
    value = entry.get(key, 0)
    return value if isinstance(value, int) else 0


def _entries(file: BinaryIO, path: Path) -> Iterator[_Entry]:
    """The entries of a quarantine file; a last line that was cut off by a crash is none."""
    for number, line in enumerate(file, start=1):
        try:
            entry = msgspec.json.decode(line, type=_Entry)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if not line.endswith(b"\n"):
                return
            raise MessageError(
                f"{path} isn't a quarantine file: its entries are objects of JSON", line=number
            ) from error
        if not (_has_record(entry) or {"schema", "checkpoint", "void"} & entry.keys()):
            raise MessageError(f"{path} isn't a quarantine file: an entry without record", line=number)
        yield entry


class _Run(Struct):
    """What a quarantine file says of a run, by lines of its input; `void` is None before another run has settled it."""

    last: int = 0
    covered: int = 0
    void: int | None = None


def _covered(entries: Iterable[_Entry]) -> dict[object, int]:
    """The line up to which each run's entries count."""
    runs = _runs(entries)
    return {name: run.covered if run.void is None else min(run.covered, run.void) for name, run in runs.items()}


def _uncommitted(entries: Iterable[_Entry], pipeline: str, committed: int) -> dict[object, int]:
    """The pipeline's runs with entries that no committed checkpoint covers, and the line behind which these are."""
    own = (entry for entry in entries if entry.get("pipeline") == pipeline)
    runs = _runs(own, committed)
    return {name: run.covered for name, run in runs.items() if run.void is None and run.last > run.covered}


def _runs(entries: Iterable[_Entry], committed: float = math.inf) -> dict[object, _Run]:
    """All runs, with what checkpoints up to a number cover."""
    runs: dict[object, _Run] = {}
    for entry in entries:
        if "void" in entry:
            runs.setdefault(entry["void"], _Run()).void = _number(entry, "beyond_line")
            continue
        run = runs.setdefault(entry.get("run"), _Run())
        if "checkpoint" in entry and _number(entry, "checkpoint") <= committed:
            run.covered = max(run.covered, _number(entry, "until_line"))
        elif _has_record(entry):
            run.last = max(run.last, _number(entry, "line"))
    return runs
