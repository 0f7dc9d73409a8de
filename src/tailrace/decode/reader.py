"""Flat records read by pyarrow's JSON reader, a whole run at a time, with no lock held; or a doubt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.json as pj

from tailrace import compute as pc
from tailrace.decode.arrays import DoubtError, of_text
from tailrace.decode.deletions import growth_for, with_marks
from tailrace.decode.lines import is_utf8
from tailrace.decode.metadata import Facts, filled
from tailrace.decode.plan import Object, Plan, Value
from tailrace.decode.suspects import Bytes, NumberSuspects, is_searchable, is_suspect
from tailrace.decode.values import NUMERIC
from tailrace.model import ARROW, Clock, Column, Fill, Kind, RecordBlock

MAX_BYTES = 2**30
"""The longest run that is tried: the reader counts a block's bytes in 32 bits."""

_STRING, _INT64, _FLOAT64 = pa.string(), pa.int64(), pa.float64()
_TIMESTAMPTZ = ARROW[Kind.TIMESTAMPTZ]
_MESSAGE = ("type", "stream", "record", "version", "time_extracted")
_UNUSED: dict[frozenset[str], pa.DataType] = {
    frozenset({"string"}): _STRING,
    frozenset({"boolean"}): pa.bool_(),
    frozenset({"integer"}): _INT64,
    frozenset({"number"}): _FLOAT64,
    frozenset({"integer", "number"}): _FLOAT64,
}
"""How a field that no column takes is read, by the JSON types that it may have."""


def is_eligible(plan: Plan) -> bool:
    """Whether the stream's records can be read this way: all columns but those of JSON, no value of two types."""
    values = list(plan.record.values())
    return (
        plan.stream.validation != "full"
        and any(value.column for value in values)
        and all(_type_read(value) is not None for value in values)
        and all(is_searchable(value.path[-1]) for value in values if is_suspect(value))
        and all(_object_type(inside) for inside in plan.record.objects())
    )


def _object_type(plan: Object) -> pa.StructType:
    fields = []
    for name, field in plan.fields.items():
        of_field = _object_type(field) if isinstance(field, Object) else _type_read(field)
        fields.append(pa.field(name, of_field))
    return pa.struct(fields)


def _type_read(value: Value) -> pa.DataType | None:
    """The Arrow type that a field is read as; None when it can't be."""
    types, column = value.types - {"null"}, value.column
    if column is None:
        return _UNUSED.get(types)
    if column.kind is Kind.JSON:
        return None
    if column.kind is Kind.BOOL:
        return pa.bool_() if "boolean" in types else None
    if column.kind not in NUMERIC:
        return _STRING if "string" in types else None
    if "string" in types:
        return None if types & {"integer", "number"} else _STRING
    return column.arrow if types & {"integer", "number"} else None


class Reader:
    """Reads runs of one stream that `is_eligible`."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self._plan = plan
        self._stream = plan.stream
        self._clock = clock
        self._numbers = NumberSuspects(plan)
        record = _object_type(plan.record)
        types = (_STRING, _STRING, record, _INT64, _STRING)
        self._options = pj.ParseOptions(
            explicit_schema=pa.schema(list(zip(_MESSAGE, types, strict=True))), unexpected_field_behavior="error"
        )
        self._names = [value.path[-1] for value in plan.record.values()]
        self._extracted_at = plan.stream.filled_with(Fill.EXTRACTED_AT)

    def read(self, run: RecordBlock, now: datetime) -> pa.Table:
        """The run's rows, none of them refused, and nothing else to be told; DoubtError where that isn't certain."""
        data = Bytes(run.data)
        # The reader doesn't check what encoding it reads.
        if len(run.data) > MAX_BYTES or not data.are_lines_of_objects() or not is_utf8(run.data):
            raise DoubtError("lines")
        if self._numbers.are_in(data):
            raise DoubtError("numbers")
        try:
            message = self._parsed(run, data)
            arrays = {column.name: array for column, array in self._columns(message.column(2), data)}
            facts = self._facts(run, message, now)
        except pa.ArrowException as error:
            raise DoubtError(str(error)) from error
        arrays = filled(self._stream, self._clock, facts) | arrays
        if growth_for(self._plan, arrays, facts.lines):
            raise DoubtError("deletions")
        arrays = with_marks(self._plan, arrays)
        return pa.table([*(arrays[c.name] for c in self._stream.columns), facts.lines], schema=self._stream.arrow)

    def _parsed(self, run: RecordBlock, data: Bytes) -> pa.RecordBatch:
        table = pj.read_json(
            pa.BufferReader(data.data),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(data.data) + 1),
            parse_options=self._options,
        )
        if table.num_rows != run.count:
            raise DoubtError("rows")
        # An explicit schema gives the columns their order: that of _MESSAGE.
        message = table.combine_chunks().to_batches()[0]
        kind, stream, record = message.columns[:3]
        if record.null_count or not _are_all(kind, "RECORD") or not _are_all(stream, self._stream.name):
            raise DoubtError("message")
        return message

    def _facts(self, run: RecordBlock, message: pa.RecordBatch, now: datetime) -> Facts:
        versions, extracted_at = message.column(3), message.column(4)
        if versions.null_count < run.count and not self._stream.versioned:
            raise DoubtError("version")
        if self._extracted_at is not None:
            extracted_at = of_text(extracted_at, self._extracted_at)
        lines = pa.chunked_array([pa.array(run.lines(), _INT64)])
        return Facts(now, lines.combine_chunks(), versions, extracted_at)

    def _columns(self, record: pa.StructArray, data: Bytes) -> Iterator[tuple[Column, pa.Array]]:
        for value, array in _values(self._plan.record, record, is_strict=self._plan.is_strict):
            if pa.types.is_floating(array.type) and pc.all(pc.is_finite(array)).as_py() is False:
                raise DoubtError("NaN or infinity, which JSON doesn't have")
            if value.column is None:
                continue
            if array.null_count:
                self._check_nulls(value, value.column, array, data)
            is_read = array.type == value.column.arrow and not pa.types.is_string(array.type)
            yield value.column, array if is_read else of_text(array, value.column)

    def _check_nulls(self, value: Value, column: Column, array: pa.Array, data: Bytes) -> None:
        """Raise DoubtError unless all the nulls are allowed where they are."""
        if column.name in self._stream.key:
            raise DoubtError("a key that is null or missing")
        if not self._plan.is_strict or (column.nullable and not column.required):
            return
        name = value.path[-1]
        is_unique = len(value.path) == 1 and self._names.count(name) == 1 and name not in _MESSAGE
        present = data.keys(name) if is_unique and not self._is_object(name) else None
        if present is None:
            raise DoubtError("nulls that may be missing fields")
        missing = len(array) - present
        if (missing and column.required) or (array.null_count > missing and not column.nullable):
            raise DoubtError("nulls that aren't allowed")

    def _is_object(self, name: str) -> bool:
        return any(inside.path[-1] == name for inside in self._plan.record.objects())


def _values(plan: Object, array: pa.StructArray, *, is_strict: bool) -> Iterator[tuple[Value, pa.Array]]:
    """The values of records and their arrays; null where the object that they stand in is."""
    for field, inner in zip(plan.fields.values(), array.flatten(), strict=True):
        if isinstance(field, Object):
            if inner.null_count and is_strict and (field.is_required or not field.is_nullable):
                raise DoubtError("objects that are null or missing")
            yield from _values(field, inner, is_strict=is_strict)
        else:
            yield field, inner


def _are_all(texts: pa.Array, expected: str) -> bool:
    return not texts.null_count and pc.all(pc.equal(texts, expected)).as_py() is not False
