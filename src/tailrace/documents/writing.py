"""Documents written for a checkpoint that isn't committed yet, each after a record by which it can be undone."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import TypeVar

import zstandard
from msgspec import Struct, field, structs

from tailrace.documents.database import (
    VERSIONS,
    Action,
    Before,
    DocumentDatabase,
    Mark,
    Outcome,
    Pipeline,
    Undo,
    Write,
)
from tailrace.errors import DestinationError, FencedError
from tailrace.model import Published

_MAX_UNDO_BYTES = 8 << 20
"""Of a record's content: databases have a limit for what a document may be."""

_MAX_UNPACKED_BYTES = 1 << 31
_WAITS_S = (0.05, 0.5, 2.0)

_Result = TypeVar("_Result")


class Place(Struct, frozen=True):
    """A collection that is written. `reads` says that it may have documents of the ids that are written.

    `is_undone` says that what is written must be undone unless the checkpoint is committed.
    """

    collection: str
    reads: bool = True
    is_undone: bool = True


class Attempt(Struct):
    """What was written for one checkpoint so far. Its numbers belong to it alone."""

    number: int
    versions: dict[str, int] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)
    steps: Counter[str] = field(default_factory=Counter)
    is_written: bool = False


class Writer:
    """Writes chunks of documents over several connections, for the run that owns the pipeline."""

    def __init__(self, database: DocumentDatabase, pipeline: Pipeline) -> None:
        self._database = database
        self._pipeline = pipeline
        self._orders = count(1)
        self._lock = threading.Lock()

    def write(self, attempt: Attempt, place: Place, chunks: Iterable[Sequence[Write]]) -> Published:
        """Write the chunks, whose ids are all different; what that did. Refused rows go to `attempt.refused`."""
        mark = self._mark(attempt, place)
        done = Published()
        threads = ThreadPoolExecutor(self._database.connections, "tailrace-documents")
        waiting: deque[Future[Published]] = deque()
        try:
            for chunk in chunks:
                waiting.append(threads.submit(self._chunk, attempt, place, mark, chunk))
                if len(waiting) > 2 * self._database.connections:
                    done += waiting.popleft().result()
            for each in waiting:
                done += each.result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
        return done

    def undo(self, pipeline: Pipeline) -> None:
        """Give back what this run has overwritten and not committed; `pipeline` is what is remembered of it."""
        roll_back(self._database, pipeline, fence=self._pipeline.fence)

    def _mark(self, attempt: Attempt, place: Place) -> Mark:
        """What documents of the next step say; later steps of a checkpoint have later versions."""
        name = place.collection
        if name not in attempt.versions:
            attempt.versions[name] = self._database.claim(name)
        step = attempt.steps[name]
        attempt.steps[name] += 1
        if step >= VERSIONS // 2:
            raise DestinationError(f"{name}: a checkpoint has more steps than versions; lower `checkpoint_rows`")
        return Mark(self._pipeline.name, attempt.number, attempt.versions[name] + step)

    def _chunk(self, attempt: Attempt, place: Place, mark: Mark, writes: Sequence[Write]) -> Published:
        """Write one chunk: read what is there, keep that, then write."""
        name = place.collection
        if place.reads:
            before = self._again(lambda: self._database.read(name, [write.id for write in writes]))
            writes = [structs.replace(write, before=stored) for write, stored in zip(writes, before, strict=True)]
        if place.is_undone:
            for deletes, documents in _before(writes):
                self._keep(documents, attempt, name, deletes=deletes)
        try:
            outcomes = self._again(lambda: self._database.write(name, writes, mark)) if writes else []
        except DestinationError:
            with suppress(DestinationError):  # the first one says more
                self._require_ours(attempt, place, writes)
            raise
        self._again(lambda: self._require_ours(attempt, place, writes))
        refused = {w.line: reason for w, reason in zip(writes, outcomes, strict=True) if isinstance(reason, str)}
        if 0 in refused:
            raise DestinationError(f"{name}: a document of an older version can't be altered: {refused[0]}")
        with self._lock:
            attempt.refused |= refused
        return counted([(w, o) for w, o in zip(writes, outcomes, strict=True) if isinstance(o, Outcome)])

    def _require_ours(self, attempt: Attempt, place: Place, writes: Sequence[Write]) -> None:
        """Raise FencedError where the pipeline is another run's, which may have undone all before this was written."""
        found = self._database.pipeline(self._pipeline.name)
        if found is not None and found[0].fence == self._pipeline.fence:
            return
        if place.is_undone:
            for deletes, documents in _before(writes):
                self._database.restore(place.collection, documents, attempt.versions[place.collection], deletes=deletes)
        else:
            self._database.drop(place.collection)
        raise FencedError(self._pipeline.name)

    def _keep(self, documents: Sequence[Before], attempt: Attempt, collection: str, *, deletes: bool) -> None:
        """Keep documents as they are before they are written, in as many records as they need."""
        if not documents:
            return
        content = self._database.packed(documents)
        if len(content) > _MAX_UNDO_BYTES and len(documents) > 1:
            middle = len(documents) // 2
            self._keep(documents[:middle], attempt, collection, deletes=deletes)
            self._keep(documents[middle:], attempt, collection, deletes=deletes)
            return
        undo = Undo(
            self._pipeline.name,
            self._pipeline.fence,
            attempt.number,
            next(self._orders),
            collection,
            attempt.versions[collection],
            zstandard.compress(content, 1),
            deletes,
        )
        self._again(lambda: self._database.add_undo(undo))

    def _again(self, call: Callable[[], _Result]) -> _Result:
        """The call's result; it is repeated a few times while its error may pass."""
        for wait_s in _WAITS_S:
            try:
                return call()
            except DestinationError as error:
                if error.__cause__ is None or not self._database.is_transient(error.__cause__):
                    raise
            time.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 threads take turns
        return call()


def roll_back(database: DocumentDatabase, pipeline: Pipeline, fence: str | None = None) -> None:
    """Give back what runs of the pipeline, or only that one, have overwritten and not committed."""
    fences = set[str]()
    left: list[Undo] = []
    for undo in database.undos(pipeline.name):
        if fence is not None and undo.fence != fence:
            continue
        is_committed = undo.fence == pipeline.owner and undo.number <= pipeline.number
        if not is_committed and not _is_restored(database, undo):
            left.append(undo)
        fences.add(undo.fence)
    while left:  # a value of a unique index may have to be given back by another record first
        rest = [undo for undo in left if not _is_restored(database, undo)]
        if len(rest) == len(left):
            _is_restored(database, rest[0], is_last=True)
        left = rest
    for each in fences:
        database.drop_undos(pipeline.name, each)


def _is_restored(database: DocumentDatabase, undo: Undo, *, is_last: bool = False) -> bool:
    """Whether a record's documents could be given back; raises DestinationError for what may pass, or `is_last`."""
    content = zstandard.decompress(undo.content, max_output_size=_MAX_UNPACKED_BYTES)
    try:
        database.restore(undo.collection, database.unpacked(content), undo.version, deletes=undo.deletes)
    except DestinationError as error:
        if is_last or error.__cause__ is None or database.is_transient(error.__cause__):
            raise
        return False
    return True


def _before(writes: Sequence[Write]) -> list[tuple[bool, list[Before]]]:
    """What documents were before, of those that are written and of those that are deleted, which is said of each."""
    several: dict[bool, list[Before]] = {}
    for write in writes:
        several.setdefault(write.action is Action.DELETE, []).append((write.id, write.before))
    return [*several.items()]


def counted(written: Iterable[tuple[Write, Outcome]]) -> Published:
    """What writes did, by rows; those that ask for deletion are counted by who knows of them."""
    inserted = updated = deleted = ignored = 0
    for write, outcome in written:
        is_there = write.before is not None
        match write.action:
            case Action.DELETE:
                deleted += is_there
            case Action.PUT:
                inserted += 1
                deleted += is_there
            case Action.CREATE:
                is_ignored = is_there or outcome is Outcome.EXISTS
                ignored += is_ignored
                inserted += not is_ignored
            case Action.ADD:
                inserted += 1
            case Action.SET:
                updated += is_there
                inserted += not is_there
    return Published(inserted=inserted, updated=updated, deleted=deleted, ignored=ignored)
