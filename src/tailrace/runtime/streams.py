"""The streams of a run: what each SCHEMA message and the settings make of a stream, and how it grows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from tailrace.config import Settings, StreamSettings
from tailrace.errors import SchemaError
from tailrace.model import Column, Growth, Stream, Traits
from tailrace.schema.jsonschema import chosen_columns
from tailrace.schema.stream import planned_stream, stream_of_columns
from tailrace.singer.messages import SchemaMessage


@dataclass(frozen=True, slots=True)
class _Known:
    message: SchemaMessage
    settings: StreamSettings
    stream: Stream
    versioned: bool = False
    deletable: bool = False
    grown: dict[str, Any] = field(default_factory=dict)


class Streams:
    """Every stream that a SCHEMA message has named, with its present plan."""

    def __init__(self, settings: Settings, traits: Traits) -> None:
        self._settings = settings
        self._traits = traits
        self._known: dict[str, _Known] = {}
        self._selected: dict[str, bool] = {}

    def accept(self, message: SchemaMessage) -> Stream | None:
        """The stream's new plan, or None when the message changes nothing or the stream isn't selected."""
        known = self._known.get(message.stream)
        if not self.is_news(message):
            return None
        settings = known.settings if known else self._settings.for_stream(message.stream)
        if not settings.select:
            return None
        growth = Growth(known.grown, known.versioned, known.deletable) if known else Growth({})
        return self._plan(message, settings, known, growth)

    def is_news(self, message: SchemaMessage) -> bool:
        """Whether the message says anything that the stream's last SCHEMA didn't."""
        known = self._known.get(message.stream)
        return known is None or replace(message, line=known.message.line) != known.message

    def accept_columns(self, name: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> Stream:
        """The plan of a stream whose columns are known without a JSON Schema."""
        known = self._known.get(name)
        settings = self._settings.for_stream(name)
        stream = stream_of_columns(name, chosen_columns(columns, settings), key, settings, self._traits)
        stream = replace(stream, revision=known.stream.revision + 1 if known else 1)
        self._refuse_shared_table(stream)
        message = SchemaMessage(0, name, b"{}", key, (), None, None)
        self._known[name] = _Known(message, settings, stream)
        return stream

    def grow(self, name: str, growth: Growth) -> Stream:
        """The plan of a stream that has grown by fields or a version column."""
        known = self._known[name]
        fields = known.grown | dict(growth.fields)
        so_far = Growth(fields, known.versioned or growth.versioned, known.deletable or growth.deletable)
        stream = self._plan(known.message, known.settings, known, so_far)
        return stream or known.stream

    def message(self, name: str) -> SchemaMessage:
        """The stream's last SCHEMA message."""
        return self._known[name].message

    def is_selected(self, name: str) -> bool:
        """Whether the settings want the stream."""
        if name not in self._selected:
            self._selected[name] = self._settings.for_stream(name).select
        return self._selected[name]

    def replaced(self) -> tuple[Stream, ...]:
        """The streams whose tables this run replaces."""
        return tuple(k.stream for k in self._known.values() if k.stream.method == "replace")

    def _plan(
        self,
        message: SchemaMessage,
        settings: StreamSettings,
        known: _Known | None,
        growth: Growth,
    ) -> Stream | None:
        """The stream's new plan, by all that it has grown by so far; None where it is as it was."""
        grown = dict(growth.fields)
        stream = planned_stream(
            message.stream,
            _with_properties(message.json_schema, grown),
            message.key_properties or (),
            settings,
            self._traits,
            revision=known.stream.revision + 1 if known else 1,
            versioned=growth.versioned,
            deletable=growth.deletable,
            unique_constraints=message.unique_constraints,
            unique_conflict_method=message.unique_conflict_method,
        )
        self._refuse_shared_table(stream)
        is_same = known is not None and replace(stream, revision=known.stream.revision) == known.stream
        if known is not None and is_same:
            stream = known.stream
        self._known[message.stream] = _Known(message, settings, stream, growth.versioned, growth.deletable, grown)
        return None if is_same else stream

    def _refuse_shared_table(self, stream: Stream) -> None:
        for other in (known.stream for known in self._known.values()):
            if other.name != stream.name and self._folded(other) == self._folded(stream):
                raise SchemaError(
                    f"it and the stream {other.name!r} would both be the table {stream.table}; "
                    "give one of them another `table:` under `streams:`",
                    stream=stream.name,
                )

    def _folded(self, stream: Stream) -> str:
        return str(stream.table) if self._traits.case_sensitive else str(stream.table).casefold()


def _with_properties(json_schema: bytes, grown: dict[str, Any]) -> bytes:
    if not grown:
        return json_schema
    schema = msgspec.json.decode(json_schema)
    schema["properties"] = grown | schema.get("properties", {})
    return msgspec.json.encode(schema)
