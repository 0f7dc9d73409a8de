"""The streams of a run: what each SCHEMA message and the settings make of a stream, and how it grows."""

from __future__ import annotations

import difflib
import fnmatch
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from msgspec import Struct, field

from tailrace.config import Settings, StreamSettings
from tailrace.errors import ConfigError, SchemaError, naming_line
from tailrace.log import get_logger
from tailrace.model import Column, Growth, Method, Stream, Traits
from tailrace.schema.described import schema_of_columns
from tailrace.schema.drafts import unknown_draft
from tailrace.schema.keys import refuse_new_key
from tailrace.schema.owners import Owners
from tailrace.singer.messages import SchemaMessage

_log = get_logger("streams")

_Content = tuple[object, ...]


class _Known(Struct):
    """What is known of a stream: its present message and plan, by what it has grown, and the plans that it had."""

    settings: StreamSettings
    content: _Content = ()
    stream: Stream | None = None
    revision: int = 0
    versioned: bool = False
    deletable: bool = False
    grown: dict[str, Any] = field(default_factory=dict)
    plans: dict[_Content, Stream] = field(default_factory=dict)
    messages: dict[int, SchemaMessage] = field(default_factory=dict)


class Streams:
    """Every stream that a SCHEMA message has named, with its plans."""

    def __init__(self, settings: Settings, traits: Traits) -> None:
        self._settings = settings
        self._traits = traits
        self._owners = Owners(traits)
        self._known: dict[str, _Known] = {}
        self._noted_drafts: set[tuple[str, str]] = set()
        self._has_noted_keys = False
        self._replaced: tuple[str, ...] = ()

    def accept(self, message: SchemaMessage) -> Stream | None:
        """The stream's new plan, or None when the message changes nothing or the stream isn't selected.

        A plan that the stream had before is the same one again, or one of a later revision, where rows are merged in
        the order of plans.
        """
        known, content = self._of(message.stream), _content(message)
        if not known.settings.select or content == known.content:
            return None
        self._note_draft(message)
        before, stream = known.stream, known.plans.get(content)
        if stream is None:
            stream = self._plan(message, known)
            self._note_appended_key(stream)
        elif stream.waits_for_commit and stream is not before:
            stream = self.again(stream)
        known.content, known.stream = content, stream
        return None if stream is before else stream

    def again(self, stream: Stream) -> Stream:
        """The same plan, for records behind those of all others."""
        known = self._of(stream.name)
        known.revision += 1
        known.messages[known.revision] = known.messages[stream.revision]
        again = replace(stream, revision=known.revision)
        if known.stream is not None and known.stream.revision == stream.revision:
            known.stream = again
        return again

    def has_plan(self, plan: Stream) -> bool:
        """Whether the stream has had a plan like this one, whatever its revision."""
        return self._like(plan) is not None

    def reopened(self, plan: Stream) -> Stream:
        """The plan that the stream has had, which is its present one again."""
        known, content = self._of(plan.name), self._like(plan)
        if content is None:
            raise KeyError(plan.name)
        before, stream = known.stream, known.plans[content]
        if before is not None and replace(before, revision=0) == replace(plan, revision=0):
            stream = before
        elif stream.waits_for_commit:
            stream = self.again(stream)
        known.content, known.stream = content, stream
        return stream

    def _like(self, plan: Stream) -> _Content | None:
        """The content of the message that made a plan like this one."""
        plans = self._of(plan.name).plans.items()
        return next((content for content, had in plans if replace(had, revision=0) == replace(plan, revision=0)), None)

    def accept_columns(self, name: str, columns: tuple[Column, ...], key: tuple[str, ...]) -> Stream:
        """The plan of a stream whose columns are known without a JSON Schema."""
        from tailrace.schema.jsonschema import chosen_columns  # noqa: PLC0415 a load of no streams plans none
        from tailrace.schema.stream import stream_of_columns  # noqa: PLC0415 as above

        known = self._of(name)
        stream = stream_of_columns(name, chosen_columns(columns, known.settings), key, known.settings, self._traits)
        message = SchemaMessage(0, name, schema_of_columns(columns), key, (), None, None)
        known.stream = self._accepted(message, known, replace(stream, json_schema=message.json_schema))
        return known.stream

    def grow(self, stream: Stream, growth: Growth) -> Stream:
        """What a plan of a stream becomes that has grown by fields or a version column, and by all before."""
        known, message = self._of(stream.name), self.message(stream)
        known.grown |= growth.fields
        known.versioned |= growth.versioned
        known.deletable |= growth.deletable
        known.plans.clear()
        grown = self._plan(message, known, stream)
        if grown is stream and growth.fields:
            raise SchemaError(
                f"the fields {', '.join(map(repr, growth.fields))} can't become columns, since its schema allows no "
                "objects; records are objects, and the tap must say so",
                stream=stream.name,
                line=message.line,
            )
        if known.stream is not None and known.stream.revision == stream.revision:
            known.stream = grown
        return grown

    def message(self, stream: Stream) -> SchemaMessage:
        """The SCHEMA message of a plan."""
        return self._known[stream.name].messages[stream.revision]

    def is_selected(self, name: str) -> bool:
        """Whether the settings want the stream."""
        return self._of(name).settings.select

    def replaced(self) -> tuple[Stream, ...]:
        """The streams whose tables this run replaces."""
        streams = [known.stream for known in self._known.values() if known.stream is not None]
        return tuple(s for s in streams if s.method == "replace" and any(column.path for column in s.columns))

    def replace(self, patterns: Sequence[str]) -> None:
        """Replace the tables of the streams of these names or globs, but those whose `method` is set.

        To be called before any of them is known. Where the destination replaces no tables nothing is changed.
        """
        self._replaced = tuple(patterns)

    def _of(self, name: str) -> _Known:
        if name not in self._known:
            settings = self._settings.for_stream(name)
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in self._replaced):
                settings = self._as_replaced(name, settings)
            self._known[name] = _Known(settings)
        return self._known[name]

    def say_unmatched(self) -> None:
        """Say which overrides of streams no stream has matched, where there were any streams."""
        for pattern in self._settings.streams:
            if self._known and not any(fnmatch.fnmatchcase(name, pattern) for name in self._known):
                near = difflib.get_close_matches(pattern, self._known, 1)
                meant = f" (did you mean {near[0]}?)" if near else ""
                _log.warning(f"no stream matches `streams.{pattern}`, so it changes nothing{meant}")

    def _note_appended_key(self, stream: Stream) -> None:
        """Say once that rows which have a key are appended all the same, where nobody has asked for that."""
        is_asked = self._of(stream.name).settings.method is not None
        is_appended = stream.key and stream.method is Method.APPEND and Method.UPSERT not in self._traits.methods
        if is_appended and not (is_asked or self._has_noted_keys):
            self._has_noted_keys = True
            _log.warning(
                f"rows of streams with keys are appended, since {self._traits.name} can't update them: all rows of a "
                "key stay (delta and iceberg update them; `method: append` says that it is meant)",
                stream=stream.name,
            )

    def _as_replaced(self, name: str, settings: StreamSettings) -> StreamSettings:
        """The settings of a stream that is sent anew."""
        if settings.method is None and Method.REPLACE in self._traits.methods:
            return settings.model_copy(update={"method": Method.REPLACE})
        if settings.method is not Method.REPLACE:
            why = "the destination replaces none" if settings.method is None else f"its method is {settings.method}"
            _log.warning("the stream is sent anew, and its table stays", stream=name, since=why)
        return settings

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

    def _plan(self, message: SchemaMessage, known: _Known, before: Stream | None = None) -> Stream:
        """The plan of a message, by all that the stream has grown by so far; the one before, where it is the same."""
        from tailrace.schema.grown import grown_schema  # noqa: PLC0415 as above
        from tailrace.schema.stream import planned_stream  # noqa: PLC0415 as above

        with naming_line(message.line):
            json_schema, evolved = grown_schema(message.json_schema, known.grown, known.settings)
            stream = planned_stream(
                message.stream,
                json_schema,
                message.key_properties or (),
                asked_by(message, known.settings),
                self._traits,
                revision=1,
                versioned=known.versioned,
                deletable=known.deletable,
                unique_constraints=message.unique_constraints,
                unique_conflict_method=message.unique_conflict_method,
            )
            stream = self._accepted(message, known, replace(stream, evolved=evolved), before)
        known.plans[_content(message)] = stream
        return stream

    def _accepted(self, message: SchemaMessage, known: _Known, stream: Stream, before: Stream | None = None) -> Stream:
        """The plan with a revision of its own, as the stream's present one; raises SchemaError where it can't be."""
        self._owners.accept(stream, stream.table)
        before = before or known.stream
        if before is not None:
            refuse_new_key(before, stream, self._traits)
            if replace(stream, revision=before.revision) == before:
                return before
        known.revision += 1
        known.messages[known.revision] = message
        return replace(stream, revision=known.revision)


def asked_by(message: SchemaMessage, settings: StreamSettings) -> StreamSettings:
    """The settings, with what the message asks for where they say nothing themselves."""
    asked: dict[str, object] = {}
    if message.disable_column_type_check is not None and "validation" not in settings.model_fields_set:
        asked["validation"] = "off" if message.disable_column_type_check else "types"
    if settings.truncate_full_table and settings.method is None:
        if message.replication_method is None:
            raise ConfigError(
                f"the SCHEMA message of stream {message.stream!r} has no replication_method",
                key="truncate_full_table",
                hint="set `method: replace` under `streams:` for those that the tap sends whole each time",
            )
        asked["method"] = Method.REPLACE if message.replication_method == "FULL_TABLE" else None
    return settings.model_copy(update=asked)


def _content(message: SchemaMessage) -> _Content:
    """What a message says, however it is written."""
    keys = (message.key_properties, message.unique_constraints, message.unique_conflict_method)
    read = (message.replication_method, message.disable_column_type_check)
    return _canonical(message.json_schema), *keys, *read


@lru_cache(maxsize=64)
def _canonical(json_schema: bytes) -> object:
    """A JSON Schema as it is whatever the order of its members and the blanks between them; numbers as written."""
    try:
        schema = json.loads(json_schema, parse_int=_number, parse_float=_number)
        return json.dumps(schema, sort_keys=True)
    except (ValueError, RecursionError):
        return json_schema


def _number(text: str) -> object:
    return {"number": text}
