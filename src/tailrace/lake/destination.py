"""A destination on a lake: rows go into files, a journal entry decides a checkpoint, each table applies the entry."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec

from tailrace.errors import CommitUnknownError, ConfigError, DestinationError, FencedError
from tailrace.lake.entries import Activate, Change, Entry, Part, Staged, part_name, plan
from tailrace.lake.following import follow, given_up, saved
from tailrace.lake.mapping import LakeMapping, LakeMappings
from tailrace.lake.notes import Notes
from tailrace.lake.parts import Parts
from tailrace.lake.rows import read_rows
from tailrace.lake.stager import LakeStager, parts_of_token
from tailrace.lake.tables import Journal, Tables
from tailrace.log import get_logger
from tailrace.model import Batch, Checkpoint, Method, Published, Receipt, Stream, TableName, Traits
from tailrace.pipelines import is_unnamed
from tailrace.schema.steps import rows_by_token

_log = get_logger("lake")


class LakeDestination:
    """A Destination, and Inspectable, on a lake.

    A commit uploads the checkpoint's files and puts an entry into the pipeline's journal. That decides the checkpoint:
    a second run that puts an entry of the same sequence is fenced. Then each table applies the entry by one commit of
    its own. If that is interrupted, recover() applies it.
    """

    def __init__(self, tables: Tables, traits: Traits, is_passing: Callable[[BaseException], bool]) -> None:
        self.traits = traits
        self._tables = tables
        self._is_passing = is_passing
        self._lock = threading.RLock()
        self._mappings = LakeMappings(tables, traits)
        self._journal: Journal | None = None
        self._last: Entry | None = None
        self._decided: Entry | None = None
        self._is_whole = False  # each entry so far was applied to every table at the first try
        self._is_in_doubt = False
        self._parts: dict[Stream, Parts] = {}
        self._notes = Notes()
        self._files = 0
        self._token = ""
        self._rows = 0

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._tables, self.traits, self._is_passing)

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint, applied to every table; see Destination."""
        with self._lock:
            last = self._taken_over(pipeline, lambda _: ())
            return last.checkpoint if last else None

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last decided checkpoint; see Remembering."""
        with self._lock:
            last = self._tables.journal(pipeline).last()
            return last.checkpoint if last else None

    def give_up(self, pipeline: str, tables: Collection[TableName], folder: Path | None) -> Sequence[str]:
        """Recover the pipeline, but don't apply its last checkpoint to these tables; see Renouncing."""
        wanted = [self._tables.named(table) for table in tables]
        lacking: list[str] = []

        def left_out(last: Entry | None) -> Collection[TableName]:
            entry = last or Entry(pipeline, 0, 0, "")
            changes = given_up(self._tables, entry, wanted)
            lacking[:] = [str(saved(self._tables, entry, change, folder)) for change in changes]
            return wanted

        with self._lock:
            self._taken_over(pipeline, left_out)
        return lacking

    def _taken_over(self, pipeline: str, left_out: Callable[[Entry | None], Collection[TableName]]) -> Entry | None:
        """Take the pipeline over: its last entry, applied to all tables but those that `left_out` gives."""
        self._discard_staged()
        self._journal = self._last = self._decided = None
        self._is_whole = True
        self._mappings.begin(pipeline)
        journal, fence = self._tables.journal(pipeline), secrets.token_hex(8)
        while True:
            last = journal.last()
            without = left_out(last)
            is_done = last is not None and self._is_done(last, journal)
            if last and not is_done:
                self._redo(last, without)
            ours = _takeover(last, pipeline, fence)
            if journal.add(ours):
                break
        self._tables.clean(journal, ours, is_settled=bool(last and last.final and is_done))
        self._journal, self._last, self._token = journal, ours, fence
        return last

    def _is_done(self, last: Entry, journal: Journal) -> bool:
        """Whether the entry is known to be applied in full. Where readers go by the journal alone, it always is."""
        return not self._tables.rewrites or (not last.is_takeover and journal.is_finished(last))

    def _redo(self, last: Entry, without: Collection[TableName]) -> None:
        """Apply the entry to the tables that lack it."""
        changes = [change for change in last.tables if change.name not in without]
        follow(last, changes, self._applied_if_there).raise_for_errors(self.is_transient)

    def _applied_if_there(self, last: Entry, change: Change) -> Published:
        if change.replace or self._tables.existing(change.name):
            return self._tables.apply(last, change)
        _log.warning("a table was removed before its last checkpoint was applied", table=str(change.name))
        return Published()

    def prepare(self, stream: Stream) -> None:
        """Make the table exist and fit the stream; see Destination."""
        with self._lock:
            mapping = self._mappings.of(stream)
            self._noted(mapping)
            self._refuse_lost_journal(mapping.table)

    def stage(self, batch: Batch) -> Receipt:
        """Write the batch's rows into files of this machine, uploaded once they are large; see Destination."""
        stream = batch.stream
        with self._lock:
            mapping = self._mappings.of(stream)
            parts = self._parts_of(stream, mapping)
        read = read_rows(batch, mapping, parts.schema)
        parts.add(read.rows)
        with self._lock:
            self._rows += batch.rows.num_rows
            self._notes.say(stream, read)
        return batch.receipt(batch.rows.num_rows, self._token)

    def stager(self, stream: Stream) -> LakeStager:
        """What writes the stream's rows into files in another process; see Distributed."""
        with self._lock:
            return LakeStager(stream, self._mappings.of(stream), self._next())

    def adopt(self, receipt: Receipt) -> Receipt:
        """Have the files of a stager published with the next checkpoint; see Distributed."""
        with self._lock:
            parts = self._parts_of(receipt.stream, self._mappings.of(receipt.stream))
            parts.adopt(parts_of_token(receipt.token))
            self._rows += receipt.rows
            return replace(receipt, token=self._token)

    def disown(self, stream: Stream, token: str) -> None:
        """Remove the files of a stager; see Distributed."""
        with self._lock:
            store = self._mappings.of(stream).layout.store
        with suppress(DestinationError):
            store.remove(part.path for part in parts_of_token(token))

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Put the checkpoint's entry and apply it to every table; see Destination. Repeatable after a failure."""
        with self._lock:
            if self._last is None or self._journal is None:
                raise DestinationError("nothing can be committed before the pipeline is recovered")
            if self._decided is None or not self._decided.decides(checkpoint):
                self._decide(self._entry(self._last, checkpoint), self._journal)
            published = self._followed(self._last)
            self._decided = None
            self._tidy(self._last, self._journal)
            return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated; see Destination."""
        cause = error.__cause__
        while isinstance(cause, DestinationError) and cause.__cause__ is not None:
            cause = cause.__cause__
        return cause is not None and self._is_passing(cause)

    def close(self) -> None:
        """Discard what isn't committed; repeatable."""
        with self._lock, suppress(DestinationError):
            self._discard_staged()
            if self._journal and self._last and is_unnamed(self._last.pipeline):
                if self._last.sequence == 1:
                    self._journal.forget()  # nothing was committed, and no later run has the name
            elif self._journal and self._last and self._has_finished(self._last):
                self._journal.finish(self._last)

    def maintain(self, tables: Collection[TableName], keep: timedelta) -> Iterator[str]:
        """Put small files together, and remove what nothing needs; see Maintainable."""
        return self._tables.maintain([self._tables.named(table) for table in tables], keep)

    def check(self) -> Sequence[str]:
        """One sentence for each thing found when connecting; see Inspectable."""
        return self._tables.check()

    def plan(self, stream: Stream) -> Sequence[str]:
        """What prepare() would do to the stream's table, in words, none of it done; see Inspectable."""
        return self._mappings.statements(stream)

    def files(self, table: TableName) -> Sequence[str]:
        """The addresses of the files that have the table's rows now; see Listable."""
        named = self._tables.named(table)
        addresses = self._tables.addresses(named)
        if not addresses and self._tables.existing(named) is None:
            raise ConfigError(f"there is no table {str(table)!r}", key="TABLE", hint="with its schema as SCHEMA.TABLE")
        return addresses

    def _refuse_lost_journal(self, table: TableName) -> None:
        """Raise if the table has applied a later entry than the journal has: it would skip the entries to come."""
        last, journal = self._last, self._journal
        if last is None or journal is None or not self._tables.rewrites or self._tables.existing(table) is None:
            return
        applied = self._tables.table(table).applied(last.pipeline)
        if applied <= last.sequence:
            return
        newest = journal.last()
        if newest and newest.sequence >= applied:
            raise FencedError(last.pipeline)
        raise DestinationError(
            f"the table {table} has applied entry {applied} of the journal of the pipeline {last.pipeline!r}, but the "
            f"journal ends at entry {last.sequence}: it was removed, or belongs to another lake; restore it, or give "
            "the pipeline another name"
        )

    def _has_finished(self, last: Entry) -> bool:
        """Whether the run has applied its last entry everywhere and left nothing, which spares the next run a look."""
        return self._tables.rewrites and self._is_whole and self._decided is None and not last.is_takeover

    def _noted(self, mapping: LakeMapping) -> Journal:
        """Record in the journal that this run loads into that table; gives the journal."""
        if self._journal is None:
            raise DestinationError("the pipeline must be recovered first")
        self._journal.note(mapping.table)
        return self._journal

    def _parts_of(self, stream: Stream, mapping: LakeMapping) -> Parts:
        """The files that the stream's rows go into."""
        if stream not in self._parts:
            self._noted(mapping)
            self._parts[stream] = Parts(mapping.layout, partial(self._name, self._next()))
        return self._parts[stream]

    def _next(self) -> tuple[str, int]:
        """The pipeline, and the sequence of its next entry, for which files are written."""
        if self._last is None:
            raise DestinationError("the pipeline must be recovered first")
        return self._last.pipeline, self._last.sequence + 1

    def _name(self, entry: tuple[str, int], _: int) -> str:
        """A file name that this run uses once."""
        self._files += 1
        return part_name(*entry, self._files)

    def _discard_staged(self) -> None:
        """Remove staged files, here and in the store. Files of a checkpoint that may be decided stay in the store."""
        parts, self._parts = self._parts, {}
        is_in_doubt, self._is_in_doubt = self._is_in_doubt, False
        self._token, self._rows = "", 0
        for each in parts.values():
            if is_in_doubt:
                each.close()
            else:
                each.discard()

    def _entry(self, last: Entry, checkpoint: Checkpoint) -> Entry:
        """Upload the checkpoint's files; the entry that will decide it."""
        if checkpoint.number != last.number + 1:
            raise FencedError(checkpoint.pipeline)
        if rows_by_token(checkpoint.publish) != Counter({self._token: self._rows}):
            raise DestinationError(
                f"checkpoint {checkpoint.number} can't be committed: the staged rows aren't those that it publishes, "
                "because they were discarded, or another process has staged rows; run again"
            )
        changes = tuple(self._changes(checkpoint))
        return last.after(checkpoint, changes)

    def _decide(self, entry: Entry, journal: Journal) -> None:
        """Put the entry. From then on the staged files belong to the checkpoint."""
        self._is_in_doubt = True
        try:
            is_ours = journal.add(entry)
        except DestinationError as error:
            raise CommitUnknownError(
                f"checkpoint {entry.number} may or may not be committed: {error}; run again to find out"
            ) from error
        if not is_ours:
            self._is_in_doubt = False
            raise FencedError(entry.pipeline)
        self._last, self._decided, self._rows = entry, entry, 0
        replaced = {change.stream for change in entry.tables if change.replace}
        for stream in [*self._parts]:
            if stream.method is not Method.REPLACE or stream.name in replaced:
                self._parts.pop(stream).close()
        self._is_in_doubt = False

    def _followed(self, entry: Entry) -> Mapping[str, Published]:
        """Apply the entry to its tables; what that did, by stream."""
        done = follow(entry, entry.tables, self._tables.apply)
        self._is_whole = self._is_whole and not done.errors
        done.raise_for_errors(self.is_transient)
        return done.published

    def _tidy(self, entry: Entry, journal: Journal) -> None:
        """Try to remove what no later run needs."""
        if self._tables.rewrites:
            with suppress(DestinationError):
                store, _ = self._tables.staging(entry.pipeline)
                for change in entry.tables:
                    store.remove(part.path for staged in change.staged for part in staged.files)
                if entry.is_forgotten:
                    journal.forget()

    def _changes(self, checkpoint: Checkpoint) -> list[Change]:
        """What the checkpoint does to each of its tables."""
        replaced = {stream.name for stream in checkpoint.replace}
        ready = [s for s in self._parts if s.method is not Method.REPLACE or s.name in replaced]
        named = dict.fromkeys([*ready, *(a.stream for a in checkpoint.activate), *checkpoint.replace])
        names = dict.fromkeys(stream.name for stream in named)
        changes = [self._change([s for s in named if s.name == name], checkpoint) for name in names]
        return [self._tables.decided(change) for change in changes]

    def _change(self, streams: Sequence[Stream], checkpoint: Checkpoint) -> Change:
        """What the checkpoint does to one table; `streams` are the revisions of the stream that it is loaded from."""
        streams = sorted(streams, key=lambda stream: stream.revision)
        files: list[Part] = []
        staged: list[Staged] = []
        if self._tables.rewrites:
            self._tables.accepting(streams[-1])
        for stream in streams:
            mapping = self._mappings.of(stream)
            parts = self._parts[stream].seal() if stream in self._parts else []
            if mapping.is_merged:
                staged.append(Staged(plan(stream), dict(mapping.targets), tuple(parts), mapping.cleared))
            else:
                files += parts
        newest = self._mappings.of(streams[-1])
        return Change(
            stream=streams[-1].name,
            table=newest.table.name,
            schema=newest.table.schema,
            columns=newest.columns,
            key=newest.key,
            files=tuple(files),
            staged=tuple(staged),
            activate=tuple(
                Activate(plan(a.stream), a.version, a.line)
                for a in checkpoint.activate
                if a.stream.name == streams[-1].name and newest.is_merged
            ),
            replace=streams[-1].method is Method.REPLACE,
        )


def _takeover(last: Entry | None, pipeline: str, fence: str) -> Entry:
    """The entry by which a run takes the pipeline over; it follows the last one."""
    sequence = last.sequence + 1 if last else 1
    since = (last.since or last.sequence) if last and last.is_takeover else sequence
    known = last.checkpoint if last else None
    ours = Entry(pipeline, sequence, sequence, fence, since=since)
    if last is None or known is None:
        return ours
    return msgspec.structs.replace(ours, number=last.number, state=last.state, at=last.at)
