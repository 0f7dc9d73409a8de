"""Parts of a run that were decoded apart, as the one run that they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import pyarrow as pa

from tailrace.decode.growing import Schema, union
from tailrace.model import LINE, Decoded, Growth, Noted, Stream

_N = TypeVar("_N", bound=Noted)


def joined(stream: Stream, parts: Sequence[Decoded]) -> Decoded:
    """The parts as one, its rows and refusals in the order of their lines."""
    growths = [part.growth for part in parts if part.growth is not None]
    if growths:
        fields: dict[str, Schema] = {}
        for name, schema in (item for growth in growths for item in growth.fields.items()):
            fields[name] = union(fields[name], schema) if name in fields else schema
        growth = Growth(
            fields,
            versioned=any(growth.versioned for growth in growths),
            deletable=any(growth.deletable for growth in growths),
            line=min(growth.line for growth in growths),
        )
        return Decoded(stream.arrow.empty_table(), growth=growth)
    unknown: Counter[str] = Counter()
    for part in parts:
        unknown.update(part.unknown)
    refused = sorted((refused for part in parts for refused in part.refused), key=lambda refused: refused.line)
    return Decoded(
        _rows(stream, parts),
        tuple(refused),
        dict(unknown),
        inexact=_noted(parts, lambda part: part.inexact),
        coerced=_noted(parts, lambda part: part.coerced),
        odd=_noted(parts, lambda part: part.odd),
    )


def _rows(stream: Stream, parts: Sequence[Decoded]) -> pa.Table:
    tables = [part.rows for part in parts if part.rows.num_rows]
    if not tables:
        return stream.arrow.empty_table()
    rows = pa.concat_tables(tables)
    are_in_order = all(before[LINE][-1].as_py() < after[LINE][0].as_py() for before, after in pairwise(tables))
    return rows if are_in_order else rows.sort_by(LINE)


def _noted(parts: Sequence[Decoded], of: Callable[[Decoded], Mapping[str, _N]]) -> dict[str, _N]:
    """What the parts tell of values, by name."""
    found: dict[str, _N] = {}
    for part in parts:
        for name, noted in of(part).items():
            found[name] = found[name] + noted if name in found else noted
    return found
