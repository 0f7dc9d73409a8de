"""What search engines are like, as data."""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.model import Kind, Traits

RESERVED = frozenset(
    {"_id", "_index", "_source", "_type", "_routing", "_ignored", "_field_names", "_size", "_seq_no", "_primary_term"}
    | {"_version", "_doc_count", "_tier", "_nested_path", "_feature", "_parent", "_all", "_data_stream_timestamp"}
    | {"_tailrace"}
)
"""Names that engines have for themselves at the top of a document."""

ALTERABLE = frozenset({(Kind.DATE, Kind.TIMESTAMP), (Kind.DATE, Kind.TIMESTAMPTZ)})
"""Kinds that are indexed alike, and whose values are; a field is never indexed otherwise than it began."""


TYPES: Mapping[Kind, str] = {
    Kind.BOOL: "boolean",
    Kind.INT: "long",
    Kind.FLOAT: "double",
    Kind.DECIMAL: "scaled_float up to 15 digits, keyword beyond",
    Kind.TEXT: "text with a keyword; keyword in a key",
    Kind.JSON: "object",
    Kind.BINARY: "binary",
    Kind.DATE: "date",
    Kind.TIME: "keyword",
    Kind.TIMESTAMP: "date",
    Kind.TIMESTAMPTZ: "date",
    Kind.UUID: "keyword",
}
"""How values of each kind are indexed."""


def traits_of(name: str) -> Traits:
    """The traits of the engine of that name."""
    return Traits(
        name=name,
        guarantee="exactly once: what a run has written beyond its last checkpoint is undone by the next one",
        max_name_length=180,
        case_sensitive=True,
        reserved=RESERVED,
        unusable=r"[.\0*]|^\s+|\s+$",
        own_tables=r"tailrace-.*|\..*",
    )
