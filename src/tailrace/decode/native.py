"""Decoding by the package tailrace-native, which takes what is certain; the reference judges the lines it doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import tailrace_native

from tailrace.blocks import packed
from tailrace.decode.deletions import growth_for, with_marks
from tailrace.decode.growing import FORMS, schema_of
from tailrace.decode.joining import joined
from tailrace.decode.keywords import keywords_of
from tailrace.decode.layout import Object, RecordLayout, Value
from tailrace.decode.metadata import Facts, filled
from tailrace.decode.reference import Reference
from tailrace.decode.refused import RefusedLines
from tailrace.errors import json_path
from tailrace.model import (
    Clock,
    Column,
    Decoded,
    Fill,
    Growth,
    Inexact,
    Kind,
    Noted,
    RecordBlock,
    Refused,
    Stream,
)

MAX_BYTES = 2**30
"""The longest block that is decoded natively: its columns count bytes in 32 bits."""


MAX_LEVELS = 32
"""Objects in objects that are taken apart natively; the layout's JSON can't be nested without end."""


def is_eligible(layout: RecordLayout) -> bool:
    """Whether the stream's records can be decoded natively: under `validation: full`, if every keyword can be followed.

    Raises SchemaError where that can't be done at all.
    """
    levels = max((len(inside.path) for inside in layout.record.objects()), default=0)
    return levels <= MAX_LEVELS and (layout.stream.validation != "full" or keywords_of(layout) is not None)


class Native:
    """Decodes the blocks of one stream whose layout `is_eligible`; the answers are the reference's. Thread-safe."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._layout = layout = RecordLayout(stream)
        self._columns = layout.columns
        # It says first whether a schema is one.
        self._reference = Reference(stream, clock)
        self._decoder = self._native_decoder()

    def _native_decoder(self) -> tailrace_native.Decoder | None:
        """None where the validator of tailrace-native can't follow a schema that the reference's can."""
        try:
            return tailrace_native.Decoder(layout_json(self._layout))
        except ValueError:
            if self._stream.validation != "full":
                raise
            return None

    def decode(self, block: RecordBlock) -> Decoded:
        """The block as columns."""
        return self._decode(block, is_bare=False)

    def decode_bare(self, block: RecordBlock) -> Decoded:
        """A block of records alone, without messages around them, as columns."""
        return self._decode(block, is_bare=True)

    def _decode(self, block: RecordBlock, *, is_bare: bool) -> Decoded:
        now = self._clock.now()
        if block.size > MAX_BYTES or self._decoder is None:
            return self._reference.decode_at(block, now, is_bare=is_bare)
        answer = self._decoder.decode(block.pieces, block.spans, is_bare)
        columns, doubtful, refusals, growing = answer[:4]
        arrays = pa.record_batch(columns).columns
        *_, versions, extracted_at, lines = arrays
        by_name = filled(self._stream, self._clock, Facts(now, lines, versions, extracted_at))
        by_name |= {column.name: array for column, array in zip(self._columns, arrays, strict=False)}
        growth = _growth(growing, growth_for(self._layout, by_name, lines))
        if growth:
            found = Decoded(self._stream.arrow.empty_table(), growth=growth)
        else:
            by_name = with_marks(self._layout, by_name)
            rows = pa.table([*(by_name[c.name] for c in self._stream.columns), lines], schema=self._stream.arrow)
            found = _decoded(rows, _refused(block, refusals), *answer[4:])
        if not doubtful:
            return found
        judged = self._reference.decode_at(_lines_of(block, doubtful), now, is_bare=is_bare)
        if growth and growth.fields and judged.growth and judged.growth.fields:
            # New columns come in the order of the lines that ask for them.
            return self._reference.decode_at(block, now, is_bare=is_bare)
        return joined(self._stream, [found, judged])


def _decoded(
    rows: pa.Table,
    refused: Sequence[Refused],
    unknown: tailrace_native.Dropped,
    inexact: list[tailrace_native.Note],
    coerced: list[tailrace_native.Note],
    odd: list[tailrace_native.Note],
) -> Decoded:
    dropped: Counter[str] = Counter()
    for path, count in unknown:  # a field of that name and one in an object can have the same path
        dropped[path] += count
    return Decoded(
        rows,
        refused,
        unknown=dict(dropped),
        inexact={name: Inexact(count, line, *places) for name, count, line, places in inexact},
        coerced={name: Noted(count, line) for name, count, line, _ in coerced},
        odd={name: Noted(count, line) for name, count, line, _ in odd},
    )


def _growth(growing: tailrace_native.Growth, deletable: Growth | None) -> Growth | None:
    """How the stream has to grow: for versions, new fields, and deletions, of which growth that is given speaks."""
    versioned, fields = growing
    lines = [line for _, _, line in fields] + [line for line in (versioned, deletable and deletable.line) if line]
    if not lines:
        return None
    return Growth(
        {name: schema_of(form for at, form in enumerate(FORMS) if bits >> at & 1) for name, bits, _ in fields},
        versioned=bool(versioned),
        deletable=deletable is not None,
        line=min(lines),
    )


def _refused(block: RecordBlock, found: tailrace_native.Refusals) -> Sequence[Refused]:
    return RefusedLines(block, found) if len(found) else ()


def _lines_of(block: RecordBlock, lines: Sequence[tuple[int, int, int, int]]) -> RecordBlock:
    """The lines of a block that are given as (line, piece, start, end), with the line feed."""
    pieces = tuple(block.pieces[piece][start:end] for _, piece, start, end in lines)
    return RecordBlock(block.stream, pieces, packed((line, 1) for line, _, _, _ in lines), len(lines))


def layout_json(layout: RecordLayout) -> str:
    """The layout as tailrace-native reads it."""
    stream = layout.stream
    keys = {column.path for column in layout.columns if column.name in stream.key}
    written = {
        "stream": stream.name,
        "columns": [_column(column) for column in layout.columns],
        "record": _fields(layout.record, keys, layout),
        "unknown": stream.unknown_fields,
        "is_draft4": layout.is_draft4,
        "is_versioned": stream.versioned,
        "grows_by_version_alone": not (
            stream.versioned or stream.unknown_fields == "evolve" or stream.evolved or layout.marks
        ),
        "reads_extracted_at": stream.filled_with(Fill.EXTRACTED_AT) is not None,
        "keywords": keywords_of(layout) if stream.validation == "full" else None,
    }
    return msgspec.json.encode(written).decode()


def _column(column: Column) -> dict[str, object]:
    written: dict[str, object] = {"name": column.name, "kind": column.kind.value}
    if column.kind is Kind.DECIMAL:
        written |= {"precision": column.precision, "scale": column.scale}
    if column.kind is Kind.BINARY:
        written["is_base16"] = column.encoding == "base16"
    return written


def _fields(inside: Object, keys: set[tuple[str, ...]], layout: RecordLayout) -> list[dict[str, object]]:
    return [
        {"name": name, "path": json_path(field.path), **_field(field, keys, layout)}
        for name, field in inside.fields.items()
    ]


def _field(field: Value | Object, keys: set[tuple[str, ...]], layout: RecordLayout) -> dict[str, object]:
    return _object(field, keys, layout) if isinstance(field, Object) else _value(field, keys, layout)


def _value(value: Value, keys: set[tuple[str, ...]], layout: RecordLayout) -> dict[str, object]:
    column = value.column
    if column is None:
        return {"refuses_null": False, "refuses_missing": False}
    is_key = value.path in keys
    return {
        "slot": value.slot,
        "types": sorted(value.types),
        "coerces": value.coerces,
        "is_document": value.is_document,
        "is_key": is_key,
        "refuses_null": is_key or (layout.is_strict and not column.nullable),
        "refuses_missing": is_key or (layout.is_strict and column.required),
        # What no schema describes widens, and a time of deletion may be empty.
        "refuses_unfit": value.path[0] not in layout.stream.evolved and column.fill is None,
    }


def _object(inside: Object, keys: set[tuple[str, ...]], layout: RecordLayout) -> dict[str, object]:
    has_key = any(value.path in keys for value in inside.values())
    return {
        "fields": _fields(inside, keys, layout),
        "is_key": has_key,
        "refuses_null": has_key or (layout.is_strict and not inside.is_nullable),
        "refuses_missing": has_key or (layout.is_strict and inside.is_required),
        # The text of an object is taken as one where values are coerced.
        "refuses_unfit": not layout.coerces,
    }
