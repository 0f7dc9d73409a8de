"""Small files of a table put together: fewer files with the same rows, by one commit that changes no data."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Sequence

import pyarrow as pa

from tailrace.lake.entries import part_name
from tailrace.lake.parts import Parts
from tailrace.lake.tables import ConflictError, LakeTable, LiveFile

_NOBODY = "~maintenance"
"""The pipeline whose names the files have: no run has it, so that none takes them for its own."""


def compacted(look: Callable[[], LakeTable]) -> tuple[int, int]:
    """How many small files of a table were put together, and to how many; nothing is done for fewer than two.

    `look` gives the table as it is. Where another writer is quicker the files are left to the next time: loads come
    first. Raises DestinationError.
    """
    table = look()
    groups = _groups(table)
    if not groups:
        return 0, 0
    token = secrets.token_hex(8)
    parts = Parts(table.layout(), lambda number: part_name(_NOBODY, 0, f"{token}-{number}"))
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


def _groups(table: LakeTable) -> list[Sequence[LiveFile]]:
    """Small files of one partition, where there are several."""
    small: dict[Hashable, list[LiveFile]] = {}
    for file in table.files():
        if file.size <= table.layout().max_bytes / 2:
            small.setdefault(file.partition, []).append(file)
    return [group for group in small.values() if len(group) > 1]
