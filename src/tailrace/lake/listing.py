"""The files and columns of tables of plain files, by the journals of all pipelines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct, field

from tailrace.errors import DestinationError
from tailrace.lake.entries import Change, Entry, Part, decoded
from tailrace.lake.journal import FOLDER, bases_of, manifests_of
from tailrace.model import TableName
from tailrace.objects import Folder
from tailrace.schema.evolve import TableColumn

_READ_AT_ONCE = 16
_TRIES = 20


class Listed(Struct):
    """A table: its columns, its key if known, and its files by path.

    `gone` are the paths of listed files that no longer belong to the table.
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
    """The tables of a lake of plain files. Each entry is read once, since it never changes. Not thread-safe."""

    def __init__(self, root: Folder) -> None:
        self._root = root
        self._entries: dict[str, Entry] = {}

    def read(self) -> dict[TableName, Listed]:
        """The tables as they are now."""
        for tries in range(_TRIES):
            present = manifests_of(self._root, FOLDER)
            try:
                self._take(present)
            except DestinationError as error:  # entries were removed meanwhile, replaced by a base
                if tries == _TRIES - 1 or not isinstance(error.__cause__, FileNotFoundError):
                    raise
            else:
                # A listing isn't a snapshot: it may lack entries that were removed and the base that replaces them.
                if bases_of(manifests_of(self._root, FOLDER)) == bases_of(present):
                    return listed(self._entries.values())
        raise DestinationError(f"the manifests of {self._root.url} keep changing; run again")

    def _take(self, present: Sequence[str]) -> None:
        """Keep exactly these entries; reads those that are new."""
        new = [name for name in present if name not in self._entries]
        with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
            contents = [*threads.map(self._root.get, new)]
        read = {name: decoded(content) for name, content in zip(new, contents, strict=True)}
        self._entries = {name: self._entries.get(name) or read[name] for name in present}

    @property
    def objects(self) -> Mapping[str, Entry]:
        """All entries by the name of their object."""
        return self._entries

    def all(self) -> Iterable[Entry]:
        """All entries."""
        return self._entries.values()

    def entries(self, pipeline: str) -> Sequence[Entry]:
        """The entries of one pipeline, in order."""
        found = [entry for entry in self._entries.values() if entry.pipeline == pipeline]
        return sorted(found, key=lambda entry: entry.sequence)


def listed(entries: Iterable[Entry]) -> dict[TableName, Listed]:
    """The tables after all entries, of any pipelines and in any order.

    A file belongs to its table unless an entry voids it, or its rows were put together with others into another file.
    A `replace` that didn't know of that file may void one of its sources. Then that file doesn't belong to the table,
    and its other sources do.
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
    """All changes with their entries, in the order in which they were decided."""
    return sorted(((entry, change) for entry in entries for change in entry.tables), key=_moment)


def _moment(change: tuple[Entry, Change]) -> tuple[float, int]:
    entry, its = change
    at = its.at or entry.at
    return (at.timestamp() if at else 0.0, entry.sequence)
