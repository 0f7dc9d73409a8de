"""Maintenance of tables of plain files: puts small files and manifests together, and removes what nothing needs."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet
from msgspec import Struct, field

from tailrace.lake.entries import MAINTENANCE, Change, Entry, Part, part_name, sequence_of
from tailrace.lake.journal import FOLDER, ObjectJournal
from tailrace.lake.listing import Listed, Listing, in_order
from tailrace.lake.parts import Parts
from tailrace.lake.reading import batches_of
from tailrace.lake.tables import Layout
from tailrace.model import TableName
from tailrace.objects import Folder
from tailrace.pipelines import is_unnamed
from tailrace.schema.evolve import TableColumn

_GONE = f"{FOLDER}/gone"
_LEASE = timedelta(hours=1)
_Since = dict[str, datetime]


class Upkeep(Struct):
    """Maintenance of a lake of plain files. Only one is at work at a time, by a lease of an hour.

    Readers of manifests see the same rows throughout. One entry puts files together. A base, which says the same as the
    entries that it stands for, exists beside them for a moment. A file is removed once no table has had it for `keep`.
    """

    root: Folder
    file_bytes: int
    keep: timedelta
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def run(self, tables: Collection[TableName]) -> Iterator[str]:
        """Maintain these tables, or all if none is named; a sentence for each thing done."""
        journal = ObjectJournal(self.root, MAINTENANCE)
        begun = self._begun(journal)
        if begun is None:
            yield "Another maintenance of the lake is at work, or was interrupted less than an hour ago."
            return
        try:
            yield from self._done(journal, begun, tables)
        except Exception:
            self._end(journal)
            raise
        self._end(journal)

    @staticmethod
    def _end(journal: ObjectJournal) -> None:
        """End the lease."""
        if last := journal.last():
            journal.finish(last)

    def _done(self, journal: ObjectJournal, begun: Entry, tables: Collection[TableName]) -> Iterator[str]:
        listing = Listing(self.root)
        present = listing.read()
        there = self._there(listing)
        for name in tables:
            if name not in present:
                yield f"{name}: no pipeline loads into it."
        wanted = {name: table for name, table in present.items() if not tables or name in tables}
        yield from self._merge(journal, begun, wanted)
        gone = {path for table in listing.read().values() for path in table.gone}
        since = self._since(gone, there)
        removable = {path for path, at in since.items() if self.now - at >= self.keep}
        yield from self._shorten(listing, removable | (gone - there), gone)
        if removable:
            self.root.remove(removable)
            self._note({path: at for path, at in since.items() if path not in removable})
            yield f"{len(removable):,} files are removed that are no table's any more."

    def _begun(self, journal: ObjectJournal) -> Entry | None:
        """The entry that takes the lease; None if another maintenance has it."""
        last = journal.last()
        if last and last.at and not journal.is_finished(last) and self.now - last.at < _LEASE:
            return None
        sequence = last.sequence + 1 if last else 1
        ours = Entry(MAINTENANCE, sequence, sequence, secrets.token_hex(4), at=self.now)
        return ours if journal.add(ours) else None

    def _there(self, listing: Listing) -> set[str]:
        """The files of the lake. Those of a maintenance that ended before it put their entry are removed."""
        there, listed = {*self.root.names("")}, _paths(listing.all())
        left = {path for path in there if sequence_of(path, MAINTENANCE) is not None and path not in listed}
        self.root.remove(left)
        return there - left

    def _merge(self, journal: ObjectJournal, last: Entry, tables: Mapping[TableName, Listed]) -> Iterator[str]:
        """Put the small files of each table together, by one entry a table."""
        for name, table in tables.items():
            entry = msgspec.structs.replace(last, sequence=last.sequence + 1)
            groups = self._groups(table)
            parts = [part for number, group in enumerate(groups) for part in self._together(entry, number, group)]
            if not parts:
                continue
            change = Change("", name.name, name.schema, files=tuple(parts))
            entry = msgspec.structs.replace(entry, tables=(change,))
            if not journal.add(entry):
                self.root.remove([part.path for part in parts])
                return
            last = entry
            files, rows = sum(map(len, groups)), sum(part.rows for part in parts)
            yield f"{name}: {files:,} files with {rows:,} rows were put together to {len(parts):,}."

    def _groups(self, table: Listed) -> list[list[Part]]:
        """Groups of at least two small files with the same columns and partition."""
        by_folder: dict[str, list[Part]] = {}
        for part in sorted(table.files.values(), key=lambda part: part.path):
            if part.path.endswith(".parquet") and part.size <= self.file_bytes / 2:
                by_folder.setdefault(_folder(part), []).append(part)
        groups: dict[tuple[str, str], list[Part]] = {}
        for folder, parts in by_folder.items():
            for part in parts if len(parts) > 1 else ():
                groups.setdefault((folder, str(self._schema(part))), []).append(part)
        return [group for group in groups.values() if len(group) > 1]

    def _together(self, entry: Entry, number: int, group: Sequence[Part]) -> list[Part]:
        """Write the rows of several files into as few as possible."""

        def name(of: int) -> str:
            return part_name(MAINTENANCE, entry.sequence, f"{entry.fence}-{number}-{of}")

        layout = Layout(self.root, _folder(group[0]), self._schema(group[0]), max_bytes=self.file_bytes)
        parts = Parts(layout, name)
        try:
            for part in group:
                with self.root.open(part.path) as source:
                    for batch in batches_of(pa.parquet.ParquetFile(source)):
                        parts.add(pa.table(batch))
            sealed = parts.seal()
        except BaseException:
            parts.discard()
            raise
        sources = (*(part.path for part in group), *(path for part in group for path in part.sources))
        return [msgspec.structs.replace(one, partition=group[0].partition, sources=sources) for one in sealed]

    def _schema(self, part: Part) -> pa.Schema:
        with self.root.open(part.path) as source:
            return pa.parquet.read_schema(source)

    def _since(self, gone: set[str], there: set[str]) -> _Since:
        """The files that no table has, with the time since when that is known, which is recorded."""
        noted: _Since = {}
        if _GONE in there:
            noted = msgspec.json.decode(self.root.get(_GONE), type=_Since)
        since = {path: noted.get(path, self.now) for path in sorted((gone | noted.keys()) & there)}
        if since != noted:
            self._note(since)
        return since

    def _note(self, since: _Since) -> None:
        self.root.put(_GONE, msgspec.json.encode(since))

    def _shorten(self, listing: Listing, dropped: set[str], gone: set[str]) -> Iterator[str]:
        """Put one base in place of each pipeline's entries, without the files that are dropped.

        Entries of runs without a pipeline that have ended go into the base of maintenance, which comes last.
        """
        everything = in_order(listing.all())
        known = {name: _whole(listing.entries(name)) for name in {entry.pipeline for entry, _ in everything}}
        ended = {
            name for name, all_of in known.items() if name != MAINTENANCE and is_unnamed(name) and _is_final(all_of)
        }
        trimmed = _Trimmed(everything, dropped, gone, ended)
        for pipeline in [*sorted(known.keys() - ended - {MAINTENANCE}), MAINTENANCE]:
            journal = ObjectJournal(self.root, pipeline)
            whole = known.get(pipeline, ())
            until = max(whole[-1].sequence - 1, 0) if whole else 0
            is_long = any(entry.run for entry in whole[:-1])
            if pipeline == MAINTENANCE or (until and (dropped or is_long)):
                changes = tuple(trimmed.changes(pipeline, until))
                journal.put_base(Entry(pipeline, until, 0, "", at=self.now, tables=changes))
                count = journal.prune(until)
                if count and pipeline != MAINTENANCE:
                    yield f"The pipeline {pipeline!r}: one manifest in the place of {count:,}."
        for pipeline in ended:
            ObjectJournal(self.root, pipeline).forget()
        if ended:
            yield f"The manifests of {len(ended):,} runs without a pipeline were put together."


class _Trimmed:
    """The changes of all entries, without what nothing refers to; those of `ended` runs belong to maintenance."""

    def __init__(
        self, everything: Sequence[tuple[Entry, Change]], dropped: set[str], gone: set[str], ended: Collection[str]
    ) -> None:
        self._everything = everything
        self._gone = gone
        self._dropped = dropped
        self._ended = ended
        self._listed = _paths(entry for entry, _ in everything)
        writers: dict[TableName, set[str]] = {}
        for entry, change in everything:
            if change.columns or change.replace:
                writers.setdefault(change.name, set()).add(self._writer(entry))
        self._shared = {name for name, pipelines in writers.items() if len(pipelines) > 1}

    def changes(self, writer: str, until: int) -> list[Change]:
        """The changes of a pipeline's entries up to a sequence, as one for each table that no other one loads."""
        kept: list[Change] = []
        own: dict[TableName, list[Change]] = {}
        for entry, change in self._everything:
            if self._writer(entry) == writer and (entry.pipeline != writer or entry.sequence <= until):
                trimmed = self._trimmed(entry, change)
                if change.name in self._shared:
                    kept.append(trimmed)
                else:
                    own.setdefault(change.name, []).append(trimmed)
        return [*kept, *map(_one, own.values())]

    def _writer(self, entry: Entry) -> str:
        return MAINTENANCE if entry.pipeline in self._ended else entry.pipeline

    def _trimmed(self, entry: Entry, change: Change) -> Change:
        files = []
        for part in change.files:
            sources = tuple(path for path in part.sources if path in self._listed)
            if sources or part.path not in self._dropped:  # while its sources are listed, it must be listed too
                kept = {} if part.path in self._gone else part.statistics
                files.append(msgspec.structs.replace(part, sources=sources, statistics=kept))
        voids = tuple(path for path in change.voids if path in self._listed)
        at = change.at or entry.at
        return msgspec.structs.replace(change, files=tuple(files), voids=voids, at=at)


def _one(changes: Sequence[Change]) -> Change:
    """One change that does the same to a table as several."""
    columns: dict[str, TableColumn] = {}
    key: tuple[str, ...] | None = None
    files: dict[str, Part] = {}
    voids: dict[str, None] = {}
    for change in changes:
        if change.replace:
            columns.clear()
            key = None
        columns |= {column.name: column for column in change.columns}
        key = key if change.key is None else change.key
        files |= {part.path: part for part in change.files}
        voids |= dict.fromkeys(change.voids)
    return msgspec.structs.replace(
        changes[-1],
        columns=tuple(columns.values()),
        key=key,
        files=tuple(files.values()),
        voids=tuple(voids),
        replace=any(change.replace for change in changes),
    )


def _is_final(entries: Sequence[Entry]) -> bool:
    return bool(entries) and entries[-1].final


def _whole(entries: Iterable[Entry]) -> list[Entry]:
    """A journal's entries up to the first missing one; the first of them may be a base.

    A listing taken while others put entries may show a later entry without an earlier one.
    """
    whole: list[Entry] = []
    for entry in entries:
        if entry.run and entry.sequence != (whole[-1].sequence if whole else 0) + 1:
            break
        whole.append(entry)
    return whole


def _paths(entries: Iterable[Entry]) -> set[str]:
    """The paths of all files in the entries."""
    return {part.path for entry in entries for change in entry.tables for part in change.files}


def _folder(part: Part) -> str:
    return part.path.rpartition("/")[0]
