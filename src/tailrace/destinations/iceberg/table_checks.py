"""Checks whether tailrace can write an Iceberg table, made before any checkpoint is decided.

*Source* https://iceberg.apache.org/spec and https://iceberg.apache.org/docs/latest/configuration/#table-properties
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from pyiceberg.manifest import DataFileContent, ManifestContent
from pyiceberg.table import Table, TableProperties

from tailrace.destinations.iceberg.catalog import translated_errors
from tailrace.destinations.iceberg.structure import held_fields, is_partitionable
from tailrace.destinations.iceberg.types import is_held, is_writable, type_of
from tailrace.errors import SchemaError
from tailrace.model import Method, Stream
from tailrace.schema.evolve import TableColumn
from tailrace.schema.keys import spelled

FORMAT_VERSION = 2
"""The newest version of the format that pyiceberg writes."""

_ENCRYPTION = "encryption.key-id"
_EQUALITY_DELETES = "total-equality-deletes"


class _Problem(Struct, frozen=True):
    """What the table has, how to mend that, and in which column; `appends` says that rows can still be appended."""

    has: str
    way: str
    column: str | None = None
    appends: bool = False


def refuse_unfit(table: Table, stream: Stream, partition_by: Sequence[str]) -> None:
    """Raise SchemaError if checkpoints of the stream can't be applied to the table.

    `partition_by` are the columns that a replaced table is to be partitioned by, if the settings name any.
    """
    is_replaced = stream.method is Method.REPLACE
    found = _of_format(table)
    if not (is_replaced and partition_by):
        found = found or _of_partitions(table)
    if is_replaced:
        found = found or _of_replaced(table, stream)
    else:
        found = found or _of_identifiers(table, stream)
        if stream.waits_for_commit:
            found = found or _of_rewriting(table)
    if found:
        append = "set `method: append`, or " if found.appends and stream.method is not Method.APPEND else ""
        raise SchemaError(
            f"the Iceberg table {'.'.join(table.name())} has {found.has}; {append}{found.way}, or leave the stream out "
            "with `select: false` under `streams:`",
            stream=stream.name,
            column=found.column,
            have=found.has,
        )


def problem_of(table: Table) -> str | None:
    """Why the table's files can't be rewritten; None if they can."""
    found = _of_format(table) or _of_partitions(table) or _of_rewriting(table)
    return found.has if found else None


def _of_format(table: Table) -> _Problem | None:
    if table.format_version > FORMAT_VERSION:
        return _Problem(
            f"version {table.format_version} of the format, which pyiceberg doesn't write",
            "load into a table of version 2",
        )
    if _ENCRYPTION in table.properties:
        return _Problem(f"the property {_ENCRYPTION}, and tailrace doesn't encrypt files", "load into another table")
    return None


def _of_partitions(table: Table) -> _Problem | None:
    schema = table.schema()
    for field in table.spec().fields:
        name, kind = schema.find_column_name(field.source_id), schema.find_type(field.source_id)
        if not is_partitionable(field, kind):
            return _Problem(
                f"partitions by {field.transform} of {name!r}, a {kind}, which tailrace doesn't write",
                f"run `ALTER TABLE {'.'.join(table.name())} DROP PARTITION FIELD {field.name}`, or partition it by "
                "columns of few values themselves",
                name,
            )
    return None


def _of_replaced(table: Table, stream: Stream) -> _Problem | None:
    """A problem if a column that the metadata of older files needs would get another type."""
    held = held_fields(table.metadata)
    wanted = {column.name: TableColumn.of(column) for column in stream.columns}
    for field in table.schema().fields if stream.contract != "discard_columns" else ():
        if field.field_id in held and field.name in wanted and not is_held(field, wanted[field.name]):
            return _Problem(
                f"{field.name!r} as {field.field_type}, by which it is or was partitioned or sorted, and which would "
                f"become {type_of(wanted[field.name])}",
                f"drop the table (`DROP TABLE {'.'.join(table.name())}`), or give the stream's column another name "
                "under `columns:`",
                field.name,
            )
    return None


def _of_identifiers(table: Table, stream: Stream) -> _Problem | None:
    """A problem if the identifier fields, by which other engines tell rows apart, aren't the stream's key."""
    names = table.schema().identifier_field_names()
    filled = {column.name for column in stream.columns if column.required and not column.nullable}
    is_fit = names == {*stream.key} if stream.is_merged else names <= {*stream.key, *filled}
    if not names or is_fit:
        return None
    have = spelled(sorted(names))
    set_to = f"SET IDENTIFIER FIELDS {', '.join(stream.key)}" if stream.key else f"DROP IDENTIFIER FIELDS {have[1:-1]}"
    return _Problem(
        f"the identifier fields {have}, and the stream the key {spelled(stream.key)}",
        f"run `ALTER TABLE {'.'.join(table.name())} {set_to}`",
    )


def _of_rewriting(table: Table) -> _Problem | None:
    """Why the table's own rows can't be rewritten."""
    for field in table.schema().fields:
        if not is_writable(field):
            return _Problem(
                f"{field.name!r} as {field.field_type}, and tailrace can't rewrite files with that",
                "load into a table without that column",
                field.name,
                appends=True,
            )
    if _has_equality_deletes(table):
        return _Problem(
            "equality deletes, which pyiceberg doesn't read",
            "have another engine apply them (`CALL system.rewrite_data_files(table => "
            f"'{'.'.join(table.name())}', options => map('delete-file-threshold', '1'))`)",
            appends=True,
        )
    written = table.properties.get(TableProperties.WRITE_FILE_FORMAT, "parquet").lower()
    if written != "parquet":
        return _Problem(
            f"{TableProperties.WRITE_FILE_FORMAT} = {written}, and tailrace reads files of Parquet alone",
            "set that property to parquet, and have another engine rewrite the files",
            appends=True,
        )
    return None


def _has_equality_deletes(table: Table) -> bool:
    """Whether the table has equality deletes, by the snapshot's summary or else its manifests."""
    snapshot = table.current_snapshot()
    if snapshot is None:
        return False
    known = snapshot.summary and snapshot.summary[_EQUALITY_DELETES]
    if known is not None:
        return known != "0"
    with translated_errors():
        manifests = [m for m in snapshot.manifests(table.io) if m.content == ManifestContent.DELETES]
        entries = (entry for manifest in manifests for entry in manifest.fetch_manifest_entry(table.io))
        return any(entry.data_file.content == DataFileContent.EQUALITY_DELETES for entry in entries)
