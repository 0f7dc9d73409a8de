"""The quarantine: a JSON Lines file of refused records, durable before the checkpoint that skips them is committed.

The file holds three kinds of entries, told apart by their first key: `schema` (a stream's SCHEMA message, before
its first refused record of a run), `record` (a refused record as sent, with its reasons), and `checkpoint` (all of
that run's entries up to that line are covered by that checkpoint once it is committed).
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from tailrace.errors import ConfigError, MessageError
from tailrace.model import Refused, Stream
from tailrace.singer.messages import SchemaMessage
from tailrace.singer.writer import schema_line


class Quarantine:
    """One run's end of a quarantine file. Thread-safe. The file is made with the first refused record."""

    def __init__(self, path: Path, pipeline: str, run: str) -> None:
        self._path = path
        self._pipeline = pipeline
        self._run = run
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._schemas: dict[str, bytes] = {}

    def recover(self, committed: int) -> None:
        """Drop what earlier runs of the pipeline set aside beyond their last committed checkpoint."""
        if not self._path.exists():
            return
        kept = list(_kept_entries(self._path, self._pipeline, committed))
        beside = self._path.with_name(self._path.name + ".new")
        with beside.open("wb") as file:
            file.writelines(kept)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def add(self, stream: Stream, schema: SchemaMessage, refused: Refused) -> None:
        """Set a refused record aside."""
        with self._lock:
            if self._schemas.get(stream.name) != stream.json_schema:
                self._schemas[stream.name] = stream.json_schema
                message = schema_line(stream.name, msgspec.Raw(stream.json_schema), schema.key_properties)
                self._write({"schema": message.decode().rstrip("\n"), "stream": stream.name})
            self._write(_raw_text(refused.raw) | _reasons(refused))

    def cover(self, checkpoint: int, until_line: int) -> None:
        """Make everything set aside up to that line durable, for that checkpoint."""
        with self._lock:
            if self._file is None:
                return
            self._write({"checkpoint": checkpoint, "until_line": until_line})
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, entry: dict[str, object]) -> None:
        if self._file is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
            except OSError as error:
                raise ConfigError(
                    f"{self._path} can't be written: {error.strerror}", key="quarantine", hint="name another file"
                ) from error
        self._file.write(msgspec.json.encode(entry | {"pipeline": self._pipeline, "run": self._run}) + b"\n")


def quarantined_messages(path: Path) -> Iterator[bytes]:
    """The SCHEMA and RECORD lines of a quarantine file, as the tap sent them, to be loaded again."""
    for number, entry in enumerate(_entries(path), start=1):
        if "schema" in entry:
            yield str(entry["schema"]).encode() + b"\n"
        elif "record" in entry or "record_base64" in entry:
            raw = entry.get("record")
            yield (base64.b64decode(str(entry["record_base64"])) if raw is None else str(raw).encode()) + b"\n"
        elif "checkpoint" not in entry:
            raise MessageError(f"{path} isn't a quarantine file: an entry without record", line=number)


def _raw_text(raw: bytes) -> dict[str, object]:
    try:
        return {"record": raw.decode()}
    except UnicodeDecodeError:
        return {"record_base64": base64.b64encode(raw).decode()}


def _reasons(refused: Refused) -> dict[str, object]:
    reasons = [{"code": v.code, "path": v.path, "expected": v.expected, "got": v.got} for v in refused.violations]
    return {"stream": refused.stream, "line": refused.line, "reasons": reasons}


def _entries(path: Path) -> Iterator[dict[str, object]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield msgspec.json.decode(line, type=dict[str, object])
            except msgspec.DecodeError as error:
                if not line.endswith(b"\n"):
                    return
                raise MessageError(f"{path} isn't a quarantine file: {error}", line=number) from error


def _kept_entries(path: Path, pipeline: str, committed: int) -> Iterator[bytes]:
    """The lines of a quarantine file that committed checkpoints cover, or that other pipelines own."""
    covered: dict[object, int] = {}
    for entry in _entries(path):
        if "checkpoint" in entry and entry["pipeline"] == pipeline and int(str(entry["checkpoint"])) <= committed:
            run = entry["run"]
            covered[run] = max(covered.get(run, 0), int(str(entry["until_line"])))
    for entry in _entries(path):
        own = entry["pipeline"] == pipeline
        line = int(str(entry.get("line", entry.get("until_line", 0))))
        if not own or ("schema" in entry and entry["run"] in covered) or line <= covered.get(entry["run"], -1):
            yield msgspec.json.encode(entry) + b"\n"
