"""A worker's task: one input is read, decoded and staged whole, or left to the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import replace
from typing import BinaryIO

from msgspec import Struct, field

from tailrace import compute as pc
from tailrace.config import Settings
from tailrace.destination import Stager
from tailrace.errors import DestinationError, TailraceError
from tailrace.log import get_logger
from tailrace.model import LINE, Batch, Checkpoint, Noted, Published, Receipt, Stream, Traits
from tailrace.parallel.positions import require_few
from tailrace.runtime.adoption import StagedInput
from tailrace.runtime.report import Tally
from tailrace.runtime.sink import OneByOne
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader
from tailrace.singer.source import decompressed

_log = get_logger("parallel")
_CHUNK_BYTES = 2**20
_NEVER = 2**62


class NotPlannedError(DestinationError):
    """Rows come under a plan that the driver hasn't prepared."""


class Task(Struct, frozen=True):
    """What a worker needs to stage one input; picklable.

    `open` opens the input, `base` is added to its lines. `stagers` are by the plans that the driver has prepared, with
    revision 0.
    """

    name: str
    open: Callable[[], BinaryIO]
    base: int
    settings: Settings
    traits: Traits
    stagers: Mapping[Stream, Stager]


class Left(Struct, frozen=True):
    """An input that the driver has to load by itself, for a reason that the log tells; nothing of it is staged."""

    reason: str


class _Silent(Tally):
    """Counts as Tally does, and finds nothing new to tell: the driver tells it."""

    def add_unknown(self, stream: str, fields: Mapping[str, int]) -> Iterable[str]:
        super().add_unknown(stream, fields)
        return ()

    def add_noted(self, stream: str, what: str, noted: Mapping[str, Noted]) -> Iterable[str]:
        super().add_noted(stream, what, noted)
        return ()


def stage_input(task: Task) -> StagedInput | Left:
    """Stage all of an input, or nothing. It keeps one core busy, since there are as many workers as cores.

    What only a run in order can do is left to the driver: versions that are activated, streams that grow, records
    that are refused, plans that aren't prepared, and every failure.
    """
    stagers = {plan: copy(stager) for plan, stager in task.stagers.items()}
    elsewhere = _Elsewhere(task.traits, stagers, task.base)
    target = Target(elsewhere, _alone(task.settings), tell=lambda _state: None, tally=_Silent(), threads=OneByOne())
    reader = Reader(max_line_bytes=task.settings.max_line_bytes)
    try:
        target.begin()
        with decompressed(task.open(), task.name) as source:
            while chunk := source.read(_CHUNK_BYTES):
                for block in reader.feed(chunk):
                    target.accept(block)
                target.settle()
        for block in reader.finish():
            target.accept(block)
        target.end()
        require_few(reader.line, task.name)
        return StagedInput(
            elsewhere.receipts(), target.tally.streams(), elsewhere.state, task.base + max(reader.line, 1)
        )
    except TailraceError as error:
        elsewhere.discard()
        return Left(str(error))
    except BaseException:
        elsewhere.discard()
        raise
    finally:
        target.close()


def _alone(settings: Settings) -> Settings:
    """The settings of a run over one input, whose only checkpoint is its end."""
    changed = {
        "pipeline": None,
        "on_invalid": "fail",
        "checkpoint_rows": _NEVER,
        "checkpoint_bytes": _NEVER,
        "checkpoint_age_s": float(_NEVER),
        "commit_without_state": False,
        "max_parallelism": 1,
    }
    return settings.model_copy(update=changed)


class _Elsewhere(Struct):
    """A Destination that only stages, by what the driver has given; its commit is the driver's."""

    traits: Traits
    stagers: Mapping[Stream, Stager]
    base: int
    state: bytes | None = None
    _used: dict[Stream, Receipt] = field(default_factory=dict)

    def recover(self, pipeline: str) -> Checkpoint | None:
        """Nothing is remembered here."""
        del pipeline
        return None

    def prepare(self, stream: Stream) -> None:
        """See that the driver has prepared the plan."""
        if replace(stream, revision=0) not in self.stagers:
            raise NotPlannedError(f"stream {stream.name!r} comes under a SCHEMA that isn't prepared yet")

    def stage(self, batch: Batch) -> Receipt:
        """Stage the rows under their positions; see Destination."""
        plan = replace(batch.stream, revision=0)
        lines = pc.add(batch.rows[LINE], self.base)
        rows = batch.rows.set_column(batch.rows.num_columns - 1, batch.rows.schema.field(LINE), lines)
        placed = replace(batch, stream=plan, rows=rows)
        before = self._used.get(plan)
        if before and any(r.first_line > before.last_line for r in self._used.values() if r.stream.name == plan.name):
            raise NotPlannedError(f"stream {plan.name!r} has several SCHEMAs in turns, which are taken in order")
        first_line = before.first_line if before else placed.first_line
        count = (before.rows if before else 0) + rows.num_rows
        self._used[plan] = Receipt(plan, batch.checkpoint, count, first_line, placed.last_line)
        self.stagers[plan].stage(placed)
        return batch.receipt(rows.num_rows)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Seal what is staged; see Destination."""
        if checkpoint.activate:
            raise NotPlannedError("it activates versions, which is done in the order of lines")
        self.state = checkpoint.state
        self._used = {plan: replace(receipt, token=self.stagers[plan].seal()) for plan, receipt in self._used.items()}
        return {}

    def receipts(self) -> tuple[Receipt, ...]:
        """What is staged, in the order of lines."""
        return tuple(sorted(self._used.values(), key=lambda receipt: receipt.first_line))

    def is_transient(self, error: Exception) -> bool:
        """Never: the driver tries again."""
        del error
        return False

    def discard(self) -> None:
        """Remove what is staged."""
        for plan in self._used:
            self.stagers[plan].discard()

    def close(self) -> None:
        """Nothing is open here."""
