"""Maintenance of Delta tables: puts small files together, checkpoints the log, removes old files and logs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from tailrace.destinations.delta.errors import translated_errors
from tailrace.destinations.delta.table import DeltaView
from tailrace.lake.compacting import compacted, interrupted

_HOUR = timedelta(hours=1)


def maintained(look: Callable[[], DeltaView], keep: timedelta) -> Iterator[str]:
    """Maintain one table, of which `look` gives a snapshot; what was done."""
    many, few = compacted(look, time.time())
    if many:
        yield f"{many:,} files were put together to {few:,}"
    view = look()
    version = view.version
    hours = math.ceil(keep / _HOUR)
    with translated_errors():
        old = version.vacuum(hours, dry_run=True, enforce_retention_duration=False)
        if old:
            version.vacuum(hours, dry_run=False, enforce_retention_duration=False)
            yield f"{len(old):,} files that it no longer had for more than {hours} hours are removed"
        left = interrupted(view.folder.names(), view.paths(), keep, time.time())
        if left:  # an older version may have them still
            all_unused = version.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
            unused = {path.rpartition("/")[2] for path in all_unused}
            view.folder.remove(path for path in left if path.rpartition("/")[2] in unused)
        version = look().version
        version.create_checkpoint()
        version.cleanup_metadata()
