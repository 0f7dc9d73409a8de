"""Removes what earlier runs left in a lake: staged files, and files that no table will ever have."""

from __future__ import annotations

from collections.abc import Callable

from tailrace.lake.entries import Entry, sequence_of
from tailrace.lake.tables import LakeTable, Store


def remove_staged(store: Store, folder: str, takeover: Entry) -> None:
    """Remove the staged files of runs before the takeover; the last entry is applied to every table."""
    staged = {name: sequence_of(name, takeover.pipeline) for name in store.names(folder)}
    store.remove(name for name, sequence in staged.items() if (sequence or 0) <= takeover.sequence)


def remove_unused(store: Store, takeover: Entry, look: Callable[[], LakeTable | None]) -> None:
    """Remove a table's files of entries that were never decided, and unused files of the last decided entry.

    `look` gives a snapshot of the table, None if it doesn't exist. Called only if there are files of the last entry.
    """
    pipeline, decided = takeover.pipeline, takeover.since - 1
    written = {name: sequence_of(name, pipeline) for name in store.names("")}
    unused = range(takeover.since, takeover.sequence + 1)
    store.remove(name for name, sequence in written.items() if sequence in unused)
    tried = [name for name, sequence in written.items() if sequence == decided]
    if tried and (table := look()):
        store.remove(table.left(pipeline, decided, tried))
