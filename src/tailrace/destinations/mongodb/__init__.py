"""MongoDB: a document for each row, with native values; what isn't committed is undone.

*Durable when* the checkpoint's record is acknowledged by a majority, and so every document before it.
*Visible when* documents are written, within the commit; a run that ends before its checkpoint is undone by the next.
*Load verb* unordered bulk writes over several connections.
*Source* https://www.mongodb.com/docs/manual/core/bulk-write-operations/ and
https://www.mongodb.com/docs/manual/reference/write-concern/

All fields of a key make the `_id`: the value of the only one, or a document of them. Documents have a field
`_tailrace`, which says what pipeline and checkpoint they are from, and in which order they were written.
"""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.destination import Destination
from tailrace.destinations.mongodb.database import MongoDatabase
from tailrace.destinations.mongodb.settings import Settings, from_url
from tailrace.documents.destination import DocumentDestination
from tailrace.model import Kind, Traits

__all__ = ["SETTINGS", "TRAITS", "build", "from_url"]

TRAITS = Traits(
    name="MongoDB",
    guarantee="exactly once: what a run has written beyond its last checkpoint is undone by the next one",
    max_name_length=120,
    case_sensitive=True,
    reserved=frozenset({"_id", "_tailrace"}),
    unusable=r"[$.\0]",
    own_tables=r"_tailrace_.*|system\..*",
)

TYPES: Mapping[Kind, str] = {
    Kind.BOOL: "bool",
    Kind.INT: "int or long",
    Kind.FLOAT: "double",
    Kind.DECIMAL: "decimal",
    Kind.TEXT: "string",
    Kind.JSON: "object, array or any value",
    Kind.BINARY: "binData",
    **dict.fromkeys((Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ), "date"),
    Kind.TIME: "string",
    Kind.UUID: "binData of subtype 4",
}
"""BSON's type of each kind; timestamps are strings under `timestamps: text`."""

_NUMBERS = frozenset({(Kind.INT, Kind.DECIMAL), (Kind.DECIMAL, Kind.DECIMAL)})
_DATES = frozenset({(Kind.DATE, Kind.TIMESTAMP), (Kind.DATE, Kind.TIMESTAMPTZ)})

SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    alike_in_bson = _NUMBERS | _DATES if settings.timestamps == "date" else _NUMBERS
    return DocumentDestination(MongoDatabase(settings), TRAITS, alike_in_bson)
