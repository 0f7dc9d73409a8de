"""A destination of documents: rows wait here, are written at the commit, and undone where it doesn't come about."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import msgspec

from tailrace.destination import RefusedAtCommitError
from tailrace.documents.database import DocumentDatabase, Pipeline, Swap
from tailrace.documents.mappings import DocumentMapping, DocumentMappings
from tailrace.documents.publishing import Publisher, Waiting
from tailrace.documents.writing import Attempt, Writer, roll_back
from tailrace.errors import CommitUnknownError, DestinationError, FencedError, RowsRefusedError
from tailrace.model import LINE, Batch, Checkpoint, Kind, Method, Published, Receipt, Stream, Traits
from tailrace.pipelines import is_unnamed
from tailrace.schema.cast import cast_rows
from tailrace.schema.steps import rows_by_token, steps_of
from tailrace.spool import Spool


class DocumentDestination:
    """A Destination, and Inspectable, on a document database.

    No transaction spans its documents. A commit writes each of them, after a record of what it was before, and then
    the pipeline's checkpoint, in place of that very one that it follows. What a run has written without getting there
    is undone by those records: by the run itself, or by the recover() of the next one.
    """

    def __init__(self, database: DocumentDatabase, traits: Traits, alterable: Collection[tuple[Kind, Kind]]) -> None:
        self.traits = traits
        self._made_from = (database, traits, alterable)
        self._database = database
        self._lock = threading.RLock()
        self._mappings = DocumentMappings(database, traits, alterable)
        self._spool = Spool()
        self._pipeline: Pipeline | None = None
        self._record: Any = None
        self._writer: Writer | None = None
        self._attempt: Attempt | None = None
        self._landed: tuple[Checkpoint, dict[str, Published]] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint, with everything beyond it undone; see Destination."""
        with self._lock:
            self._spool.clear()
            self._pipeline = self._writer = self._attempt = self._landed = None
            self._database.open()
            fence = secrets.token_hex(8)
            while True:
                found = self._database.pipeline(pipeline)
                last, record = found or (Pipeline(pipeline, ""), None)
                ours = msgspec.structs.replace(last, fence=fence)
                if self._database.put_pipeline(ours, record):
                    break
            self._take(ours)
            roll_back(self._database, ours)
            self._swap(ours.swaps)
            self._drop_beside()
            self._mappings.begin(fence)
            self._writer = Writer(self._database, self._known)
            return _checkpoint(self._known)

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Remembering."""
        found = self._database.pipeline(pipeline)
        return _checkpoint(found[0]) if found else None

    def prepare(self, stream: Stream) -> None:
        """Make the collection exist and fit the stream; see Destination."""
        with self._lock:
            self._mapping(stream)

    def stage(self, batch: Batch) -> Receipt:
        """Let the batch's rows wait on this machine's disk; see Destination."""
        stream = batch.stream
        with self._lock:
            mapping, fence = self._mapping(stream), self._known.fence
        _, refused = cast_rows(batch.rows, stream, mapping.targets)
        if refused:
            raise RowsRefusedError(
                f"stream {stream.name!r}: {mapping.collection} doesn't take {len(refused)} rows unchanged", refused
            )
        self._spool.add(batch)
        return batch.receipt(batch.rows.num_rows, fence)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Write the documents, then the checkpoint; see Destination. Repeatable after a failure.

        Where it raises RefusedAtCommitError the other rows are written, and wait for a second call without these.
        """
        with self._lock:
            if self._landed is None or self._landed[0] != checkpoint:
                self._landed = checkpoint, self._committed(checkpoint)
            self._finish(checkpoint)
            published, self._landed = self._landed[1], None
            return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated as it is; see Destination."""
        cause = error.__cause__
        while isinstance(cause, DestinationError) and cause.__cause__ is not None:
            cause = cause.__cause__
        return cause is not None and self._database.is_transient(cause)

    def close(self) -> None:
        """Undo what isn't committed, and close the connections; repeatable."""
        with self._lock:
            self._spool.clear()
            with suppress(DestinationError):  # the next run of the pipeline finds what this one leaves
                self._undo()
                if self._pipeline and is_unnamed(self._pipeline.name):
                    self._drop_beside()
                    if self._pipeline.number == 0:
                        self._database.drop_pipeline(self._pipeline.name)
            self._pipeline = self._writer = None
            self._database.close()

    def check(self) -> Sequence[str]:
        """One sentence for each thing found when connecting; see Inspectable."""
        return self._database.check()

    def plan(self, stream: Stream) -> Sequence[str]:
        """What prepare() would do to the stream's collection, in words, none of it done; see Inspectable."""
        return self._mappings.statements(stream)

    @property
    def _known(self) -> Pipeline:
        if self._pipeline is None:
            raise DestinationError("the pipeline must be recovered first")
        return self._pipeline

    def _take(self, pipeline: Pipeline) -> None:
        """Remember what the database has of the pipeline, which is ours; raises FencedError if it isn't."""
        found = self._database.pipeline(pipeline.name)
        if found is None or found[0].fence != pipeline.fence:
            raise FencedError(pipeline.name)
        self._pipeline, self._record = found

    def _put(self, pipeline: Pipeline) -> None:
        """Change what the database has of the pipeline; raises FencedError where another run has changed it."""
        if not self._database.put_pipeline(pipeline, self._record):
            raise FencedError(pipeline.name)
        self._take(pipeline)

    def _mapping(self, stream: Stream) -> DocumentMapping:
        """Where the stream's rows go; a collection that is built beside is remembered before it is made."""
        if (known := self._mappings.known(stream)) is not None:
            return known
        if stream.method is Method.REPLACE:
            name = self._mappings.beside(stream)
            if name not in self._known.beside:
                self._put(msgspec.structs.replace(self._known, beside=(*self._known.beside, name)))
        return self._mappings.of(stream)

    def _committed(self, checkpoint: Checkpoint) -> dict[str, Published]:
        """Write the documents, then the checkpoint; what that did, by stream."""
        published = dict(self._written(checkpoint).published)
        swaps: list[Swap] = []
        for stream in checkpoint.replace:
            mapping, name = self._mapping(stream), self._mappings.named(stream)
            swaps.append(Swap(mapping.collection, name))
            swapped = Published(deleted=self._database.count(name))
            published[stream.name] = published.get(stream.name, Published()) + swapped
        self._decide(checkpoint, tuple(swaps))
        self._attempt = None
        self._spool.clear()
        return published

    def _written(self, checkpoint: Checkpoint) -> Attempt:
        """The checkpoint's documents, written; raises RefusedAtCommitError, once, for rows that are refused."""
        with self._undone_if_fenced(checkpoint):
            self._require_ours(checkpoint)
            attempt = self._attempt
            is_begun = attempt is not None and attempt.is_written and attempt.number == checkpoint.number
            self._require_staged(checkpoint, attempt.refused if attempt and is_begun else {})
            if attempt is not None and is_begun:
                return attempt
            self._undo()
            attempt = self._attempt = Attempt(checkpoint.number)
            attempt.published = self._published(checkpoint, attempt)
            attempt.is_written = True
        if attempt.refused:
            raise RefusedAtCommitError(
                f"{len(attempt.refused)} rows are refused", attempt.refused, [*self._refused(attempt)]
            )
        return attempt

    def _published(self, checkpoint: Checkpoint, attempt: Attempt) -> dict[str, Published]:
        """Write all documents; what that did, by stream."""
        writer, known = self._writer, self._known
        if writer is None:
            raise DestinationError("the pipeline must be recovered first")
        origin = f"{known.name}\0{known.fence}\0{checkpoint.number}"
        publisher = Publisher(self._database, writer, attempt, origin)
        waiting = [Waiting(s, self._mapping(s), partial(self._spool.read, s)) for s in self._spool.streams]
        steps = steps_of(waiting, checkpoint.activate)
        published = {each.name: publisher.publish(each, checkpoint.at, self._mapping) for each in steps}
        self._database.refresh([*attempt.versions])
        return published

    def _refused(self, attempt: Attempt) -> Iterator[Batch]:
        """The rows that are refused."""
        for stream in self._spool.streams:
            for rows in self._spool.read(stream):
                found = rows.filter([line in attempt.refused for line in rows[LINE].to_pylist()])
                if found.num_rows:
                    yield Batch(stream, found, attempt.number)

    def _require_ours(self, checkpoint: Checkpoint) -> None:
        self._take(self._known)
        if checkpoint.pipeline != self._known.name or checkpoint.number != self._known.number + 1:
            raise FencedError(checkpoint.pipeline)

    def _require_staged(self, checkpoint: Checkpoint, refused: Mapping[int, str]) -> None:
        rows = self._spool.rows() - len(refused)
        if rows_by_token(checkpoint.publish) != Counter({self._known.fence: rows} if rows else {}):
            raise DestinationError(
                f"checkpoint {checkpoint.number} can't be committed: the staged rows aren't those that it publishes, "
                "because they were discarded, or another process has staged rows; run again"
            )

    def _decide(self, checkpoint: Checkpoint, swaps: tuple[Swap, ...]) -> None:
        """Write the checkpoint: from then on it is committed."""
        state = None if checkpoint.state is None else checkpoint.state.decode()
        known = self._known
        ours = msgspec.structs.replace(
            known, number=checkpoint.number, owner=known.fence, state=state, at=checkpoint.at, swaps=swaps
        )
        with self._undone_if_fenced(checkpoint):
            try:
                is_ours = self._database.put_pipeline(ours, self._record)
            except DestinationError as error:
                is_ours = self._has_landed(checkpoint, error)
            if not is_ours and not self._has_landed(checkpoint, None):
                raise FencedError(checkpoint.pipeline)
            self._pipeline = ours

    def _has_landed(self, checkpoint: Checkpoint, error: DestinationError | None) -> bool:
        """Whether the checkpoint is written, though that seems to have failed; raises `error` where it isn't."""
        try:
            found = self._database.pipeline(checkpoint.pipeline)
        except DestinationError:
            raise CommitUnknownError(
                f"the connection was lost while checkpoint {checkpoint.number} was committed, and the pipeline's "
                "checkpoint can't be read back; run again, which finds out and goes on from there"
            ) from error
        if found and (found[0].owner, found[0].number) == (self._known.fence, checkpoint.number):
            return True
        if error is not None and found and found[0].fence == self._known.fence:
            raise error
        return False

    def _finish(self, checkpoint: Checkpoint) -> None:
        """Do what a committed checkpoint leaves to do; what fails here, recover() does."""
        for stream in checkpoint.replace:
            self._mappings.forget(stream)
        if self._known.swaps:
            self._take(self._known)
            self._swap(self._known.swaps)
        with suppress(DestinationError):  # the next run drops them
            self._database.drop_undos(self._known.name, self._known.fence)
            if checkpoint.is_forgotten:
                self._database.drop_pipeline(self._known.name)

    def _swap(self, swaps: tuple[Swap, ...]) -> None:
        """Let collections that were built beside take their places, and note that they have."""
        if not swaps:
            return
        for swap in swaps:
            self._database.swap(swap)
        known, gone = self._known, {swap.beside for swap in swaps}
        beside = tuple(name for name in known.beside if name not in gone)
        self._put(msgspec.structs.replace(known, swaps=(), beside=beside))

    def _drop_beside(self) -> None:
        """Drop the collections that runs have built beside others, and left."""
        if self._known.beside:
            for name in self._known.beside:
                self._database.drop(name)
            self._put(msgspec.structs.replace(self._known, beside=()))

    def _undo(self) -> None:
        """Undo what this run has written and not committed."""
        if self._attempt is not None and self._writer is not None:
            self._writer.undo(self._known)
        self._attempt = None

    @contextmanager
    def _undone_if_fenced(self, checkpoint: Checkpoint) -> Iterator[None]:
        """Undo what was written where another run has taken the pipeline over."""
        try:
            yield
        except FencedError:
            with suppress(DestinationError):
                found = self._database.pipeline(checkpoint.pipeline)
                if found and self._writer is not None and self._attempt is not None:
                    self._writer.undo(found[0])
                    self._attempt = None
            raise


def _checkpoint(pipeline: Pipeline) -> Checkpoint | None:
    """The last checkpoint of a pipeline."""
    if pipeline.at is None:
        return None
    state = None if pipeline.state is None else pipeline.state.encode()
    return Checkpoint(pipeline.name, pipeline.number, state, pipeline.at)
