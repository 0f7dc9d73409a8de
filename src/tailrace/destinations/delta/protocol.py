"""What a Delta table demands of its writers beyond its columns, and which of these demands tailrace can't meet.

*Source* https://github.com/delta-io/delta/blob/master/PROTOCOL.md, "Table Features" and "Requirements for Writers".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa
from deltalake import DeltaTable
from msgspec import Struct

_KNOWN = frozenset(
    {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "timestampNtz"}
)
"""Features that a table may have. What they demand is checked by its properties and columns."""

_IDENTITY_VERSION, _FEATURES_VERSION, _READER_VERSION = 6, 7, 3

_OF_COLUMNS = {
    "delta.invariants": "is held to an invariant",
    "delta.generationExpression": "is generated",
    "delta.identity.start": "is an identity column",
}
"""Metadata that nobody checks or fills in when files are added as they are, and what a column is by it."""

_OF_REMOVING = {
    "delta.appendOnly": "so that its rows are never changed or removed",
    "delta.enableChangeDataFeed": "and tailrace writes no files of changes",
}

_UNOPENED = ("Kernel error: Unsupported", "Invalid protocol action", "catalog version", "Unsupported reader")
"""What deltalake says of tables that it can't open."""


class Problem(Struct, frozen=True):
    """Why a table can't be written: what it has, in which column, and how to mend that.

    `appends` says that rows can be appended nevertheless.
    """

    has: str
    way: str
    column: str | None = None
    appends: bool = False


class Work(Struct, frozen=True):
    """What a checkpoint does to a table: merges rows with its own, and changes or removes rows of its own."""

    merges: bool
    removes: bool


def problem_of(version: DeltaTable, work: Work) -> Problem | None:
    """Why such work can't be done on the table; None if it can."""
    looks = (_of_protocol(version), _of_columns(version, work), _of_properties(version, work))
    return next(filter(None, looks), None) or _of_files(version, work)


def unopened(error: BaseException | None) -> Problem | None:
    """Why deltalake can't open the table; None if the store is to blame."""
    text = str(error).partition("\n")[0]
    if not any(said in text for said in _UNOPENED):
        return None
    return Problem(f"features that deltalake doesn't read ({text.removeprefix('Kernel error: ')})", _without("them"))


def _of_protocol(version: DeltaTable) -> Problem | None:
    protocol = version.protocol()
    asked = {*(protocol.writer_features or ()), *(protocol.reader_features or ())} - _KNOWN
    if asked:
        names = ", ".join(sorted(asked))
        way = f"drop what can be dropped (`ALTER TABLE ... DROP FEATURE {min(asked)}`), or {_without('them')}"
        return Problem(f"table features that tailrace doesn't write: {names}", way)
    if protocol.min_writer_version == _IDENTITY_VERSION:
        return Problem("minWriterVersion 6, which stands for identity columns", _without("them"))
    if protocol.min_writer_version > _FEATURES_VERSION or protocol.min_reader_version > _READER_VERSION:
        versions = f"{protocol.min_reader_version}, minWriterVersion {protocol.min_writer_version}"
        return Problem(f"minReaderVersion {versions}, which deltalake doesn't know", _without("that"))
    mapping = version.metadata().configuration.get("delta.columnMapping.mode", "none")
    return None if mapping == "none" else Problem(f"column mapping by {mapping}", _without("it"))


def _of_columns(version: DeltaTable, work: Work) -> Problem | None:
    for path, field in _fields(msgspec.json.decode(version.schema().to_json())):
        for name, what in _OF_COLUMNS.items():
            if name in field["metadata"]:
                said = field["metadata"][name]
                expression = f" ({said})" if isinstance(said, str) else ""
                return Problem(f"the column {path!r}, which {what}{expression}", _without("that"), path)
        if work.merges and "." in path and not field["nullable"]:
            has = f"the column {path!r}, which is NOT NULL within a struct"
            return Problem(has, _without("that"), path, appends=True)
    return None


def _of_properties(version: DeltaTable, work: Work) -> Problem | None:
    properties = version.metadata().configuration
    for name, text in sorted(properties.items()):
        if name.startswith("delta.constraints."):
            constraint = name.removeprefix("delta.constraints.")
            way = (
                f"drop it (`ALTER TABLE ... DROP CONSTRAINT {constraint}`, or "
                f"`DeltaTable(...).alter.drop_constraint({constraint!r})`)"
            )
            return Problem(f"the CHECK constraint {constraint!r} ({text}), which tailrace doesn't check", way)
    for name, why in _OF_REMOVING.items() if work.removes else ():
        if (properties.get(name) or "").lower() == "true":
            way = (
                f"turn it off (`ALTER TABLE ... SET TBLPROPERTIES ('{name}' = 'false')`, or "
                f"`DeltaTable(...).alter.set_table_properties({{'{name}': 'false'}})`)"
            )
            return Problem(f"{name} = true, {why}", way, appends=True)
    return None


def _of_files(version: DeltaTable, work: Work) -> Problem | None:
    """A problem if files are elsewhere, as those of shallow clones, which deltalake doesn't find."""
    if not (work.merges or work.removes):
        return None
    paths = pa.table(version.get_add_actions())["path"].to_pylist()
    if any("://" in path for path in paths):
        return Problem("files of another table, as shallow clones do", _without("them"), appends=True)
    return None


def _without(what: str) -> str:
    return f"load into a table without {what}"


def _fields(schema: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All fields of a schema's JSON by their paths, those of nested structs too."""
    for field in schema.get("fields", ()):
        path = f"{parent}{field['name']}"
        yield path, field
        yield from _within(field["type"], f"{path}.")


def _within(found: Any, parent: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields of structs within a type: its own, and those of items, keys and values."""
    if isinstance(found, Mapping):
        yield from _fields(found, parent)
        for inner in ("elementType", "keyType", "valueType"):
            yield from _within(found.get(inner), parent)
