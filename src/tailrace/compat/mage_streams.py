"""Streams as Mage's destinations take them: by a catalog that is stronger than SCHEMA messages, and their bookmarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import structs

from tailrace.errors import ConfigError, MessageError
from tailrace.model import RecordBlock
from tailrace.singer.envelope import message_of
from tailrace.singer.messages import Block, Message, SchemaMessage
from tailrace.singer.reader import Reader
from tailrace.singer.states import StateMessages

_SENT = (
    "schema",
    "key_properties",
    "bookmark_properties",
    "unique_constraints",
    "unique_conflict_method",
    "replication_method",
    "disable_column_type_check",
)
"""What an entry of a catalog and a SCHEMA message say by the same names."""

Catalog = Mapping[str, Mapping[str, Any]]
"""The entries of a catalog by their streams."""


def catalog_of(text: str, option: str) -> Catalog:
    """The streams of a catalog's JSON; ConfigError names the option where it is none."""
    try:
        streams = json.loads(text)["streams"]
        return {str(each.get("tap_stream_id") or each["stream"]): each for each in streams}
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ConfigError(
            "it must be JSON with a list of `streams`, each of which has a `tap_stream_id`", key=option
        ) from None


def schemas(catalog: Catalog, head: Iterable[bytes]) -> Catalog:
    """What SCHEMA messages among the lines say by their streams, or the catalog."""
    sent = (_object(line) for line in head if b'"SCHEMA"' in line)
    return {str(message.get("stream")): message for message in sent if message.get("type") == "SCHEMA"} | {**catalog}


def partition_keys(entries: Catalog) -> dict[str, list[str]]:
    """The fields that streams are to be partitioned by."""
    found = {stream: entry.get("partition_keys") for stream, entry in entries.items()}
    return {stream: [*map(str, keys)] for stream, keys in found.items() if keys and isinstance(keys, list)}


_ARRAYS = {
    "boolean": "BOOLEAN[]",
    "integer": "BIGINT[]",
    "number": "DOUBLE PRECISION[]",
    "object": "JSONB[]",
    "string": "TEXT[]",
}
"""The arrays that Mage makes in PostgreSQL, by the type of their items."""


def array_types(entry: Mapping[str, Any]) -> dict[str, str]:
    """The types of PostgreSQL that Mage gives to fields that are arrays and nothing else, by field."""
    schema = entry.get("schema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    found: dict[str, str] = {}
    for field, told in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(told, Mapping) and _types(told) == ["array"] and isinstance(told.get("items"), Mapping):
            items = [each for each in _types(told["items"]) if each in _ARRAYS]
            found |= {field: _ARRAYS[items[0]]} if items else {}
    return found


def _types(told: Mapping[str, Any]) -> list[str]:
    """The types that a schema names, but null."""
    types = told.get("type")
    return [
        each for each in (types if isinstance(types, list) else [types]) if isinstance(each, str) and each != "null"
    ]


def _object(line: bytes) -> Mapping[str, Any]:
    """The JSON object that a line holds; an empty one where it holds none, which is told when it is read."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class MageReader:
    """Reads as Mage's destinations do: gives the blocks of a reader, with the SCHEMAs and states that they would see.

    An entry of the catalog takes the place of its stream's SCHEMA messages, and of one that doesn't come. Types aren't
    checked unless the message asks for it. With `appends` a stream has no key unless its message says how to meet a
    conflict. A state has the bookmarks of all states before it.
    """

    def __init__(self, reader: Reader, catalog: Catalog, *, appends: bool) -> None:
        self._reader = reader
        self._catalog = catalog
        self._appends = appends
        self._known: set[str] = set()
        self._bookmarks: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> Iterator[Block]:
        """What the lines come to that end in the chunk; see Reader."""
        return map(self._changed, self._reader.feed(chunk))

    def finish(self) -> Iterator[Block]:
        """What a last line comes to that no line feed ends; see Reader."""
        return map(self._changed, self._reader.finish())

    def _changed(self, block: Block) -> Block:
        messages = [each for message in block.messages for each in self._with_schema(message)]
        states = [state._replace(value=self._merged(state.value)) for state in block.states]
        return Block(messages, StateMessages.of(states) if states else block.states)

    def _with_schema(self, message: Message) -> Iterator[Message]:
        """The message, or what stands for it: a SCHEMA as Mage takes it, before the first record of its stream too."""
        if isinstance(message, SchemaMessage):
            self._known.add(message.stream)
            entry = self._catalog.get(message.stream)
            yield self._taken(message if entry is None else _schema(message.stream, entry, message.line))
            return
        if isinstance(message, RecordBlock) and message.stream in self._catalog and message.stream not in self._known:
            self._known.add(message.stream)
            yield self._taken(_schema(message.stream, self._catalog[message.stream], message.first_line))
        yield message

    def _taken(self, message: SchemaMessage) -> SchemaMessage:
        is_unchecked = message.disable_column_type_check
        taken = structs.replace(message, disable_column_type_check=True if is_unchecked is None else is_unchecked)
        if self._appends and not (message.unique_constraints and message.unique_conflict_method):
            return structs.replace(taken, key_properties=(), unique_constraints=None, unique_conflict_method=None)
        return taken

    def _merged(self, value: bytes) -> bytes:
        """A state's value with the bookmarks of those before it, as it was sent where that changes nothing."""
        try:
            sent = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if not isinstance(sent, dict) or not isinstance(sent.get("bookmarks"), dict):
            return value
        for stream, new in sent["bookmarks"].items():
            old = self._bookmarks.get(stream)
            self._bookmarks[stream] = {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new
        if self._bookmarks == sent["bookmarks"]:
            return value
        return json.dumps({**sent, "bookmarks": self._bookmarks}).encode()


def _schema(stream: str, entry: Mapping[str, Any], line: int) -> SchemaMessage:
    """The SCHEMA message that an entry of a catalog stands for."""
    told = {name: entry[name] for name in _SENT if entry.get(name) is not None}
    text = json.dumps({"type": "SCHEMA", "stream": stream, **told}).encode() + b"\n"
    try:
        message = message_of(text, line)
    except MessageError as error:
        raise ConfigError(f"its entry of stream {stream!r} can't be used: {error}", key="--catalog_json") from None
    assert isinstance(message, SchemaMessage)  # noqa: S101 it says so itself
    return message
