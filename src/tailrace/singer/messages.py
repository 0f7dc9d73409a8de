"""What a Singer stream says, as frozen values: schemas, states, versions, log lines; records come as blocks."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from tailrace.model import RecordBlock
from tailrace.singer.states import StateMessages


class SchemaMessage(Struct, frozen=True):
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


class StateMessage(Struct, frozen=True):
    """Where the tap can go on from, once all before it is loaded; `value` is its JSON text, as sent."""

    line: int
    value: bytes


class ActivateVersionMessage(Struct, frozen=True):
    """Rows of the stream with another version are gone at the source."""

    line: int
    stream: str
    version: int


class LogLine(Struct, frozen=True):
    """A line of the tap's log that came among the messages; `level` is as the tap writes it."""

    line: int
    level: str
    message: str


class BatchMessage(Struct, frozen=True):
    """Records of the stream stand in files, the `manifest`: addresses as the tap wrote them, which nobody has checked.

    `format` is jsonl, parquet or arrow, `compression` none, gzip, zstd, or another one of Parquet's; `version` is that
    of the records, as RECORD messages have it.
    """

    line: int
    stream: str
    format: str
    compression: str
    manifest: tuple[str, ...]
    version: int | None = None


Message = RecordBlock | SchemaMessage | ActivateVersionMessage | BatchMessage | LogLine


class Block(Struct, frozen=True):
    """What lines that were read together come to.

    `messages` are in the order of their lines within each stream: a block of all its RECORD lines, parted only by its
    own SCHEMA, ACTIVATE_VERSION or BATCH, or by a line that may be one of these. `states` stand between them by their
    lines.
    """

    messages: Sequence[Message]
    states: StateMessages

    def before(self, line: int) -> Block:
        """What the lines before that one come to."""
        messages = (message_before(message, line) for message in self.messages)
        return Block([message for message in messages if message is not None], self.states.until(line - 1))

    def after(self, line: int) -> Block:
        """What the lines after that one come to."""
        messages = (message_after(message, line) for message in self.messages)
        earlier = [each for each in self.before(line + 1).messages if isinstance(each, RecordBlock)]
        count, size = sum(block.count for block in earlier), sum(block.size for block in earlier)
        return Block([message for message in messages if message is not None], self.states.after(line, count, size))

    def shifted(self, by: int) -> Block:
        """The same, so many lines later."""
        if not by:
            return self
        messages = [
            message.shifted(by)
            if isinstance(message, RecordBlock)
            else structs.replace(message, line=message.line + by)
            for message in self.messages
        ]
        return Block(messages, self.states.shifted(by))


def message_before(message: Message, line: int) -> Message | None:
    """What there is of a message before that line."""
    if isinstance(message, RecordBlock):
        return message.until(line - 1)[0]
    return message if message.line < line else None


def message_after(message: Message, line: int) -> Message | None:
    """What there is of a message after that line."""
    if isinstance(message, RecordBlock):
        return message.until(line)[1]
    return message if message.line > line else None
