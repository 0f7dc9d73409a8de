"""What a reader gives, as one list of messages in the order of their lines."""

from tailrace.model import RecordBlock
from tailrace.singer.messages import StateMessage


def messages_of(block):
    """The messages of a block, its states among them."""
    states = [StateMessage(state.line, state.value) for state in block.states]
    return sorted([*block.messages, *states], key=first_line)


def first_line(message):
    """The input line in which a message begins."""
    return message.first_line if isinstance(message, RecordBlock) else message.line
