"""Bare JSON values, around which there is no message: they are decoded as the fields of records are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.decode import decoder
from tailrace.model import Clock, Column, Decoded, RecordBlock, Stream, TableName

_NAME = "nested"
_EPOCH = datetime.fromtimestamp(0, UTC)
_CLOCK = Clock(_EPOCH, lambda: _EPOCH)


class BareObjects:
    """Decodes JSON objects; a field that has no column is refused.

    `properties` are the schemas of the fields. Values are counted from 1, where records have their input lines.
    """

    def __init__(self, columns: Sequence[Column], properties: Mapping[str, Mapping[str, Any]], coerce: str) -> None:
        schema = msgspec.json.encode({"type": "object", "properties": properties})
        stream = Stream(
            _NAME, TableName(_NAME), tuple(columns), unknown_fields="fail", coerce=coerce, json_schema=schema
        )
        self._decoder = decoder(stream, _CLOCK)

    def decode(self, objects: pa.Array) -> Decoded:
        """The fields of objects: large strings of JSON, without line feeds, none of them null."""
        nothing, line_feed = (pa.scalar(text, pa.large_string()) for text in ("", "\n"))
        lines = pc.binary_join_element_wise(objects, nothing, line_feed)
        return self._decoded(lines.buffers()[2].to_pybytes(), len(objects))

    def decode_values(self, field: str, values: Sequence[bytes]) -> Decoded:
        """Values of one field, as of objects in which nothing else is; JSON without line feeds, at least one."""
        before, behind = b"{" + msgspec.json.encode(field) + b":", b"}\n"
        return self._decoded(before + (behind + before).join(values) + behind, len(values))

    def _decoded(self, lines: bytes, count: int) -> Decoded:
        return self._decoder.decode_bare(RecordBlock.of(_NAME, lines, (1, count)))
