"""What the journals of all pipelines say that tables of plain files have: their files and their columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tailrace.lake.entries import Change, Entry, Part, decoded
from tailrace.lake.journal import FOLDER, entries_of
from tailrace.model import TableName
from tailrace.objects import Folder
from tailrace.schema.evolve import TableColumn

_READ_AT_ONCE = 16


@dataclass(slots=True)
class Listed:
    """A table: its columns, its key where that is known, and its files by their paths."""

    columns: dict[str, TableColumn] = field(default_factory=dict)
    key: tuple[str, ...] | None = None
    files: dict[str, Part] = field(default_factory=dict)

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
        new = [name for name in entries_of(self._root, FOLDER) if name not in self._entries]
        with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
            contents = threads.map(self._root.get, new)
            self._entries |= {name: decoded(content) for name, content in zip(new, contents, strict=True)}
        return listed(self._entries.values())

    def all(self) -> Iterable[Entry]:
        """Every entry that was read."""
        return self._entries.values()

    def entries(self, pipeline: str) -> Sequence[Entry]:
        """The entries of one pipeline that were read, in their order."""
        found = [entry for entry in self._entries.values() if entry.pipeline == pipeline]
        return sorted(found, key=lambda entry: entry.sequence)


def listed(entries: Iterable[Entry]) -> dict[TableName, Listed]:
    """The tables that entries, of any pipelines and in any order, leave."""
    tables: dict[TableName, Listed] = {}
    changes = [(entry, change) for entry in entries for change in entry.tables]
    voids = {path for _, change in changes for path in change.voids}
    for _, change in sorted(changes, key=_moment):
        table = tables.setdefault(change.name, Listed())
        if change.replace:
            table.columns.clear()
            table.key = None
        table.columns |= {column.name: column for column in change.columns}
        table.key = table.key if change.key is None else change.key
        table.files |= {part.path: part for part in change.files if part.path not in voids}
    return tables


def _moment(change: tuple[Entry, Change]) -> tuple[float, int]:
    entry, _ = change
    return (entry.at.timestamp() if entry.at else 0.0, entry.sequence)
