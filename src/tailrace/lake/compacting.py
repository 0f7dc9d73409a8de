"""Small files of a table put together: fewer files with the same rows, by one commit that changes no data."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from datetime import timedelta

import pyarrow as pa

from tailrace.lake.entries import MAINTENANCE, part_name, sequence_of
from tailrace.lake.parts import Parts
from tailrace.lake.tables import ConflictError, LakeTable, LiveFile

_LONGEST = timedelta(days=1)
"""How long a maintenance may be at work on one table."""


def compacted(look: Callable[[], LakeTable], now_s: float) -> tuple[int, int]:
    """How many small files of a table were put together, and to how many; nothing is done for fewer than two.

    `look` gives the table as it is. Where another writer is quicker the files are left to the next time: loads come
    first. In the place of an entry's sequence the names of new files have the second at which they were begun. Raises
    DestinationError.
    """
    table = look()
    groups = _groups(table)
    if not groups:
        return 0, 0
    token, began_s = secrets.token_hex(8), int(now_s)
    parts = Parts(table.layout(), lambda number: part_name(MAINTENANCE, began_s, f"{token}-{number}"))
    try:
        for group in groups:
            for file in group:
                for batch in table.read(file):
                    parts.add(pa.table(batch))
        adds, removes = parts.seal(), [file for group in groups for file in group]
        table.rearrange(adds, removes)
    except ConflictError:
        parts.discard()
        return 0, 0
    except BaseException:
        parts.close()  # whether the commit was made may not be known: what is uploaded stays
        raise
    parts.close()
    return len(removes), len(adds)


def interrupted(names: Iterable[str], known: Collection[str], keep: timedelta, now_s: float) -> list[str]:
    """Those of a table's files that maintenance wrote longer ago, and that aren't among the known ones.

    They are of one that ended before its commit, or of an older version of the table. One that is at work for a day
    keeps its own.
    """
    before_s = now_s - max(keep, _LONGEST).total_seconds()
    written = {name: sequence_of(name, MAINTENANCE) for name in names}
    return [name for name, at_s in written.items() if at_s is not None and at_s < before_s and name not in known]


def _groups(table: LakeTable) -> list[Sequence[LiveFile]]:
    """Small files of one partition, where there are several."""
    small: dict[Hashable, list[LiveFile]] = {}
    for file in table.files():
        if file.size <= table.layout().max_bytes / 2:
            small.setdefault(file.partition, []).append(file)
    return [group for group in small.values() if len(group) > 1]
