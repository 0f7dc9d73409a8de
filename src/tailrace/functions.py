"""A function as a destination: it takes batches of rows, and each at least once."""

from __future__ import annotations

import inspect
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import update_wrapper
from heapq import merge
from itertools import repeat
from pathlib import Path
from typing import Any, overload

import pyarrow as pa

from tailrace.checkpoint_files import CheckpointFiles, Checkpoints, RunCheckpoints
from tailrace.errors import ConfigError, DestinationError, TailraceError
from tailrace.model import LINE, Batch, Checkpoint, Method, Published, Receipt, Stream, Traits
from tailrace.pipelines import is_unnamed
from tailrace.schema.keys import Keys
from tailrace.schema.steps import rows_by_token
from tailrace.spool import Spool

Taker = Callable[..., object]
"""Takes a pyarrow.RecordBatch, and by name `stream`, `table` and `key` where it has these; see `destination`."""

_ASKED = ("stream", "table", "key")


class FunctionDestination:
    """A Destination that calls a function at each commit, with the rows in the order of their lines.

    The state is told, and the checkpoint kept, once the function has returned from the last batch. If the run ends in
    between, the next one calls it with the same rows again. Calling the destination calls the function.
    """

    def __init__(self, function: Taker, checkpoints: str | Path | None = None) -> None:
        self._function = function
        self._asked = _asked(function)
        self._folder = None if checkpoints is None else Path(checkpoints)
        name = str(getattr(function, "__name__", type(function).__name__))
        methods = frozenset({Method.APPEND})
        self.traits = Traits(name, "at least once", 4096, methods=methods, case_sensitive=True, is_serial=True)
        self._lock = threading.RLock()
        self._keys = Keys(self.traits)
        self._checkpoints: Checkpoints | None = None
        self._spool = Spool()
        self._rows: Counter[str] = Counter()
        update_wrapper(self, function)

    def __reduce__(self) -> str | tuple[object, ...]:
        name = getattr(self._function, "__qualname__", "")
        module = inspect.getmodule(self._function)
        if getattr(module, name, None) is self:
            return str(name)  # it stands where the function was
        return type(self), (self._function, self._folder)

    def __call__(self, *arguments: Any, **named: Any) -> object:
        """What the function gives."""
        return self._function(*arguments, **named)

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint, where it is kept; see Destination."""
        with self._lock:
            self._discard()
            self._keys.begin()
            self._checkpoints = self._checkpoints_of(pipeline)
            return self._checkpoints.recover(pipeline)

    def _checkpoints_of(self, pipeline: str) -> Checkpoints:
        if is_unnamed(pipeline):
            return self._checkpoints if isinstance(self._checkpoints, RunCheckpoints) else RunCheckpoints()
        if self._folder is None:
            raise ConfigError(
                "a function remembers no pipeline",
                key="pipeline",
                hint="decorate it by @tailrace.destination(checkpoints='folder'), or name no pipeline",
            )
        return CheckpointFiles(self._folder)

    def prepare(self, stream: Stream) -> None:
        """Nothing but to keep streams to their key; see Destination."""
        with self._lock:
            self._keys.accept(stream)

    def stage(self, batch: Batch) -> Receipt:
        """Keep the batch's rows until commit; see Destination."""
        self._spool.add(batch)
        token = secrets.token_hex(8)
        with self._lock:
            self._rows[token] = batch.rows.num_rows
        return batch.receipt(batch.rows.num_rows, token)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Call the function, and then store the state; see Destination."""
        with self._lock:
            if self._checkpoints is None:
                raise DestinationError("nothing can be committed before the pipeline is recovered")
            if rows_by_token(checkpoint.publish) != self._rows:
                raise DestinationError(f"checkpoint {checkpoint.number} doesn't publish what is staged")
            published: dict[str, Published] = {}
            with self._checkpoints.committing(checkpoint):
                for stream, rows in self._in_order():
                    self._hand_over(stream, rows.drop_columns(LINE))
                    done = Published(inserted=rows.num_rows)
                    published[stream.name] = published.get(stream.name, Published()) + done
            self._discard()
            return published

    def is_transient(self, error: Exception) -> bool:
        """Never, since the function may have taken rows; see Destination."""
        del error
        return False

    def close(self) -> None:
        """Discard what isn't committed; repeatable."""
        with self._lock:
            self._discard()

    def _hand_over(self, stream: Stream, rows: pa.Table) -> None:
        given = {"stream": stream.name, "table": str(stream.table), "key": stream.key}
        named = {name: given[name] for name in self._asked}
        for batch in rows.combine_chunks().to_batches():
            try:
                _require_done(self._function(batch, **named))
            except TailraceError:
                raise
            except Exception as error:
                words = f"{type(error).__name__}: {error}"
                raise DestinationError(
                    f"the function {self.traits.name} failed on rows of stream {stream.name!r}: {words}"
                ) from error

    def _in_order(self) -> Iterator[tuple[Stream, pa.Table]]:
        """Batches in the order of their first lines."""
        several = (zip(repeat(stream), self._spool.read(stream), strict=False) for stream in self._spool.streams)
        return merge(*several, key=lambda each: each[1][LINE][0].as_py())

    def _discard(self) -> None:
        self._spool.clear()
        self._rows.clear()


def _require_done(given: object) -> None:
    """Raise TypeError where a function gives what has yet to be awaited or iterated over, and has done nothing."""
    if inspect.isgenerator(given) or inspect.isasyncgen(given) or inspect.isawaitable(given):
        if inspect.iscoroutine(given):
            given.close()
        raise TypeError(f"it gives a {type(given).__name__}, so that nothing is done yet; let it do all by itself")


def _asked(function: Taker) -> tuple[str, ...]:
    """Which of the things that a function may ask for it has parameters for; TypeError where it asks for others."""
    several = [*inspect.signature(function).parameters.values()]
    if not several:
        raise TypeError("a destination's function takes a batch")
    others = several[1:]
    names = [p.name for p in others if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
    unknown = [p.name for p in others if p.name in names and p.name not in _ASKED and p.default is p.empty]
    if unknown:
        known = ", ".join(_ASKED)
        raise TypeError(f"a destination's function takes a batch, and may ask for {known}, not for {unknown[0]!r}")
    return tuple(name for name in _ASKED if name in names)


@overload
def destination(function: Taker, /) -> FunctionDestination: ...


@overload
def destination(*, checkpoints: str | Path) -> Callable[[Taker], FunctionDestination]: ...


def destination(
    function: Taker | None = None, /, *, checkpoints: str | Path | None = None
) -> FunctionDestination | Callable[[Taker], FunctionDestination]:
    """Make a destination of a function, for `tailrace.load(source, to=function)`; each row comes at least once.

    The function takes a `pyarrow.RecordBatch`, whose columns are the stream's, in the order of the input's lines. It
    may have parameters `stream`, the stream's name, `table`, what a table of it would be called, and `key`, the names
    of the columns that identify a row: rows of one key come each time that they are sent, the last being the valid one.
    It is called when a checkpoint is committed, from one thread at a time. If it raises, the run ends, and the
    checkpoint isn't committed.
    `checkpoints` is a folder to remember pipelines in; without it no pipeline can be named.
    """
    if function is not None:
        return FunctionDestination(function)
    return lambda decorated: FunctionDestination(decorated, checkpoints)
