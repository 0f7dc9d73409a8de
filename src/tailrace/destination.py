"""The contract of a destination: the whole of what the runtime asks of a place that tables live in."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from tailrace.errors import DestinationError
from tailrace.model import Batch, Checkpoint, Published, Receipt, Stream, TableName, Traits


class RefusedAtCommitError(DestinationError):
    """The destination refuses rows of a checkpoint, which are in `batches`, each for a reason. Nothing is committed.

    Its other rows are staged as before, and the commit may be repeated for them, without these.
    """

    def __init__(self, message: str, reasons: Mapping[int, str], batches: Sequence[Batch]) -> None:
        self.reasons = dict(reasons)
        self.batches = tuple(batches)
        super().__init__(message)


class Destination(Protocol):
    """A place that tables live in. Picklable before use; connections are opened lazily, per worker."""

    @property
    def traits(self) -> Traits:
        """What the destination is like; known without a connection."""

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint, None if there is none.

        Called before anything is staged. Removes what an unfinished checkpoint of the pipeline left behind, and
        takes the pipeline over: the commit of a run that recovered it earlier fails with FencedError from now on.
        The checkpoint's `publish`, `activate` and `replace` are empty.
        """

    def prepare(self, stream: Stream) -> None:
        """Make the table exist and fit the stream. Repeatable; called before the stream's first batch is staged.

        Raises SchemaError where the table can't be made to fit; then it is as it was.
        """

    def stage(self, batch: Batch) -> Receipt:
        """Take the batch's rows in, invisible to readers until commit. Thread-safe; batches come in any order.

        Batches of checkpoint n + 1 are staged only after checkpoint n is committed.
        Raises RowsRefusedError when values of the batch are refused; then none of its rows are staged.
        What no commit publishes, recover() removes.
        """

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Publish the receipts, apply the activations and store the state; the counts by stream name.

        On return all of it is durable and visible together. On FencedError and any other error nothing of it has
        happened, save for CommitUnknownError: then recover() says whether it has. Raises RowsRefusedError when rows
        break what the destination can look at only now, such as a table's constraints, and RefusedAtCommitError where
        it knows which, and can commit the others.
        """

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated as it is."""

    def close(self) -> None:
        """Close connections and discard what is staged and not committed. Repeatable."""


class Stager(Protocol):
    """Stages rows of one stream in another process, for the destination that gave it. Pickled or copied before use.

    Each copy stages by itself, so that work which is done twice is there twice, and one of the two is adopted.
    """

    def stage(self, batch: Batch) -> None:
        """Take the batch's rows in; batches come in the order of their lines.

        Raises RowsRefusedError when values of the batch are refused.
        """

    def seal(self) -> str:
        """Have everything durable; gives the token by which the destination adopts it. Nothing is staged after it."""

    def discard(self) -> None:
        """Try to remove what is staged, since nobody will adopt it. What is left, recover() removes."""


@runtime_checkable
class Distributed(Protocol):
    """A destination whose rows can be staged by other processes, for inputs that are loaded in parallel."""

    def stager(self, stream: Stream) -> Stager | None:
        """What stages rows of a stream that is prepared; None where its rows have to come through the destination."""

    def adopt(self, receipt: Receipt) -> Receipt:
        """Have what a stager has staged, by its token, published with the checkpoint that is being staged.

        Gives the receipt to publish. Called as `stage` is, in the order of lines.
        """

    def disown(self, stream: Stream, token: str) -> None:
        """Try to remove what a stager has sealed and nobody will adopt."""


@runtime_checkable
class Inspectable(Protocol):
    """A destination that can say what it would do, for `tailrace check` and `tailrace plan`."""

    def check(self) -> Sequence[str]:
        """One sentence for each thing found out by connecting: where it is, what may be created there."""

    def plan(self, stream: Stream) -> Sequence[str]:
        """The statements that prepare() would run for the stream now, none of them run."""


@runtime_checkable
class Eager(Protocol):
    """A destination that can connect while what loads is imported."""

    def connect_ahead(self) -> None:
        """Begin to connect in a thread; what that fails with is raised by the call that needs the connection first."""


@runtime_checkable
class Remembering(Protocol):
    """A destination that can be asked for a pipeline's checkpoint while a run is at work, for `tailrace state`."""

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint, None if there is none. Nothing is made, undone or taken over."""


@runtime_checkable
class Listable(Protocol):
    """A destination whose tables are files, for `tailrace files`."""

    def files(self, table: TableName) -> Sequence[str]:
        """The addresses of the files that have the table's rows now; ConfigError where there is no such table."""


@runtime_checkable
class Renouncing(Protocol):
    """A destination whose tables apply a decided checkpoint one by one, for `tailrace recover`."""

    def give_up(self, pipeline: str, tables: Collection[TableName], folder: Path | None) -> Sequence[str]:
        """Recover the pipeline, but don't apply its last checkpoint to these tables.

        This is for tables that can't take the checkpoint any more, so that the pipeline can't be recovered otherwise.
        Rows that they lack are saved to files in the folder, if one is given. One sentence for each table: what it
        lacks. Raises ConfigError, with nothing done, for a table that lacks nothing.
        """


@runtime_checkable
class Maintainable(Protocol):
    """A destination whose tables need maintenance, for `tailrace maintain`."""

    def maintain(self, tables: Collection[TableName], keep: timedelta) -> Iterator[str]:
        """Put small files together, remove what was replaced longer ago than `keep`, and shorten journals.

        Maintains these tables, or all that pipelines load into if none is named. Loads go on meanwhile, and it can be
        ended at any time. One sentence for each thing done.
        """


class _Decorator(ModuleType):
    """The module as `@tailrace.destination`: Python has one name for both."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from tailrace.functions import destination  # noqa: PLC0415 who has no function needs nothing of it

        return destination(*arguments, **named)


sys.modules[__name__].__class__ = _Decorator
