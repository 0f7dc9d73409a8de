"""The report: what became of every record, per stream, in counts that add up."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from tailrace.model import Inexact, Noted, Published

MAX_NAMES = 100
"""The unknown fields of a stream that are told and counted by name."""

MAX_NAME_LENGTH = 200
"""The characters of a name that are told."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One stream's counts, in records, save for `deleted` and `bytes`.

    read = loaded + deduplicated + filtered + quarantined + uncommitted. `updated` are those of `loaded` that changed
    a row that was there. `deleted` counts table rows that went away or were marked. `uncommitted` is 0 when a run ended
    well. `unknown_fields` are by field, a hundred at most, and `other_unknown_fields` counts the values of all others.
    `inexact`, and `coerced` as another type than the schema's, are by column; `odd` by member of the message.
    `without_time_extracted` counts rows whose metadata column is null for want of a time.
    """

    read: int = 0
    loaded: int = 0
    updated: int = 0
    deleted: int = 0
    deduplicated: int = 0
    filtered: int = 0
    quarantined: int = 0
    bytes: int = 0
    unknown_fields: Mapping[str, int] = field(default_factory=dict)
    other_unknown_fields: int = 0
    inexact: Mapping[str, Inexact] = field(default_factory=dict)
    coerced: Mapping[str, Noted] = field(default_factory=dict)
    odd: Mapping[str, Noted] = field(default_factory=dict)
    without_time_extracted: int = 0

    @property
    def uncommitted(self) -> int:
        """Records read that no checkpoint covers."""
        return self.read - self.loaded - self.deduplicated - self.filtered - self.quarantined


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. `state` is the last state told, as JSON; `checkpoint` the pipeline's last checkpoint number."""

    pipeline: str | None
    streams: Mapping[str, StreamReport]
    checkpoints: int
    checkpoint: int
    state: str | None
    started_at: datetime
    finished_at: datetime

    @property
    def total(self) -> StreamReport:
        """The sum of all streams."""
        counts = ("read", "loaded", "updated", "deleted", "deduplicated", "filtered", "quarantined", "bytes")
        return StreamReport(**{name: sum(getattr(s, name) for s in self.streams.values()) for name in counts})

    def as_dict(self) -> dict[str, object]:
        """The report as JSON values; times in ISO 8601, the state as the JSON value that it is."""
        streams = {name: asdict(s) | {"uncommitted": s.uncommitted} for name, s in self.streams.items()}
        total = asdict(self.total) | {"uncommitted": self.total.uncommitted}
        by_name = ("unknown_fields", "other_unknown_fields", "inexact", "coerced", "odd", "without_time_extracted")
        for name in by_name:
            del total[name]
        return {
            "pipeline": self.pipeline,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "seconds": (self.finished_at - self.started_at).total_seconds(),
            "checkpoints": self.checkpoints,
            "checkpoint": self.checkpoint,
            "state": None if self.state is None else json.loads(self.state),
            "streams": streams,
            "total": total,
        }

    def _repr_html_(self) -> str:
        """What a notebook shows of the report."""
        html: str = import_module("tailrace.runtime.notebook").report_html(self)
        return html

    def write(self, path: Path) -> None:
        """Write the report as a JSON file."""
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")


class Tally:
    """The counts of a run while it goes on. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._unknown: dict[str, Counter[str]] = {}
        self._other_unknown: Counter[str] = Counter()
        self._noted: dict[tuple[str, str], dict[str, Any]] = {}
        self.checkpoints = 0
        self.checkpoint = 0
        self.state: bytes | None = None

    def add(self, stream: str, **counts: int) -> None:
        """Add to a stream's counts, by the names that StreamReport has."""
        with self._lock:
            self._counts.setdefault(stream, Counter()).update(counts)

    def add_staged(self, stream: str, found: StreamReport) -> None:
        """Add the counts of what a worker has staged of a stream, but those of which something is told."""
        self.add(
            stream,
            read=found.read,
            filtered=found.filtered,
            bytes=found.bytes,
            without_time_extracted=found.without_time_extracted,
        )
        with self._lock:
            self._other_unknown[stream] += found.other_unknown_fields

    def add_unknown(self, stream: str, fields: Mapping[str, int]) -> Iterable[str]:
        """Count values of fields that the schema doesn't name; gives the fields that are new.

        A hundred fields of a stream are counted by their names, which an input may have as many of as it likes.
        """
        with self._lock:
            known = self._unknown.setdefault(stream, Counter())
            first = []
            for name, count in fields.items():
                shown = name if len(name) <= MAX_NAME_LENGTH else name[:MAX_NAME_LENGTH] + "…"
                if shown not in known:
                    if len(known) >= MAX_NAMES:
                        self._other_unknown[stream] += count
                        continue
                    first.append(shown)
                known[shown] += count
            return first

    def add_noted(self, stream: str, what: str, noted: Mapping[str, Noted]) -> Iterable[str]:
        """Count values of which something is told: inexact, coerced or odd; gives the names that are new."""
        with self._lock:
            known = self._noted.setdefault((stream, what), {})
            first = [name for name in noted if name not in known]
            for name, more in noted.items():
                known[name] = known[name] + more if name in known else more
            return first

    def add_published(self, published: Mapping[str, Published]) -> None:
        """Count what a commit did."""
        for stream, rows in published.items():
            self.add(
                stream,
                loaded=rows.inserted + rows.updated + rows.removals,
                updated=rows.updated,
                deleted=rows.deleted,
                deduplicated=rows.deduplicated + rows.ignored,
            )

    def report(self, pipeline: str | None, started_at: datetime, finished_at: datetime) -> Report:
        """The counts as they stand, as the report of a run."""
        return Report(
            pipeline=pipeline,
            streams=self.streams(),
            checkpoints=self.checkpoints,
            checkpoint=self.checkpoint,
            state=None if self.state is None else self.state.decode(),
            started_at=started_at,
            finished_at=finished_at,
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """The counts alone as they stand, those that aren't 0, by stream in the order of their first message."""
        with self._lock:
            return {name: dict(counts) for name, counts in self._counts.items()}

    def streams(self) -> dict[str, StreamReport]:
        """The counts as they stand, by stream in the order of their first message."""
        with self._lock:
            return {
                name: StreamReport(
                    **counts,
                    unknown_fields=dict(self._unknown.get(name, {})),
                    other_unknown_fields=self._other_unknown[name],
                    inexact=dict(self._noted.get((name, "inexact"), {})),
                    coerced=dict(self._noted.get((name, "coerced"), {})),
                    odd=dict(self._noted.get((name, "odd"), {})),
                )
                for name, counts in self._counts.items()
            }
