"""Puts small files of a table together: the same rows in fewer files, by one commit that changes no data."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from datetime import timedelta

import pyarrow as pa

from tailrace.lake.entries import MAINTENANCE, part_name, sequence_of
from tailrace.lake.parts import Parts
from tailrace.lake.tables import ConflictError, LakeTable, LiveFile

_LONGEST = timedelta(days=1)
"""How long the maintenance of one table may take."""


def compacted(look: Callable[[], LakeTable], now_s: float) -> tuple[int, int]:
    """Put small files of a table together; how many files became how many. Fewer than two are left alone.

    `look` gives a snapshot of the table. If another writer commits first, nothing is done until the next time, since
    loads have priority. Names of new files have the second of their start in place of an entry's sequence. Raises
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
        parts.close()  # the commit may have been made: uploaded files stay
        raise
    parts.close()
    return len(removes), len(adds)


def interrupted(names: Iterable[str], known: Collection[str], keep: timedelta, now_s: float) -> list[str]:
    """A table's files that maintenance wrote longer ago than `keep`, at least a day, and that aren't known.

    They were left by a maintenance that ended before its commit, or belong to an older version of the table.
    """
    before_s = now_s - max(keep, _LONGEST).total_seconds()
    written = {name: sequence_of(name, MAINTENANCE) for name in names}
    return [name for name, at_s in written.items() if at_s is not None and at_s < before_s and name not in known]


def _groups(table: LakeTable) -> list[Sequence[LiveFile]]:
    """Groups of several small files of one partition."""
    small: dict[Hashable, list[LiveFile]] = {}
    for file in table.files():
        if file.size <= table.layout().max_bytes / 2:
            small.setdefault(file.partition, []).append(file)
    return [group for group in small.values() if len(group) > 1]
