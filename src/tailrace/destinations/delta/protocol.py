"""What a Delta table asks of those who write it, beyond its columns, and which of that tailrace doesn't do.

*Source* https://github.com/delta-io/delta/blob/master/PROTOCOL.md, "Table Features" and "Requirements for Writers".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
from deltalake import DeltaTable

_KNOWN = frozenset(
    {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "timestampNtz"}
)
"""Features that a table may have: what they mean stands in its properties and columns, which are looked at."""

_IDENTITY_VERSION, _FEATURES_VERSION, _READER_VERSION = 6, 7, 3

_OF_COLUMNS = {
    "delta.invariants": "is held to an invariant",
    "delta.generationExpression": "is generated",
    "delta.identity.start": "is an identity column",
}
"""What a column's metadata makes of it, which nobody checks or fills where files are added as they are."""

_OF_REMOVING = {
    "delta.appendOnly": "so that its rows are never changed or removed",
    "delta.enableChangeDataFeed": "and tailrace writes no files of changes",
}

_UNOPENED = ("Kernel error: Unsupported", "Invalid protocol action", "catalog version", "Unsupported reader")
"""What deltalake says of tables that it can't even open."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a table can't be written: what it has, in which column, and how it is mended.

    `appends` is set where rows can be appended nevertheless.
    """

    has: str
    way: str
    column: str | None = None
    appends: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done to a table: rows are merged with its own, and rows of its own are changed or removed."""

    merges: bool
    removes: bool


def problem_of(version: DeltaTable, work: Work) -> Problem | None:
    """What keeps the table from taking rows by such work; None where nothing does."""
    looks = (_of_protocol(version), _of_columns(version, work), _of_properties(version, work))
    return next(filter(None, looks), None) or _of_files(version, work)


def unopened(error: BaseException | None) -> Problem | None:
    """What keeps deltalake from opening the table, where that isn't the store."""
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
    """Files elsewhere are those of shallow clones, which deltalake doesn't find."""
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
