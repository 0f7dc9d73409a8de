"""The upkeep of Iceberg tables: small files put together, old snapshots expired with the files that only they had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from tailrace.destinations.iceberg.catalog import told, tried_once
from tailrace.destinations.iceberg.table import IcebergView
from tailrace.lake.compacting import compacted, interrupted


def maintained(look: Callable[[], IcebergView], keep: timedelta) -> Iterator[str]:
    """Maintain one table, which `look` gives as it is; what was done."""
    many, few = compacted(look)
    if many:
        yield f"{many:,} files were put together to {few:,}"
    if look().table.properties.get("gc.enabled", "true").lower() == "false":
        return  # who shares the files with another table says so
    expired, files = _expired(look().table, datetime.now(UTC) - keep)
    if expired:
        yield f"{expired:,} snapshots are expired, and {files:,} files removed that only they had"
    _remove_interrupted(look(), keep)


def _expired(table: Table, before: datetime) -> tuple[int, int]:
    """How many snapshots from before then are expired, and how many files only they had.

    Those that a branch or a tag is at stay. Where another writer is quicker they are left to the next time.
    """
    old = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
    with told():
        try:
            tried_once(table).maintenance.expire_snapshots().older_than(before).commit()
        except CommitFailedException:
            return 0, 0
        kept = {snapshot.snapshot_id for snapshot in table.snapshots()}
        gone = [snapshot for number, snapshot in old.items() if number not in kept]
        if not gone:
            return 0, 0
        files = {*_files(table, gone)} - {*_files(table, table.snapshots())}
        for path in files:
            with suppress(FileNotFoundError):
                table.io.delete(path)
    return len(gone), len(files)


def _remove_interrupted(view: IcebergView, keep: timedelta) -> None:
    """Remove what a maintenance has left that ended before its commit, where no snapshot has it."""
    left = interrupted(view.store.names(""), (), keep)
    if left:
        with told():
            known = {path.rpartition("/")[2] for path in _files(view.table, view.table.snapshots())}
        view.store.remove(name for name in left if name.rpartition("/")[2] not in known)


def _files(table: Table, snapshots: Iterable[Snapshot]) -> Iterator[str]:
    """All files of snapshots: their lists of manifests, these, and the files of rows and of deletions."""
    read: set[str] = set()
    for snapshot in snapshots:
        yield snapshot.manifest_list
        with suppress(FileNotFoundError):
            for manifest in snapshot.manifests(table.io):
                if manifest.manifest_path not in read:
                    read.add(manifest.manifest_path)
                    yield manifest.manifest_path
                    for entry in manifest.fetch_manifest_entry(table.io):
                        yield entry.data_file.file_path
