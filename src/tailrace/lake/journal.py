"""A pipeline's journal in a folder of an object store: one object for each entry, put if there is none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tailrace.lake.entries import Entry, decoded, encoded, folder_of
from tailrace.model import TableName
from tailrace.objects import Folder

FOLDER = "_tailrace"
"""Where journals are, in the lake's folder."""

_SUFFIX = ".json"


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
        """Put the entry, if there is none of its sequence; see Journal."""
        return self._root.put_new(f"{self.folder}/{entry.sequence:010}{_SUFFIX}", encoded(entry))

    def finish(self, entry: Entry) -> None:
        """Note it in an object of its own; see Journal."""
        self._root.put(f"{self.folder}/finished", str(entry.sequence).encode())

    def is_finished(self, entry: Entry) -> bool:
        """Whether that object has the entry's sequence; see Journal."""
        name = f"{self.folder}/finished"
        return name in self._root.names(self.folder) and self._root.get(name) == str(entry.sequence).encode()

    def note(self, table: TableName) -> None:
        """Remember a table; see Journal."""
        if table not in self._noted:
            name = folder_of(str(table.schema or "")) + "." + folder_of(table.name)
            self._root.put(f"{self.folder}/tables/{name}", msgspec.json.encode(table))
            self._noted.add(table)

    def tables(self) -> Sequence[TableName]:
        """The tables that were noted; see Journal."""
        return [
            msgspec.json.decode(self._root.get(name), type=TableName)
            for name in self._root.names(f"{self.folder}/tables")
        ]

    def forget(self) -> None:
        """Remove the journal; see Journal."""
        self._root.clear(self.folder)


def entries_of(root: Folder, folder: str) -> list[str]:
    """The names of all entries of journals in the folder."""
    return [name for name in root.names(folder) if name.endswith(_SUFFIX) and name.rpartition("/")[2][:-5].isdecimal()]
