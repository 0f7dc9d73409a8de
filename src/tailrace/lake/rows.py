"""Rows of a batch as the files of their table have them, or refused."""

from __future__ import annotations

import pyarrow as pa
from msgspec import structs

from tailrace.errors import RowsRefusedError
from tailrace.lake.mapping import LakeMapping
from tailrace.lake.nested import Read, read_nested
from tailrace.lake.partitions import lost_rows
from tailrace.model import Batch, Kind, TableName
from tailrace.schema.cast import cast_rows
from tailrace.schema.texts import TEXTS


def read_rows(batch: Batch, mapping: LakeMapping, schema: pa.Schema) -> Read:
    """The batch's rows in the files' types, and what was noticed; RowsRefusedError for rows that would change."""
    rows, refused = cast_rows(batch.rows, batch.stream, mapping.targets)
    read = read_nested(rows, batch.stream, mapping.targets, schema)
    refused |= read.refused | lost_rows(read.rows, mapping.lost_texts)
    if refused:
        raise RowsRefusedError(
            f"stream {batch.stream.name!r}: the table {mapping.table} doesn't take {len(refused)} rows unchanged",
            refused,
        )
    return structs.replace(read, rows=_physical(read.rows, mapping.table, schema))


def _physical(rows: pa.Table, table: TableName, schema: pa.Schema) -> pa.Table:
    """The rows in the files' types; raises RowsRefusedError for a value that its type can't hold."""
    columns = []
    for field in schema:
        is_there = field.name in rows.column_names  # a partition column may be the table's alone
        values = rows[field.name] if is_there else pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        try:
            if values.type != field.type:
                is_time = pa.types.is_time(values.type) and pa.types.is_string(field.type)
                values = TEXTS[Kind.TIME](values) if is_time else _unchanged(values, field.type)
        except ValueError as error:
            raise RowsRefusedError(f"the table {table}: column {field.name!r}: {error}") from error
        columns.append(values)
    return pa.table(columns, schema=schema)


def _unchanged(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    """The values cast to the type that another writer gave the column; ValueError if one would change."""
    cast = values.cast(to)
    if pa.types.is_floating(to) and not cast.cast(values.type).equals(values):
        raise ValueError(f"a number has more digits than {to}")
    return cast
