"""The streams of a run: what each SCHEMA message and the settings make of a stream, and how it grows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tailrace.config import Settings, StreamSettings
from tailrace.errors import SchemaError, naming_line
from tailrace.log import get_logger
from tailrace.model import Column, Growth, Stream, Traits
from tailrace.schema.drafts import unknown_draft
from tailrace.schema.grown import grown_schema
from tailrace.schema.jsonschema import chosen_columns
from tailrace.schema.keys import refuse_new_key
from tailrace.schema.owners import Owners
from tailrace.schema.stream import planned_stream, stream_of_columns
from tailrace.singer.messages import SchemaMessage

_log = get_logger("streams")


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
        self._owners = Owners(traits)
        self._known: dict[str, _Known] = {}
        self._selected: dict[str, bool] = {}
        self._noted_drafts: set[tuple[str, str]] = set()

    def accept(self, message: SchemaMessage) -> Stream | None:
        """The stream's new plan, or None when the message changes nothing or the stream isn't selected."""
        known = self._known.get(message.stream)
        if not self.is_news(message):
            return None
        settings = known.settings if known else self._settings.for_stream(message.stream)
        if not settings.select:
            return None
        self._note_draft(message)
        growth = Growth(known.grown, known.versioned, known.deletable) if known else Growth({})
        return self._plan(message, settings, known, growth)

    def _note_draft(self, message: SchemaMessage) -> None:
        """Say once of a stream that its schema names a draft that isn't known."""
        named = unknown_draft(message.json_schema)
        if named is not None and (message.stream, named) not in self._noted_drafts:
            self._noted_drafts.add((message.stream, named))
            _log.warning(
                "the schema names a draft of JSON Schema that isn't known here; it is read as Draft 7",
                stream=message.stream,
                draft=named,
                line=message.line,
            )

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
        self._owners.accept(stream, stream.table)
        if known is not None:
            refuse_new_key(known.stream, stream, self._traits)
        message = SchemaMessage(0, name, b"{}", key, (), None, None)
        self._known[name] = _Known(message, settings, stream)
        return stream

    def grow(self, name: str, growth: Growth) -> Stream:
        """The plan of a stream that has grown by fields or a version column."""
        known = self._known[name]
        fields = known.grown | dict(growth.fields)
        so_far = Growth(fields, known.versioned or growth.versioned, known.deletable or growth.deletable)
        stream = self._plan(known.message, known.settings, known, so_far)
        if stream is None and growth.fields:
            raise SchemaError(
                f"the fields {', '.join(map(repr, growth.fields))} can't become columns, since its schema allows no "
                "objects; records are objects, and the tap must say so",
                stream=name,
                line=known.message.line,
            )
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
        streams = [known.stream for known in self._known.values()]
        return tuple(s for s in streams if s.method == "replace" and any(column.path for column in s.columns))

    def _plan(
        self,
        message: SchemaMessage,
        settings: StreamSettings,
        known: _Known | None,
        growth: Growth,
    ) -> Stream | None:
        """The stream's new plan, by all that it has grown by so far; None where it is as it was."""
        grown = dict(growth.fields)
        with naming_line(message.line):
            json_schema, evolved = grown_schema(message.json_schema, grown, settings)
            stream = planned_stream(
                message.stream,
                json_schema,
                message.key_properties or (),
                settings,
                self._traits,
                revision=known.stream.revision + 1 if known else 1,
                versioned=growth.versioned,
                deletable=growth.deletable,
                unique_constraints=message.unique_constraints,
                unique_conflict_method=message.unique_conflict_method,
            )
            stream = replace(stream, evolved=evolved)
            self._owners.accept(stream, stream.table)
            if known is not None:
                refuse_new_key(known.stream, stream, self._traits)
        is_same = known is not None and replace(stream, revision=known.stream.revision) == known.stream
        if known is not None and is_same:
            stream = known.stream
        self._known[message.stream] = _Known(message, settings, stream, growth.versioned, growth.deletable, grown)
        return None if is_same else stream
