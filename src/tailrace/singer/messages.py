"""What a Singer stream says, as frozen values: schemas, states, versions, log lines; records come as blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailrace.model import RecordBlock
from tailrace.singer.states import StateMessages


@dataclass(frozen=True, slots=True)
class SchemaMessage:
    """How a stream's next records look; `json_schema` is the JSON text of the schema, as sent.

    `key_properties` is None when the message has none or null, which differs from an empty list.
    `unique_conflict_method` is UPDATE or IGNORE. `replication_method` is how the tap reads the stream, such as
    FULL_TABLE; `disable_column_type_check`, whether its values are to be taken whatever the schema says. Mage's taps
    send both.
    """

    line: int
    stream: str
    json_schema: bytes
    key_properties: tuple[str, ...] | None
    bookmark_properties: tuple[str, ...]
    unique_constraints: tuple[str, ...] | None
    unique_conflict_method: str | None
    replication_method: str | None = None
    disable_column_type_check: bool | None = None


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


Message = RecordBlock | SchemaMessage | ActivateVersionMessage | LogLine


@dataclass(frozen=True, slots=True)
class Block:
    """What lines that were read together come to.

    `messages` are in the order of their lines within each stream: a block of all its RECORD lines, parted only by its
    own SCHEMA or ACTIVATE_VERSION, or by a line that may be one of these. `states` stand between them by their lines.
    """

    messages: Sequence[Message]
    states: StateMessages

    def before(self, line: int) -> Block:
        """What the lines before that one come to."""
        messages = (message_before(message, line) for message in self.messages)
        return Block([message for message in messages if message is not None], self.states.until(line - 1))


def message_before(message: Message, line: int) -> Message | None:
    """What there is of a message before that line."""
    if isinstance(message, RecordBlock):
        return message.until(line - 1)[0]
    return message if message.line < line else None
