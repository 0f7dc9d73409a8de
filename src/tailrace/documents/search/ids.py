"""The `_id` of documents: made of their keys, different for keys that differ.

A single text is its own id. Another single value is its JSON text, and several values are a JSON array of them. An id
can't be empty nor have more than 512 bytes, and so there are two more forms, which begin with a quote: a text that is
empty or begins with a quote is its JSON text, and what is too long is a quote and a hash, which no JSON text is.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

MAX_BYTES = 512


def id_of(values: Sequence[object]) -> str:
    """The id of a document whose key has these values, as JSON has them."""
    if len(values) == 1 and isinstance(values[0], str):
        text = values[0]
        if not text or text.startswith('"'):
            text = msgspec.json.encode(text).decode()
    else:
        text = msgspec.json.encode(values[0] if len(values) == 1 else list(values)).decode()
    encoded = text.encode()
    return text if len(encoded) <= MAX_BYTES else f'"{blake2b(encoded, digest_size=32).hexdigest()}'


def new_id(origin: str, line: int) -> str:
    """The id of a document without a key: another one for each line of each origin, and the same each time."""
    return f"{blake2b(origin.encode(), digest_size=12).hexdigest()}-{line}"
