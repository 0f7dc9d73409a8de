"""The schema of a stream with the fields added that no schema describes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tailrace.config import StreamSettings
from tailrace.schema.flatten import properties_of
from tailrace.schema.shapes import Document

_SCHEMA = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ANNOTATIONS = ("$schema", "$id", "id", "definitions", "$defs")


def grown_schema(
    json_schema: bytes, grown: Mapping[str, Any], settings: StreamSettings
) -> tuple[bytes, tuple[str, ...]]:
    """The schema with the added fields among its properties, and the names of those that may still widen.

    What the schema itself describes stays as it says; what the settings give a kind is anything to the schema.
    """
    if not grown:
        return json_schema, ()
    found = _SCHEMA.decode(json_schema)
    schema: dict[str, Any] = found if isinstance(found, dict) else {}
    document = Document(schema, "")
    described = properties_of([a for a in document.alternatives(schema) if "object" in a.types])
    fields = {name: inner for name, inner in grown.items() if name not in described}
    settled = {name for name in fields if name in settings.columns and settings.columns[name].kind}
    if document.references.ignores_siblings(schema):
        # Properties beside the reference would say nothing.
        kept = {word: value for word, value in schema.items() if word in _ANNOTATIONS}
        schema = {**kept, "allOf": [{"$ref": schema["$ref"]}]}
    properties = {name: {} if name in settled else inner for name, inner in fields.items()}
    schema = {**schema, "properties": {**schema.get("properties", {}), **properties}}
    return _ENCODER.encode(schema), tuple(name for name in fields if name not in settled)
