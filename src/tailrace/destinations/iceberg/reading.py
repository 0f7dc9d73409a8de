"""The rows of a Parquet file in an Iceberg table's columns, found by their ids, with no value changed.

pyiceberg's own reader turns null lists of structs into empty lists. That must not happen to rows that are only copied
into another file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from pyiceberg.io.pyarrow import _convert_scalar, _get_field_id, _read_all_delete_files
from pyiceberg.manifest import FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.name_mapping import MappedField
from pyiceberg.transforms import IdentityTransform

from tailrace import compute as pc
from tailrace.destinations.iceberg.types import arrow_of
from tailrace.errors import DestinationError
from tailrace.lake.reading import batches_of

_Names = Sequence[MappedField] | None
"""The names that identify the fields of a file without ids; None if it has ids."""


def read_rows(table: Table, task: FileScanTask, schema: Schema) -> Iterator[pa.RecordBatch]:
    """The file's rows in these columns, some at a time, without rows that other writers deleted."""
    wanted, file = arrow_of(schema), task.file
    if file.file_format != FileFormat.PARQUET:
        raise DestinationError(
            f"the file {file.file_path} of the Iceberg table {'.'.join(table.name())} is {file.file_format.name}, "
            "which tailrace doesn't read; have another engine rewrite the table's files as Parquet"
        )
    gone = [
        chunk for found in _read_all_delete_files(table.io, [task]).get(file.file_path, ()) for chunk in found.chunks
    ]
    deleted = pa.chunked_array(gone, pa.int64()) if gone else None
    with table.io.new_input(file.file_path).open() as source:
        parquet = pa.parquet.ParquetFile(source, pre_buffer=True, coerce_int96_timestamp_unit="us")
        names = _names_of(table, parquet.schema_arrow)
        indexes = _indexes(parquet.schema_arrow, names)
        ids = [field.field_id for field in schema.fields]
        constants = _partition_values(table, task, {number for number in ids if number not in indexes})
        columns = [parquet.schema_arrow.names[indexes[number][0]] for number in ids if number in indexes]
        first = 0
        for batch in batches_of(parquet, columns):
            rows = batch if deleted is None else _without(batch, deleted, first)
            first += batch.num_rows
            of_batch = _indexes(rows.schema, names)
            values = [
                _column(rows, number, field.type, of_batch, constants)
                for number, field in zip(ids, wanted, strict=True)
            ]
            yield pa.record_batch(values, schema=wanted)


def _column(
    rows: pa.RecordBatch,
    number: int,
    kind: pa.DataType,
    indexes: Mapping[int, tuple[int, _Names]],
    constants: Mapping[int, pa.Scalar],
) -> pa.Array:
    """A column by its id: the file's values, or else its partition's value, or else nulls."""
    if number in indexes:
        index, names = indexes[number]
        return projected(rows.column(index), kind, names)
    if number in constants:
        return pa.repeat(constants[number].cast(kind), rows.num_rows)
    return pa.nulls(rows.num_rows, kind)


def projected(values: pa.Array, kind: pa.DataType, names: _Names = None) -> pa.Array:
    """The values as another type, whose structs have their fields by id; null stays null, and empty stays empty."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    mask = values.is_null() if values.null_count else None
    if pa.types.is_struct(kind) and pa.types.is_struct(values.type):
        indexes, fields = _indexes(values.type, names), []
        for field in kind:
            index, within = indexes.get(_get_field_id(field) or 0, (None, None))
            is_there = index is not None
            fields.append(
                projected(values.field(index), field.type, within) if is_there else pa.nulls(len(values), field.type)
            )
        return pa.StructArray.from_arrays(fields, fields=[*kind], mask=mask)
    if pa.types.is_list(kind) and not pa.types.is_null(values.type):
        within = None if names is None else next((each.fields for each in names if "element" in each.names), ())
        items = projected(values.flatten(), kind.value_type, within)
        lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        return pa.ListArray.from_arrays(offsets, items, type=kind, mask=mask)
    return _cast(values, kind)


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values cast from a narrower or another writer's type; times are cut to microseconds."""
    is_finer = pa.types.is_timestamp(values.type) or pa.types.is_time64(values.type)
    if is_finer and values.type.unit == "ns" and values.type != kind:
        values = pc.floor_temporal(values, unit="microsecond")
    return values if values.type == kind else values.cast(kind)


def _indexes(fields: Iterable[pa.Field], names: _Names) -> Mapping[int, tuple[int, _Names]]:
    """The index of each field by its id, and the names of the fields within it."""
    if names is None:
        ids = [(_get_field_id(field), index) for index, field in enumerate(fields)]
        return {number: (index, None) for number, index in ids if number is not None}
    known = {name: mapped for mapped in names for name in mapped.names}
    found = [(known[field.name], index) for index, field in enumerate(fields) if field.name in known]
    return {mapped.field_id: (index, mapped.fields) for mapped, index in found if mapped.field_id is not None}


def _names_of(table: Table, schema: pa.Schema) -> _Names:
    """The names that identify the fields of a file without ids; raises DestinationError if the table has none."""
    if any(_get_field_id(field) is not None for field in schema):
        return None
    mapping = table.name_mapping()
    if mapping is None:
        raise DestinationError(
            f"a file of the Iceberg table {'.'.join(table.name())} has no field ids, and the table no "
            "`schema.name-mapping.default` that says which column is which; set that property"
        )
    return mapping.root


def _partition_values(table: Table, task: FileScanTask, missing: set[int]) -> Mapping[int, pa.Scalar]:
    """The partition's values for columns that the file itself lacks."""
    spec, schema = table.specs()[task.file.spec_id], table.schema()
    found: dict[int, Any] = {}
    for index, field in enumerate(spec.fields):
        if field.source_id in missing and isinstance(field.transform, IdentityTransform):
            value = task.file.partition[index]
            if value is not None:
                found[field.source_id] = _convert_scalar(value, schema.find_type(field.source_id))
    return found


def _without(rows: pa.RecordBatch, deleted: pa.ChunkedArray, first: int) -> pa.RecordBatch:
    """The rows that aren't deleted; `first` is the position of the first row in the file."""
    indexes = pa.arange(first, first + rows.num_rows)
    return rows.filter(pc.invert(pc.is_in(indexes, value_set=deleted)))
