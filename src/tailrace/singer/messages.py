"""What a Singer stream says, as frozen values: schemas, states, versions, log lines; records come as runs."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.model import RecordBlock


@dataclass(frozen=True, slots=True)
class SchemaMessage:
    """How a stream's next records look; `json_schema` is the JSON text of the schema, as sent.

    `key_properties` is None when the message has none or null, which differs from an empty list.
    `unique_conflict_method` is UPDATE or IGNORE.
    """

    line: int
    stream: str
    json_schema: bytes
    key_properties: tuple[str, ...] | None
    bookmark_properties: tuple[str, ...]
    unique_constraints: tuple[str, ...] | None
    unique_conflict_method: str | None


@dataclass(frozen=True, slots=True)
class StateMessage:
    """Where the tap can go on from, once all before it is loaded; `value` is its JSON text, as sent."""

    line: int
    value: bytes


@dataclass(frozen=True, slots=True)
class ActivateVersionMessage:
    """Rows of the stream with another version are gone at the source."""

    line: int
    stream: str
    version: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the tap's log that came among the messages; `level` is as the tap writes it."""

    line: int
    level: str
    message: str


Message = RecordBlock | SchemaMessage | StateMessage | ActivateVersionMessage | LogLine
