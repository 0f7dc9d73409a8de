"""What the journals of all pipelines say that tables of plain files have: their files and their columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tailrace.errors import DestinationError
from tailrace.lake.entries import Change, Entry, Part, decoded
from tailrace.lake.journal import FOLDER, bases_of, manifests_of
from tailrace.model import TableName
from tailrace.objects import Folder
from tailrace.schema.evolve import TableColumn

_READ_AT_ONCE = 16
_TRIES = 20


@dataclass(slots=True)
class Listed:
    """A table: its columns, its key where that is known, and its files by their paths.

    `gone` are the paths of files that some entry lists and that are no longer the table's.
    """

    columns: dict[str, TableColumn] = field(default_factory=dict)
    key: tuple[str, ...] | None = None
    files: dict[str, Part] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    @property
    def rows(self) -> int:
        """The rows of all its files."""
        return sum(part.rows for part in self.files.values())


class Listing:
    """The tables of a lake of plain files. Entries never change, so that each is read once. Not thread-safe."""

    def __init__(self, root: Folder) -> None:
        self._root = root
        self._entries: dict[str, Entry] = {}

    def read(self) -> dict[TableName, Listed]:
        """The tables as they are now."""
        for tries in range(_TRIES):
            present = manifests_of(self._root, FOLDER)
            try:
                self._take(present)
            except DestinationError as error:  # entries were removed meanwhile, since another stands for them
                if tries == _TRIES - 1 or not isinstance(error.__cause__, FileNotFoundError):
                    raise
            else:
                # A listing isn't of one moment: it may lack entries that were removed, and what stands for them.
                if bases_of(manifests_of(self._root, FOLDER)) == bases_of(present):
                    return listed(self._entries.values())
        raise DestinationError(f"the manifests of {self._root.url} change all the time; run again")

    def _take(self, present: Sequence[str]) -> None:
        """Have these entries, and no others; those that are new are read."""
        new = [name for name in present if name not in self._entries]
        with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
            contents = [*threads.map(self._root.get, new)]
        read = {name: decoded(content) for name, content in zip(new, contents, strict=True)}
        self._entries = {name: self._entries.get(name) or read[name] for name in present}

    @property
    def objects(self) -> Mapping[str, Entry]:
        """Every entry that there is, by the name of its object."""
        return self._entries

    def all(self) -> Iterable[Entry]:
        """Every entry that there is."""
        return self._entries.values()

    def entries(self, pipeline: str) -> Sequence[Entry]:
        """The entries of one pipeline, in their order."""
        found = [entry for entry in self._entries.values() if entry.pipeline == pipeline]
        return sorted(found, key=lambda entry: entry.sequence)


def listed(entries: Iterable[Entry]) -> dict[TableName, Listed]:
    """The tables that entries, of any pipelines and in any order, leave.

    A file is the table's unless an entry voids it, or another file has its rows. Where one of the rows' former files is
    voided, by a `replace` that didn't know yet that they were put together, that other file isn't the table's, and the
    rest of the former files are.
    """
    tables: dict[TableName, Listed] = {}
    changes = in_order(entries)
    parts = [part for _, change in changes for part in change.files]
    voids = {path for _, change in changes for path in change.voids}
    void_merges = {part.path for part in parts if not voids.isdisjoint(part.sources)}
    gone = voids | void_merges
    gone |= {path for part in parts if part.path not in void_merges for path in part.sources}
    for _, change in changes:
        table = tables.setdefault(change.name, Listed())
        if change.replace:
            table.columns.clear()
            table.key = None
        table.columns |= {column.name: column for column in change.columns}
        table.key = table.key if change.key is None else change.key
        table.files |= {part.path: part for part in change.files if part.path not in gone}
        table.gone |= {part.path for part in change.files if part.path in gone}
    return tables


def in_order(entries: Iterable[Entry]) -> list[tuple[Entry, Change]]:
    """Every change, with its entry, in the order in which they were decided."""
    return sorted(((entry, change) for entry in entries for change in entry.tables), key=_moment)


def _moment(change: tuple[Entry, Change]) -> tuple[float, int]:
    entry, its = change
    at = its.at or entry.at
    return (at.timestamp() if at else 0.0, entry.sequence)
