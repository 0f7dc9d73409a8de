"""Maintenance of Iceberg tables: puts small files together, expires old snapshots, removes files only they had."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from tailrace.destinations.iceberg.catalog import location_of, translated_errors, tried_once
from tailrace.destinations.iceberg.table import IcebergView
from tailrace.lake.compacting import compacted, interrupted
from tailrace.lake.filesystem import ArrowStore, Location

_MOST_SNAPSHOTS = 100
_NOTE = "tailrace-expired-"


def maintained(look: Callable[[], IcebergView], keep: timedelta) -> Iterator[str]:
    """Maintain one table, of which `look` gives a snapshot; what was done."""
    many, few = compacted(look, time.time())
    if many:
        yield f"{many:,} files were put together to {few:,}"
    view, now = look(), datetime.now(UTC)
    if view.table.properties.get("gc.enabled", "true").lower() == "false":
        return  # set for tables that share files with another table
    if expired := _expired(view, now - keep, now):
        yield f"{expired:,} snapshots are expired"
    view = look()
    if removed := _removed(view, now - keep):
        yield f"{removed:,} files are removed that only expired snapshots had"
    _remove_interrupted(view, keep)


def _expired(view: IcebergView, before: datetime, now: datetime) -> int:
    """Expire snapshots from before then, and all but the newest hundred; how many.

    The table's metadata has all snapshots in it, and each load reads and writes it several times. Heads of branches and
    tags stay. The files that only expired snapshots have are noted first, with the time, and stay for now. If another
    writer commits first, nothing is done until the next time.
    """
    table, old = view.table, sorted(view.table.snapshots(), key=lambda snapshot: snapshot.timestamp_ms)
    heads = {ref.snapshot_id for ref in table.metadata.refs.values()}
    many = {snapshot.snapshot_id for snapshot in old[:-_MOST_SNAPSHOTS]}
    gone = [
        snapshot
        for snapshot in old
        if (snapshot.snapshot_id in many or snapshot.timestamp_ms < before.timestamp() * 1000)
        and snapshot.snapshot_id not in heads
    ]
    if not gone:
        return 0
    with translated_errors():
        kept = [snapshot for snapshot in old if snapshot not in gone]
        files = sorted({*_files(table, gone)} - {*_files(table, kept)})
        note = io.BytesIO(msgspec.json.encode(files))
        _notes(view).put_file(f"{_NOTE}{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.json", note)
        try:
            expiring = tried_once(table).maintenance.expire_snapshots()
            expiring.by_ids([snapshot.snapshot_id for snapshot in gone]).commit()
        except CommitFailedException:
            return 0
    return len(gone)


def _removed(view: IcebergView, before: datetime) -> int:
    """Remove files that were noted before then and that no snapshot has; how many."""
    store = _notes(view)
    notes = [name for name in store.names("") if name.startswith(_NOTE) and name < f"{_NOTE}{before:%Y%m%dT%H%M%S%f}"]
    if not notes:
        return 0
    noted: set[str] = set()
    for name in notes:
        with store.open(name) as file:
            noted |= {*msgspec.json.decode(file.read(), type=list[str])}
    with translated_errors():
        files = noted - {*_files(view.table, view.table.snapshots())}
        for path in files:
            with suppress(FileNotFoundError):
                view.table.io.delete(path)
    store.remove(notes)
    return len(files)


def _notes(view: IcebergView) -> ArrowStore:
    """The folder of the table's metadata, which holds the notes too."""

    def location() -> Location:
        table = view.look()
        return location_of(table, f"{table.location()}/metadata")

    return ArrowStore(location)


def _remove_interrupted(view: IcebergView, keep: timedelta) -> None:
    """Remove files of a maintenance that ended before its commit, unless a snapshot has them."""
    left = interrupted(view.store.names(""), (), keep, time.time())
    if left:
        with translated_errors():
            known = {path.rpartition("/")[2] for path in _files(view.table, view.table.snapshots())}
        view.store.remove(name for name in left if name.rpartition("/")[2] not in known)


def _files(table: Table, snapshots: Iterable[Snapshot]) -> Iterator[str]:
    """All files of snapshots: manifest lists, manifests, data files and delete files."""
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
