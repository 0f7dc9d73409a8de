"""Decoding by the package tailrace-native, which takes what is certain; the reference judges the lines it doubts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import tailrace_native

from tailrace.decode.deletions import growth_for, with_marks
from tailrace.decode.joining import joined
from tailrace.decode.layout import Object, RecordLayout, Value
from tailrace.decode.metadata import Facts, filled
from tailrace.decode.reference import Reference
from tailrace.model import Clock, Column, Decoded, Fill, Inexact, Kind, Noted, RecordBlock, Stream

MAX_BYTES = 2**30
"""The longest run that is decoded natively: its columns count bytes in 32 bits."""


MAX_LEVELS = 32
"""Objects in objects that are taken apart natively; the layout's JSON can't be nested without end."""


def is_eligible(layout: RecordLayout) -> bool:
    """Whether the stream's records can be decoded natively: all but those that have to be checked by every keyword."""
    levels = max((len(inside.path) for inside in layout.record.objects()), default=0)
    return layout.stream.validation != "full" and levels <= MAX_LEVELS


class Native:
    """Decodes the runs of one stream whose layout `is_eligible`; the answers are the reference's. Thread-safe."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._layout = layout = RecordLayout(stream)
        self._columns = layout.columns
        self._decoder = tailrace_native.Decoder(layout_json(layout))
        self._reference = Reference(stream, clock)

    def decode(self, run: RecordBlock) -> Decoded:
        """The run as columns."""
        now = self._clock.now()
        if run.size > MAX_BYTES:
            return self._reference.decode_at(run, now)
        columns, doubtful, unknown, inexact, coerced, odd = self._decoder.decode(run.pieces, run.spans)
        arrays = pa.record_batch(columns).columns
        *_, versions, extracted_at, lines = arrays
        by_name = filled(self._stream, self._clock, Facts(now, lines, versions, extracted_at))
        by_name |= {column.name: array for column, array in zip(self._columns, arrays, strict=False)}
        growth = growth_for(self._layout, by_name, lines)
        by_name = with_marks(self._layout, by_name)
        rows = pa.table([*(by_name[c.name] for c in self._stream.columns), lines], schema=self._stream.arrow)
        dropped: Counter[str] = Counter()
        for path, count in unknown:  # a field of that name and one in an object can have the same path
            dropped[path] += count
        found = Decoded(
            rows,
            unknown=dict(dropped),
            inexact={name: Inexact(count, line, *places) for name, count, line, places in inexact},
            coerced={name: Noted(count, line) for name, count, line, _ in coerced},
            odd={name: Noted(count, line) for name, count, line, _ in odd},
        )
        if growth:
            found = Decoded(self._stream.arrow.empty_table(), growth=growth)
        if not doubtful:
            return found
        return joined(self._stream, [found, self._reference.decode_at(_lines_of(run, doubtful), now)])


def _lines_of(run: RecordBlock, lines: Sequence[tuple[int, int, int, int]]) -> RecordBlock:
    """The lines of a run that are given as (line, piece, start, end), with the line feed."""
    pieces = tuple(run.pieces[piece][start:end] for _, piece, start, end in lines)
    return RecordBlock(run.stream, pieces, tuple((line, 1) for line, _, _, _ in lines))


def layout_json(layout: RecordLayout) -> str:
    """The layout as tailrace-native reads it."""
    stream = layout.stream
    keys = {column.path for column in layout.columns if column.name in stream.key}
    written = {
        "stream": stream.name,
        "columns": [_column(column) for column in layout.columns],
        "record": _fields(layout.record, keys, is_strict=layout.is_strict),
        "unknown": stream.unknown_fields,
        "is_draft4": layout.is_draft4,
        "is_versioned": stream.versioned,
        "reads_extracted_at": stream.filled_with(Fill.EXTRACTED_AT) is not None,
    }
    return msgspec.json.encode(written).decode()


def _column(column: Column) -> dict[str, object]:
    written: dict[str, object] = {"name": column.name, "kind": column.kind.value}
    if column.kind is Kind.DECIMAL:
        written |= {"precision": column.precision, "scale": column.scale}
    if column.kind is Kind.BINARY:
        written["is_base16"] = column.encoding == "base16"
    return written


def _fields(layout: Object, keys: set[tuple[str, ...]], *, is_strict: bool) -> list[dict[str, object]]:
    return [{"name": name, **_field(field, keys, is_strict=is_strict)} for name, field in layout.fields.items()]


def _field(field: Value | Object, keys: set[tuple[str, ...]], *, is_strict: bool) -> dict[str, object]:
    if isinstance(field, Object):
        return _object(field, keys, is_strict=is_strict)
    return _value(field, keys, is_strict=is_strict)


def _value(value: Value, keys: set[tuple[str, ...]], *, is_strict: bool) -> dict[str, object]:
    column = value.column
    if column is None:
        return {"refuses_null": False, "refuses_missing": False}
    is_key = value.path in keys
    return {
        "slot": value.slot,
        "types": sorted(value.types),
        "coerces": value.coerces,
        "is_document": value.is_document,
        "refuses_null": is_key or (is_strict and not column.nullable),
        "refuses_missing": is_key or (is_strict and column.required),
    }


def _object(inside: Object, keys: set[tuple[str, ...]], *, is_strict: bool) -> dict[str, object]:
    has_key = any(value.path in keys for value in inside.values())
    return {
        "fields": _fields(inside, keys, is_strict=is_strict),
        "refuses_null": has_key or (is_strict and not inside.is_nullable),
        "refuses_missing": has_key or (is_strict and inside.is_required),
    }
