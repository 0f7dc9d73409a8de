"""Memory: tables as lists of rows in this process; the model that the other destinations are compared to.

*Durable when* never: everything is gone with the process.
*Visible when* commit() returns.
*Load verb* a list's extend.
*Source* this file.

`memory://name` is one place for the whole process: another destination of that name finds its tables and checkpoints.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field

from tailrace.destination import Destination
from tailrace.destinations.memory.tables import MemoryTable, Part, Row, as_kind, made, merged, widen
from tailrace.errors import DestinationError, FencedError, RowsRefusedError
from tailrace.model import LINE, Batch, Checkpoint, Method, Published, Receipt, Stream, Traits
from tailrace.schema.cast import CASTS, cast_rows
from tailrace.schema.evolve import Fit, changes
from tailrace.schema.keys import Keys
from tailrace.schema.kinds import WIDENINGS
from tailrace.schema.steps import as_replaced, rows_by_token, steps_of

TRAITS = Traits(name="memory", guarantee="exactly once, for as long as the process lives", case_sensitive=True)

_ALTERABLE = frozenset((have, want) for have, wants in WIDENINGS.items() for want in wants if (have, want) in CASTS)


class Settings(BaseModel):
    """The settings of the memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", description="Which of the process's places: equal names are one place.")


SETTINGS = Settings


def from_url(url: str) -> dict[str, object]:
    """The name in `memory://name`."""
    return {"name": urlsplit(url).netloc}


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return MemoryDestination(settings.name)


class TransientError(DestinationError):
    """A failure that may pass."""


class Fault(Struct, frozen=True):
    """A failure on request: the error, and whether it comes after the call has taken effect."""

    error: Exception
    after: bool = False


class _Place(Struct):
    """What all destinations of one name share.

    A table's name is preceded by the pipeline that builds it to replace another; that is empty for visible ones.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    tables: dict[tuple[str, str], MemoryTable] = field(default_factory=dict)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    fences: dict[str, str] = field(default_factory=dict)


_PLACES: dict[str, _Place] = {}


class MemoryDestination:
    """A Destination whose tables are lists of rows.

    `fail_at` asks for failures: ("commit", 2) is the second call of commit(). `refuses` gives the reason why a row, by
    the table's column names, is refused, or None.
    """

    traits = TRAITS

    def __init__(
        self,
        name: str = "",
        fail_at: Mapping[tuple[str, int], Fault] | None = None,
        refuses: Callable[[Row], str | None] | None = None,
    ) -> None:
        self._made_from = (name, fail_at, refuses)
        self._place = _PLACES.setdefault(name, _Place())
        self._fail_at = fail_at or {}
        self._refuses = refuses or (lambda _: None)
        self._calls: dict[str, int] = {}
        self._pipeline = ""
        self._fence = ""
        self._staged: dict[str, tuple[Batch, Fit]] = {}
        self._keys = Keys(TRAITS)

    def __reduce__(self) -> tuple[object, ...]:
        return MemoryDestination, self._made_from

    def tables(self) -> dict[str, list[Row]]:
        """The committed rows of every table, by its name."""
        with self._place.lock:
            visible = {name: table.rows for (owner, name), table in self._place.tables.items() if not owner}
            return {name: [dict(row) for row in rows] for name, rows in visible.items()}

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Destination."""
        with self._call("recover"):
            self._staged.clear()
            self._keys.begin()
            self._pipeline = pipeline
            self._fence = self._place.fences[pipeline] = secrets.token_hex(8)
            for owner, table in list(self._place.tables):
                if owner == pipeline:
                    del self._place.tables[owner, table]
            return self._place.checkpoints.get(pipeline)

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Remembering."""
        with self._place.lock:
            return self._place.checkpoints.get(pipeline)

    def prepare(self, stream: Stream) -> None:
        """Make the table exist and fit the stream; see Destination."""
        with self._call("prepare"):
            self._fitted(stream)

    def stage(self, batch: Batch) -> Receipt:
        """Keep the batch's rows until commit; see Destination."""
        with self._call("stage"):
            stream, fit = batch.stream, self._fitted(batch.stream)
            rows, reasons = cast_rows(batch.rows, stream, fit.targets)
            staged = rows.to_pylist()
            for row in staged:
                reason = self._refuses({name: value for name, value in row.items() if name != LINE})
                if reason:
                    reasons[row[LINE]] = reason
            if reasons:
                raise RowsRefusedError(f"the table {stream.table} refuses {len(reasons)} rows", reasons)
            token = secrets.token_hex(8)
            self._staged[token] = batch, fit
            return batch.receipt(len(staged), token)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Publish the receipts, apply the activations and store the state; see Destination."""
        with self._call("commit"):
            checkpoints, pipeline = self._place.checkpoints, checkpoint.pipeline
            last = checkpoints.get(pipeline)
            if self._place.fences.get(pipeline) != self._fence or checkpoint.number != (last.number if last else 0) + 1:
                raise FencedError(pipeline)
            staged = {token: batch.rows.num_rows for token, (batch, _) in self._staged.items()}
            if rows_by_token(checkpoint.publish) != Counter(staged):
                raise DestinationError(f"checkpoint {checkpoint.number} doesn't publish what is staged")
            published = self._published(checkpoint)
            checkpoints[pipeline] = Checkpoint(pipeline, checkpoint.number, checkpoint.state, checkpoint.at)
            if checkpoint.is_forgotten:
                del checkpoints[pipeline]
            self._staged.clear()
            return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated; see Destination."""
        return isinstance(error, TransientError)

    def close(self) -> None:
        """Forget what isn't committed; repeatable."""
        self._staged.clear()

    @contextmanager
    def _call(self, verb: str) -> Iterator[None]:
        """One call at a time, which fails if that was asked for."""
        with self._place.lock:
            self._calls[verb] = self._calls.get(verb, 0) + 1
            fault = self._fail_at.get((verb, self._calls[verb]))
            if fault and not fault.after:
                raise fault.error
            yield
            if fault:
                raise fault.error

    def _name(self, stream: Stream) -> tuple[str, str]:
        """The table that the stream's rows go into."""
        return self._pipeline if stream.method is Method.REPLACE else "", str(stream.table)

    def _fitted(self, stream: Stream) -> Fit:
        """Which of the table's columns takes each of the stream's, once the table fits."""
        self._keys.accept(stream)
        tables, name = self._place.tables, self._name(stream)
        present = tables.get(("", str(stream.table)))
        if stream.method is Method.REPLACE and stream.contract != "evolve" and present:
            stream = as_replaced(stream, changes(present.columns, stream, TRAITS, _ALTERABLE).targets)
        if name not in tables:
            columns_made = [made(column, nullable=column.name not in stream.key) for column in stream.columns]
            tables[name] = MemoryTable(columns_made, stream.key)
        table = tables[name]
        fit = changes(table.columns, stream, TRAITS, _ALTERABLE, table.key)
        table.columns += [made(column) for column in fit.add]
        for row in table.rows:
            row.update(dict.fromkeys([column.name for column in fit.add]))
        for widening in fit.widen:
            widen(table, widening)
        return fit

    def _published(self, checkpoint: Checkpoint) -> dict[str, Published]:
        """Work on copies of the tables, which take the tables' places at the end."""
        tables: dict[tuple[str, str], MemoryTable] = {}
        published: dict[str, Published] = {}
        for activation in checkpoint.activate:
            self._fitted(activation.stream)
        for steps in steps_of(self._parts(), checkpoint.activate):
            stream = (steps.activations or steps.staged)[-1].stream
            targets, name = self._fitted(stream).targets, self._name(stream)
            have = self._place.tables[name]
            table = tables[name] = MemoryTable(have.columns, have.key, [dict(row) for row in have.rows])
            published[steps.name] = merged(table, steps, targets, checkpoint.at)
        self._place.tables |= tables
        for stream in checkpoint.replace:
            self._fitted(stream)
            old = self._place.tables.get(("", str(stream.table)))
            self._place.tables["", str(stream.table)] = self._place.tables.pop(self._name(stream))
            swapped = Published(deleted=len(old.rows) if old else 0)
            published[stream.name] = published.get(stream.name, Published()) + swapped
        return published

    def _parts(self) -> list[Part]:
        """What is staged of each revision of a stream, in the order of lines; columns may be wider by now."""
        parts: dict[Stream, Part] = {}
        for batch, fit in sorted(self._staged.values(), key=lambda each: each[0].first_line):
            part = parts.setdefault(batch.stream, Part(batch.stream, fit.targets, fit.cleared, []))
            part.rows.extend(self._rows(batch, fit))
            part.rows.sort(key=lambda row: row[LINE])
        return list(parts.values())

    def _rows(self, batch: Batch, fit: Fit) -> list[Row]:
        """A batch's rows as the table takes them."""
        table = self._place.tables[self._name(batch.stream)]
        rows = cast_rows(batch.rows, batch.stream, fit.targets)[0]
        values = {name: rows[name].to_pylist() for name in rows.column_names}
        wanted = {column.name: column for column in table.columns}
        for have in fit.targets.values():
            if have.kind is not wanted[have.name].kind or have.spelling != wanted[have.name].spelling:
                values[have.name] = as_kind(values[have.name], have, wanted[have.name])
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
