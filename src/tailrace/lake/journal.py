"""A pipeline's journal in a folder of an object store: one object for each entry, put if absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tailrace.lake.entries import Entry, decoded, encoded, folder_of
from tailrace.model import TableName
from tailrace.objects import Folder

FOLDER = "_tailrace"
"""Where journals are, in the lake's folder."""

_SUFFIX, _BASE, _PRUNED = ".json", "base-", "pruned"


class ObjectJournal:
    """A Journal in `_tailrace/PIPELINE`: `0000000007.json` is its seventh entry."""

    def __init__(self, root: Folder, pipeline: str) -> None:
        self.pipeline = pipeline
        self.folder = f"{FOLDER}/{folder_of(pipeline)}"
        self._root = root
        self._noted: set[TableName] = set()

    def last(self) -> Entry | None:
        """The entry with the highest sequence; see Journal."""
        names = self.names()
        return self.read(max(names)) if names else None

    def names(self) -> list[str]:
        """The names of all entries."""
        return entries_of(self._root, self.folder)

    def read(self, name: str) -> Entry:
        """The entry of that name."""
        return decoded(self._root.get(name))

    def add(self, entry: Entry) -> bool:
        """Put the entry if none of its sequence exists, or existed before it was pruned; see Journal."""
        name = f"{self.folder}/{entry.sequence:010}{_SUFFIX}"
        if not self._root.put_new(name, encoded(entry)):
            return False
        if entry.sequence > self.pruned():
            return True
        self._root.remove([name])
        return False

    def pruned(self) -> int:
        """The sequence up to which entries may have been removed; always below the last entry's."""
        return max((int(name.rpartition("/")[2]) for name in self._marks()), default=0)

    def prune(self, until: int) -> int:
        """Remove the entries up to that sequence, which must be below the last entry's; how many there were."""
        old = [name for name in self.names() if int(name.rpartition("/")[2][:-5]) <= until]
        if old:
            mark = f"{self.folder}/{_PRUNED}/{until:010}"
            self._root.put(mark, b"")
            self._root.remove([*old, *(name for name in self._marks() if name < mark)])
        return len(old)

    def _marks(self) -> list[str]:
        """Objects whose name is the sequence up to which entries may be removed; the highest one counts."""
        return [*self._root.names(f"{self.folder}/{_PRUNED}")]

    def put_base(self, base: Entry) -> None:
        """Put a base, which readers take in place of all entries up to its sequence, and remove older bases."""
        name = f"{self.folder}/{_BASE}{base.sequence:010}{_SUFFIX}"
        older = [
            old for old in self._root.names(self.folder) if old.startswith(f"{self.folder}/{_BASE}") and old < name
        ]
        self._root.put(name, encoded(base))
        self._root.remove(older)

    def finish(self, entry: Entry) -> None:
        """Record it in an object of its own; see Journal."""
        self._root.put(f"{self.folder}/finished", str(entry.sequence).encode())

    def is_finished(self, entry: Entry) -> bool:
        """Whether that object holds the entry's sequence; see Journal."""
        name = f"{self.folder}/finished"
        return name in self._root.names(self.folder) and self._root.get(name) == str(entry.sequence).encode()

    def note(self, table: TableName) -> None:
        """Record a table; see Journal."""
        if table not in self._noted:
            name = folder_of(str(table.schema or "")) + "." + folder_of(table.name)
            self._root.put(f"{self.folder}/tables/{name}", msgspec.json.encode(table))
            self._noted.add(table)

    def tables(self) -> Sequence[TableName]:
        """The recorded tables; see Journal."""
        return [
            msgspec.json.decode(self._root.get(name), type=TableName)
            for name in self._root.names(f"{self.folder}/tables")
        ]

    def forget(self) -> None:
        """Remove the journal; see Journal."""
        self._root.clear(self.folder)


def journals_of(root: Folder) -> list[ObjectJournal]:
    """The journals of all pipelines."""
    folders = {name.rpartition("/")[0]: name for name in sorted(entries_of(root, FOLDER))}
    return [ObjectJournal(root, decoded(root.get(name)).pipeline) for name in folders.values()]


def shortened(journal: ObjectJournal) -> str | None:
    """Remove all entries but the last one; a sentence about it, if there were any."""
    last = journal.last()
    count = journal.prune(last.sequence - 1) if last and last.sequence > 1 else 0
    return f"The journal of the pipeline {journal.pipeline!r}: {count:,} old entries are removed." if count else None


def entries_of(root: Folder, folder: str) -> list[str]:
    """The names of all entries below the folder."""
    return [name for name in root.names(folder) if name.endswith(_SUFFIX) and name.rpartition("/")[2][:-5].isdecimal()]


def bases_of(names: Iterable[str]) -> set[str]:
    """Those of the names that are bases."""
    return {name for name in names if name.rpartition("/")[2].startswith(_BASE)}


def manifests_of(root: Folder, folder: str) -> list[str]:
    """The names of the entries that readers go by: of each journal its newest base, and later entries."""
    numbers: dict[str, int] = {}
    newest: dict[str, int] = {}
    for name in root.names(folder):
        journal, _, own = name.rpartition("/")
        digits = own.removeprefix(_BASE).removesuffix(_SUFFIX)
        if own.endswith(_SUFFIX) and digits.isdecimal():
            numbers[name] = int(digits)
            if own.startswith(_BASE):
                newest[journal] = max(int(digits), newest.get(journal, 0))
    return [name for name, number in numbers.items() if _is_read(name, number, newest)]


def _is_read(name: str, number: int, newest: Mapping[str, int]) -> bool:
    journal, _, own = name.rpartition("/")
    until = newest.get(journal, -1)
    return number == until if own.startswith(_BASE) else number > until
