"""The structure of a table: its partitions, and what replacing it makes of columns and partitions."""

from __future__ import annotations

from collections.abc import Sequence

from pyiceberg.partitioning import PartitionField
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.transforms import IdentityTransform, VoidTransform
from pyiceberg.types import IcebergType

from tailrace.destinations.iceberg.types import PARTITIONABLE, iceberg_fields, is_held, type_of
from tailrace.errors import DestinationError
from tailrace.lake.entries import Change


def is_partitionable(field: PartitionField, kind: IcebergType) -> bool:
    """Whether tailrace can write files of such a partition field."""
    is_identity = isinstance(field.transform, IdentityTransform) and isinstance(kind, PARTITIONABLE)
    return is_identity or isinstance(field.transform, VoidTransform)


def partition_columns(table: Table, metadata: TableMetadata) -> tuple[str, ...]:
    """The columns whose values the rows of a file share; raises DestinationError for other partitions."""
    schema, names = metadata.schema(), []
    for field in metadata.spec().fields:
        kind = schema.find_type(field.source_id)
        if not is_partitionable(field, kind):
            raise DestinationError(
                f"the Iceberg table {'.'.join(table.name())} is partitioned by {field.transform} of a {kind}, which "
                "tailrace doesn't write; partition it by columns of few values themselves"
            )
        if isinstance(field.transform, IdentityTransform):
            names.append(schema.find_column_name(field.source_id) or "")
    return tuple(names)


def partition_names(wanted: Sequence[str], schema: Schema) -> tuple[str, ...]:
    """Those of the wanted columns that the table has and that can partition it."""
    types = {field.name: field.field_type for field in schema.fields}
    return tuple(name for name in wanted if isinstance(types.get(name), PARTITIONABLE))


def held_fields(metadata: TableMetadata) -> set[int]:
    """The columns that the table is or was partitioned or sorted by; they can't be dropped."""
    held = {field.source_id for spec in metadata.partition_specs for field in spec.fields}
    return held | {field.source_id for order in metadata.sort_orders for field in order.fields}


def restructure(transaction: Transaction, change: Change) -> None:
    """Give the table the change's columns. Columns that stay keep their ids; one of another type gets a new id.

    A column that the table is or was partitioned or sorted by stays, since the metadata of older files needs it.
    """
    metadata = transaction.table_metadata
    held = held_fields(metadata)
    wanted = {column.name: column for column in change.columns}
    missing = dict(wanted)
    with transaction.update_schema(allow_incompatible_changes=True) as update:
        update.set_identifier_fields()
        for field in metadata.schema().fields:
            column = wanted.get(field.name)
            if (column and is_held(field, column)) or (field.field_id in held and not column):
                update.make_column_optional((field.name,))
                missing.pop(field.name, None)
            elif field.field_id in held:
                raise DestinationError(
                    f"the Iceberg table {change.name} is partitioned or sorted by the column {field.name!r}, which is "
                    f"{field.field_type} and would become {type_of(wanted[field.name])}; drop the table, and run again"
                )
            else:
                update.delete_column((field.name,))
        for field in iceberg_fields([*missing.values()]):
            update.add_column((field.name,), field.field_type, field.doc)


def repartition(transaction: Transaction, wanted: Sequence[str]) -> None:
    """Partition the table by those of the columns that it has; if it has none, nothing changes."""
    metadata = transaction.table_metadata
    schema, fields = metadata.schema(), metadata.spec().fields
    sources = {field.name: schema.find_column_name(field.source_id) or "" for field in fields}
    kept = {name: sources[name] for name in (f.name for f in fields if isinstance(f.transform, IdentityTransform))}
    names = partition_names(wanted, schema)
    if not names or (len(kept) == len(fields) and set(kept.values()) == {*names}):
        return
    with transaction.update_spec() as update:
        for field in fields:
            if kept.get(field.name) not in names and not isinstance(field.transform, VoidTransform):
                update.remove_field(field.name)
        for name in names:
            if name not in kept.values():
                update.add_identity(name)
